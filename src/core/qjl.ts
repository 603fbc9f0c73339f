/**
 * QJL (arXiv 2406.03482) and TurboQuant_prod (arXiv 2504.19874, Algorithm 2): the residual r = x − x̂_mse, in the
 * original basis, is kept as its fp16 norm and the signs of m random projections S r. Then
 *
 *   ⟨q,x⟩ ≈ ⟨q,x̂_mse⟩ + factor · ‖r‖ · ⟨S q, sign(S r)⟩
 *
 * is unbiased over S for
 *   - Gaussian rows, i.i.d. N(0,1):            factor = √(π/2)/m;
 *     exact variance (π/2 · ‖r‖²‖q‖² − ⟨q,r⟩²)/m;
 *   - orthogonal rows of norm √dim (m = dim):  factor = 1/(m · E|t|√dim), t a coordinate of a uniform unit vector,
 *     E|t| = Γ(dim/2)/(√π Γ((dim+1)/2)): the rows are uniform on a sphere, not Gaussian, which at dim 128 is
 *     1 − 1/(4·128) of the Gaussian constant. DEVIATION: implementations that use √(π/2)/m for orthogonal rows are
 *     biased by that .2 %; with *orthonormal* rows and this factor they would be off by √dim.
 *     About 2.75 times smaller variance than Gaussian rows.
 *
 * sign(0) = +1. Stored bit j is 1 where the projection is not below 0.
 */
import { dot } from "./float.js";
import { haarRotation } from "./haar.js";
import { randomStream, type Seed } from "./random.js";

const { fround } = Math;

/** How the rows of a sketch are drawn. */
export type SketchKind = "gaussian" | "orthogonal";

/** A seeded matrix with Gaussian or orthogonal rows; the signs of what it makes of a residual are its sketch (QJL). */
export interface Sketch {
  readonly kind: SketchKind;
  readonly dim: number;
  /** m: projections, and stored bits. */
  readonly rows: number;
  /** S: (rows, dim), f32. */
  readonly matrix: Float32Array;
  /** What makes the estimate unbiased, f32. */
  readonly factor: number;
}

/** S of a seed; rows = dim. Its stream is labelled: never that of the rotation. */
export function createSketch(kind: SketchKind, dim: number, seed: Seed): Sketch {
  const stream = randomStream(seed, "sketch");
  if (kind === "gaussian") {
    const matrix = Float32Array.from({ length: dim * dim }, () => stream.normal());
    return { kind, dim, rows: dim, matrix, factor: fround(Math.sqrt(Math.PI / 2) / dim) };
  }
  const norm = Math.sqrt(dim);
  const matrix = Float32Array.from(haarRotation(dim, stream), (v) => v * norm);
  return { kind, dim, rows: dim, matrix, factor: fround(1 / (dim * meanAbsoluteCoordinate(dim) * norm)) };
}

/** Making one takes time (7 s at dim 1024), keeping it 4·dim² bytes: this many values are kept. */
const MOST_SHARED = 1 << 23;
const shared = new Map<string, Sketch>();

/** As {@link createSketch}, made once for all that ask for the same; not to be written to. */
export function sharedSketch(kind: SketchKind, dim: number, seed: Seed): Sketch {
  const key = `${kind}/${dim}/${seed}`;
  const sketch = shared.get(key) ?? createSketch(kind, dim, seed);
  shared.delete(key); // to the end: used last
  shared.set(key, sketch);
  let values = 0;
  for (const { matrix } of shared.values()) values += matrix.length;
  for (const [oldest, { matrix }] of shared) {
    if (values <= MOST_SHARED || oldest === key) break;
    values -= matrix.length;
    shared.delete(oldest);
  }
  return sketch;
}

/** E|t| for a coordinate t of a uniform unit vector: Γ(dim/2)/(√π Γ((dim+1)/2)), by the recurrence in dim. */
export function meanAbsoluteCoordinate(dim: number): number {
  // E_1 = 1, E_2 = 2/π, E_{n+2} = E_n · n/(n+1).
  let n = dim % 2 === 0 ? 2 : 1;
  let mean = n === 2 ? 2 / Math.PI : 1;
  for (; n < dim; n += 2) mean *= n / (n + 1);
  return mean;
}

/** out ← S x. x: (dim,) → out: (rows,), every row in lane order. */
export function project(sketch: Sketch, x: Float32Array, out: Float32Array): void {
  const { dim, matrix } = sketch;
  for (let j = 0; j < out.length; j++) out[j] = dot(matrix.subarray(j * dim, (j + 1) * dim), x);
}

/** projections: (rows,) → bits: (rows/8,), bit j & 7 of byte j >> 3. */
export function packSigns(projections: Float32Array, bits: Uint8Array): void {
  bits.fill(0);
  for (let j = 0; j < projections.length; j++) if (!(projections[j]! < 0)) bits[j >> 3]! |= 1 << (j & 7);
}

const lane = new Float32Array(4);

/** Σ ±pⱼ, f32 in lane order, + where bit j is set. p = S q: (rows,). */
export function signedSum(p: Float32Array, bits: Uint8Array): number {
  lane.fill(0);
  for (let j = 0; j < p.length; j++) lane[j & 3]! += (bits[j >> 3]! >> (j & 7)) & 1 ? p[j]! : -p[j]!;
  return fround(fround(lane[0]! + lane[2]!) + fround(lane[1]! + lane[3]!));
}

/** The correction to ⟨q,x̂_mse⟩: (factor · residualNorm) · Σ ±(S q)ⱼ. residualNorm: f32 of the stored half. */
export const estimateCorrection = (sketch: Sketch, residualNorm: number, sum: number): number =>
  fround(fround(sketch.factor * residualNorm) * sum);

/** out += factor · residualNorm · Sᵀ signs (Algorithm 2, DeQuant_prod), row by row. out: (dim,). */
export function addSketch(sketch: Sketch, residualNorm: number, bits: Uint8Array, out: Float32Array): void {
  const { dim, rows, matrix } = sketch;
  const weight = fround(sketch.factor * residualNorm);
  for (let j = 0; j < rows; j++) {
    const w = (bits[j >> 3]! >> (j & 7)) & 1 ? weight : -weight;
    for (let i = 0; i < dim; i++) out[i]! += fround(w * matrix[j * dim + i]!);
  }
}
