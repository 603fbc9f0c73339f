/** Inputs cut into groups, and what the format's own definition makes of them. */
import { fromF16, toF16 } from "../../core/float.js";
import { getF16, getF32 } from "../../core/little-endian.js";
import { type Transform, trueTransform } from "./transforms.js";
import type { Wire } from "./wire.js";

/** f64 and f32 may differ by this on a unit vector. */
export const NOISE = 2e-7;
/** Flips this close to a boundary, in group norms, are no fault. */
export const FLIP_LIMIT = 1e-6;

export interface Groups {
  readonly wire: Wire;
  readonly count: number;
  /** Padded inputs: one (group,) each. */
  readonly x: readonly Float64Array[];
  readonly norm: Float64Array;
}

/** The same groups, vectors in another order: which one stands where. */
export function reordered(all: Groups, order: (v: number) => number): Groups {
  const { groups } = all.wire;
  const from = Array.from(
    { length: all.count },
    (_, i) => order(Math.floor(i / groups)) * groups + (i % groups),
  );
  return { ...all, x: from.map((g) => all.x[g]!), norm: Float64Array.from(from, (g) => all.norm[g]!) };
}

/** x: (n, dim). */
export function groupsOf(wire: Wire, x: Float32Array): Groups {
  const { dim, group, groups } = wire;
  const n = x.length / dim;
  const parts: Float64Array[] = [];
  for (let v = 0; v < n; v++) {
    for (let g = 0; g < groups; g++) {
      const part = new Float64Array(group);
      for (let j = 0; j < group && g * group + j < dim; j++) part[j] = x[v * dim + g * group + j]!;
      parts.push(part);
    }
  }
  const norm = Float64Array.from(parts, (p) => Math.sqrt(p.reduce((sum, v) => sum + v * v, 0)));
  return { wire, count: parts.length, x: parts, norm };
}

/** z of every group under a transform. */
export function transformed(groups: Groups, transform?: Transform): Float64Array[] {
  const t = transform ?? trueTransform(groups.wire);
  return groups.x.map((x, i) => {
    const z = new Float64Array(x.length);
    t.run(x, groups.norm[i]!, z);
    return z;
  });
}

/** Number of boundaries that z is not below (not above, where ties go down). NaN goes to the top. */
export function cell(boundaries: Float64Array, z: number, tieDown = false): number {
  let k = 0;
  while (k < boundaries.length && (tieDown ? boundaries[k]! < z : !(z < boundaries[k]!))) k++;
  return k;
}

/** How far z is from the cell of `code`; 0 inside it. */
export function distance(boundaries: Float64Array, z: number, code: number): number {
  const low = code > 0 ? boundaries[code - 1]! : Number.NEGATIVE_INFINITY;
  const high = code < boundaries.length ? boundaries[code]! : Number.POSITIVE_INFINITY;
  return z < low ? low - z : z > high ? z - high : 0;
}

export function readNorm(wire: Wire, bytes: Uint8Array, at: number, swap = false): number {
  if (wire.normBytes === 4)
    return swap
      ? getF32(Uint8Array.of(bytes[at + 3]!, bytes[at + 2]!, bytes[at + 1]!, bytes[at]!), 0)
      : getF32(bytes, at);
  return swap ? fromF16((bytes[at]! << 8) | bytes[at + 1]!) : getF16(bytes, at);
}

/** Halves in order: neighbours differ by one. */
const ordinal = (half: number): number => (half & 0x8000 ? -(half & 0x7fff) : half);

/** How many fp16 steps apart; NaN equals NaN. */
export function halfSteps(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b))
    return Number.isNaN(a) && Number.isNaN(b) ? 0 : Number.POSITIVE_INFINITY;
  return Math.abs(ordinal(toF16(a)) - ordinal(toF16(b)));
}

/** The half toward zero. */
export function truncatedHalf(value: number): number {
  const half = toF16(value);
  const back = fromF16(half);
  if (!Number.isFinite(value)) return half;
  return Math.abs(back) > Math.abs(value) ? half - 1 : half;
}

export function lengthOf(table: Float64Array, codes: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < codes.length; i++) sum += table[codes[i]!]! ** 2;
  return Math.sqrt(sum);
}

const ordered = new WeakMap<Groups, readonly number[]>();

/** Vectors that tell hypotheses apart: finite, not tiny, many different magnitudes. Spread over the input. */
export function generic(groups: Groups, most: number): number[] {
  let all = ordered.get(groups);
  if (!all) ordered.set(groups, (all = telling(groups)));
  return all.slice(0, most);
}

function telling(groups: Groups): number[] {
  const scored: { g: number; spread: number }[] = [];
  for (let g = 0; g < groups.count; g++) {
    const n = groups.norm[g]!;
    if (!(n > 1e-9) || !Number.isFinite(n)) continue;
    const spread = spreadOf(groups.x[g]!, n);
    if (spread !== undefined) scored.push({ g, spread });
  }
  if (scored.length === 0)
    for (let g = 0; g < groups.count; g++)
      if (groups.norm[g]! > 0 && Number.isFinite(groups.norm[g]!)) scored.push({ g, spread: 1 });
  scored.sort((a, b) => a.spread - b.spread || a.g - b.g);
  return scored.map((s) => s.g);
}

const spreads = new WeakMap<Float64Array, { readonly spread: number | undefined }>();

/** Fourth moment of a group; undefined where too few of its magnitudes differ. Groups in another order are the same ones. */
function spreadOf(x: Float64Array, norm: number): number | undefined {
  const before = spreads.get(x);
  if (before) return before.spread;
  const distinct = new Set(x.map(Math.abs)).size;
  let fourth = 0;
  for (const v of x) fourth += (v / norm) ** 4;
  const spread = distinct > x.length / 2 || distinct > 40 ? fourth : undefined;
  spreads.set(x, { spread });
  return spread;
}
