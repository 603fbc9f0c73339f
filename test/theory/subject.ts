/**
 * What the theory checks look at: an implementation seen from outside, and the faults that they must catch. A subject
 * gives the decoded unit direction (x̂ divided by the stored scale) and inner products by seed; a mutant is the
 * reference with one fault.
 */
import { type Codebook, gaussianCodebook } from "../../src/core/codebook.js";
import { fromF16 } from "../../src/core/float.js";
import {
  createSketch,
  estimateCorrection,
  packSigns,
  project,
  type SketchKind,
  signedSum,
} from "../../src/core/qjl.js";
import { createQuantizer, createScratch, dequantizeMse, quantizeMse } from "../../src/core/quantizer.js";
import type { ScaleRule } from "../../src/core/scale.js";
import { seededRotation } from "../../src/core/seeded-rotation.js";
import { type Rotation, rotationFrom } from "../../src/core/wht.js";

export interface Subject {
  readonly rotation: (dim: number, seed: number, bits: number) => Rotation;
  readonly codebook: (bits: number) => Codebook;
  /** Changes the decoded vector. */
  readonly decoder: (x: Float32Array) => void;
  /** Multiplies the sketch's correction. */
  readonly correction: (dim: number, kind: SketchKind) => number;
}

export const reference: Subject = {
  rotation: (dim, seed, bits) => seededRotation(dim, seed, { codebook: gaussianCodebook(bits) }),
  codebook: gaussianCodebook,
  decoder: () => {},
  correction: () => 1,
};

/** Signs as they are drawn: what formats without a scalar codebook have. */
export const plainSigns: Subject = { ...reference, rotation: (dim, seed) => seededRotation(dim, seed) };

const ones = (dim: number): Float32Array => new Float32Array(dim).fill(1);

/** Changes every centroid and boundary. */
const reshaped =
  (change: (c: number, i: number, n: number) => number) =>
  (bits: number): Codebook => {
    const { centroids } = gaussianCodebook(bits);
    const moved = centroids.map((c, i) => change(c, i, centroids.length));
    return { bits, centroids: moved, boundaries: moved.slice(1).map((c, i) => (c + moved[i]!) / 2) };
  };

export const mutants: Readonly<Record<string, Subject>> = {
  "decoder of zeros": { ...reference, decoder: (x) => void x.fill(0) },
  "missing rotation": {
    ...reference,
    rotation: (dim) => ({ ...rotationFrom(ones(dim), ones(dim), 1) }),
  },
  "no signs": {
    ...reference,
    rotation: (dim, seed) => ({ ...seededRotation(dim, seed), before: ones(dim), after: ones(dim) }),
  },
  "signs after H only": {
    ...reference,
    rotation: (dim, seed) => ({ ...seededRotation(dim, seed), before: ones(dim) }),
  },
  "signs taken as drawn": plainSigns,
  "un-iterated codebook": {
    ...reference, // levels at equal probability steps of a uniform start
    codebook: reshaped((_, i, n) => ((2 * i + 1 - n) / n) * 2.2),
  },
  "codebook sigma × .61": { ...reference, codebook: reshaped((c) => c * 0.61) },
  "residual norm × 1.5": { ...reference, correction: () => 1.5 },
  "QJL dropped": { ...reference, correction: () => 0 },
  "Gaussian constant on orthogonal rows of norm 1": { ...reference, correction: (dim) => 1 / Math.sqrt(dim) },
  "√(π/2)/m left out of sign": { ...reference, correction: () => Math.sqrt(2 / Math.PI) },
};

/** x̂/scale for x under a seed: what D is measured on. x: (dim,). */
export function decodedDirection(s: Subject, x: Float32Array, bits: number, seed: number): Float32Array {
  const q = createQuantizer(
    s.rotation(x.length, seed, bits),
    bits,
    "least-squares",
    undefined,
    s.codebook(bits),
  );
  const codes = new Uint8Array(x.length);
  const scale = quantizeMse(q, x, codes, createScratch(x.length));
  const out = new Float32Array(x.length);
  dequantizeMse(q, codes, scale, out);
  s.decoder(out);
  return out.map((v) => v / fromF16(scale));
}

/** The estimate of ⟨query, x⟩ under a seed, with a sketch of the residual or without. */
export function estimate(
  s: Subject,
  query: Float32Array,
  x: Float32Array,
  bits: number,
  rule: ScaleRule,
  seed: number,
  kind?: SketchKind,
): number {
  const dim = x.length;
  const q = createQuantizer(s.rotation(dim, seed, bits), bits, rule, undefined, s.codebook(bits));
  const codes = new Uint8Array(dim);
  const scale = quantizeMse(q, x, codes, createScratch(dim));
  const decoded = new Float32Array(dim);
  dequantizeMse(q, codes, scale, decoded);
  s.decoder(decoded);
  const plain = query.reduce((sum, v, i) => sum + v * decoded[i]!, 0);
  if (!kind) return plain;
  const residual = x.map((v, i) => v - decoded[i]!);
  return plain + s.correction(dim, kind) * sketchEstimate(query, residual, kind, seed);
}

/** factor · ‖r‖ · ⟨S q, sign(S r)⟩. */
export function sketchEstimate(query: Float32Array, r: Float32Array, kind: SketchKind, seed: number): number {
  const sketch = createSketch(kind, r.length, seed);
  const projected = new Float32Array(sketch.rows);
  const bits = new Uint8Array(sketch.rows / 8);
  project(sketch, r, projected);
  packSigns(projected, bits);
  project(sketch, query, projected);
  const norm = Math.fround(Math.sqrt(r.reduce((sum, v) => sum + v * v, 0)));
  return estimateCorrection(sketch, norm, signedSum(projected, bits));
}
