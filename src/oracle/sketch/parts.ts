/** What the diagnoses of sketched bytes and values share. */
import { fromF16, toF16 } from "../../core/float.js";
import { haarRotation } from "../../core/haar.js";
import { getF16 } from "../../core/little-endian.js";
import { randomStream } from "../../core/random.js";
import { denseNormals, ROTATION_SEED } from "../../formats/llama-dense.js";
import { FLIP_LIMIT, halfSteps } from "../pipeline/evidence.js";
import { readCodes } from "../pipeline/layouts.js";
import { trueRotation, trueUnrotation } from "../pipeline/transforms.js";
import type { Wire } from "../pipeline/wire.js";

export interface SketchedData {
  readonly wire: Wire;
  readonly seed: number | bigint;
  /** (n, dim). */
  readonly x: Float32Array;
  /** The format's own bytes of x. */
  readonly ref: Uint8Array;
}

/** m: (rows, dim) row-major. */
export function times(m: ArrayLike<number>, x: ArrayLike<number>, transposed: boolean): Float64Array {
  const n = x.length;
  const out = new Float64Array(n);
  for (let i = 0, k = 0; i < n; i++)
    if (transposed) {
      const by = x[i]!;
      for (let j = 0; j < n; j++, k++) out[j]! += m[k]! * by;
    } else {
      let sum = 0;
      for (let j = 0; j < n; j++, k++) sum += m[k]! * x[j]!;
      out[i] = sum;
    }
  return out;
}

/** Matrices that come of the rotation's own stream of random numbers, with rows as long as a sketch's, and of length 1. */
export function sharedMatrices({ wire, seed }: SketchedData): ArrayLike<number>[] {
  const long = (m: ArrayLike<number>): Float64Array => Float64Array.from(m, (v) => v * Math.sqrt(wire.group));
  if (wire.dense) return [denseNormals(ROTATION_SEED), long(wire.dense), wire.dense];
  const rotation = new Float64Array(wire.dim * wire.dim);
  for (let j = 0; j < wire.dim; j++) {
    const unit = new Float64Array(wire.dim);
    unit[j] = 1;
    trueRotation(wire, unit);
    for (let i = 0; i < wire.dim; i++) rotation[i * wire.dim + j] = unit[i]!;
  }
  const haar = haarRotation(wire.dim, randomStream(seed, "rotation"));
  const stream = randomStream(seed, "rotation");
  return [long(haar), Float64Array.from(rotation, () => stream.normal()), long(rotation), haar, rotation];
}

/** A group as its sketch sees it: of bytes' own norm and codes. */
export interface SketchedGroup {
  readonly residual: Float64Array;
  /** The residual in the rotated basis, and the vector less its rotated levels. */
  readonly rotated: Float64Array;
  readonly mixed: Float64Array;
  /** Of the residual. */
  readonly norm: number;
  /** Of the vector that the residual is of. */
  readonly size: number;
}

/** x: (group,); undefined for what has no residual. */
export function sketchedGroup(
  wire: Wire,
  x: ArrayLike<number>,
  bytes: Uint8Array,
  at: number,
): SketchedGroup | undefined {
  const { unit } = wire.sketch!;
  const scale = getF16(bytes, at + wire.normAt[0]!);
  const length = lengthOf(x);
  if (!(length > 0) || !Number.isFinite(length) || !Number.isFinite(scale)) return undefined;
  const codes = new Uint8Array(wire.group);
  readCodes(bytes, at, wire.layout, wire.bits, 0, codes);
  const vector = Float64Array.from(x, (v) => (unit ? v / length : v));
  const levels = Float64Array.from(codes, (c) => wire.centroids[c]! * (unit ? 1 : scale));
  const mean = levels.slice();
  trueUnrotation(wire, mean);
  const z = vector.slice();
  trueRotation(wire, z);
  const less = (a: Float64Array, b: Float64Array): Float64Array => a.map((v, i) => v - b[i]!);
  const residual = less(vector, mean);
  return {
    residual,
    rotated: less(z, levels),
    mixed: less(vector, levels),
    norm: lengthOf(residual),
    size: unit ? 1 : length,
  };
}

const squares = (x: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i]! * x[i]!;
  return sum;
};

/** ‖x‖. */
export const lengthOf = (x: ArrayLike<number>): number => Math.sqrt(squares(x));

/** Projections this near to zero, per unit of the vector's norm, may have either sign: rows of S are √d long. */
export const signTolerance = (wire: Wire): number => 2 * FLIP_LIMIT * Math.sqrt(wire.group);

/**
 * A sketch against norm and codes beside it, which may be others within the tolerance: how many signs are those of
 * projections next to zero, and whether the residual's norm is one step off; undefined where it is another sketch.
 */
export function sketchTolerated(
  wire: Wire,
  x: Float64Array,
  packed: Uint8Array,
  at: number,
): { flips: number; steps: number } | undefined {
  const { normAt, signsAt, matrix } = wire.sketch!;
  const g = sketchedGroup(wire, x, packed, at);
  if (!g) return undefined;
  const stored = getF16(packed, at + normAt);
  const steps = halfSteps(stored, fromF16(toF16(g.norm)));
  // Of a residual that is next to nothing the sums' rounding is more than a step.
  if (steps > 1 && !(Math.abs(stored - g.norm) <= 2 * FLIP_LIMIT * g.size)) return undefined;
  const limit = signTolerance(wire) * g.size;
  let flips = 0;
  for (const [j, p] of times(matrix, g.residual, false).entries()) {
    const set = (packed[at + signsAt + (j >> 3)]! >> (j & 7)) & 1;
    if (set === (p < 0 ? 0 : 1)) continue;
    if (Math.abs(p) > limit) return undefined;
    flips++;
  }
  return { flips, steps: Math.min(1, steps) };
}

/** Whether a group has codes or signs that another order of sums may make otherwise: how many. */
export function openChoices(wire: Wire, x: Float64Array, ref: Uint8Array, at: number): number {
  const g = sketchedGroup(wire, x, ref, at);
  if (!g) return 0;
  const length = lengthOf(x);
  const z = x.map((v) => v / length);
  trueRotation(wire, z);
  const near = 2 * FLIP_LIMIT;
  const codes = z.filter((v) => wire.boundaries.some((b) => Math.abs(v - b) <= near)).length;
  const limit = signTolerance(wire) * g.size;
  return codes + times(wire.sketch!.matrix, g.residual, false).filter((p) => Math.abs(p) <= limit).length;
}
