/**
 * TurboQuant_mse (arXiv 2504.19874, Algorithm 1): rotate, normalise, round every coordinate to a Lloyd–Max cell,
 * keep one fp16 scale. Four independent parts make a quantiser: rotation, codebook, scale rule, centre.
 *
 *   h = H (s₁ ⊙ (x − μ))              unnormalised
 *   z = s₂ ⊙ h · gain/‖x − μ‖         gain = √(dim/block): every coordinate of z is about N(0,1)
 *   code = cell of z, c = its centroid
 *   scale = rule(‖x − μ‖, ⟨z,c⟩, ⟨c,c⟩), rounded to fp16
 *   x̂ = R⁻¹ (scale · c/√dim) + μ
 *
 * DEVIATION: the paper assumes unit vectors and stores the norm beside them; here the stored scale follows one of
 * three rules (scale.ts). DEVIATION: one codebook, that of N(0,1), at every dimension instead of the sphere
 * marginal of each: at dim 128 and 3 bits D is .033979 with it and .033966 with the marginal's own.
 */
import { type Codebook, dequantize, gaussianCodebook, quantize } from "./codebook.js";
import { dot, fromF16, sumOfSquares, toF16 } from "./float.js";
import { type ScaleRule, storedScale } from "./scale.js";
import { type Rotation, unrotate, wht } from "./wht.js";

const { fround } = Math;

/** A quantiser without its codes: what a scalar codebook and a trellis (trellis-quantizer.ts) share. */
export interface Frame {
  readonly dim: number;
  readonly rotation: Rotation;
  readonly rule: ScaleRule;
  /** μ (dim,), or none. */
  readonly center: Float32Array | undefined;
  /** fround(√(dim/block)). */
  readonly gain: number;
  /** fround(√dim). */
  readonly rootDim: number;
}

export interface Quantizer extends Frame {
  readonly codebook: Codebook;
  /** {@link unitLevels} of the centroids. */
  readonly levels: Float32Array;
}

export function createFrame(rotation: Rotation, rule: ScaleRule, center?: Float32Array): Frame {
  const { dim, block } = rotation;
  return {
    dim,
    rotation,
    rule,
    center,
    gain: fround(Math.sqrt(dim / block)),
    rootDim: fround(Math.sqrt(dim)),
  };
}

/** Values of N(0,1) in units of a unit vector's coordinate: fround(c · fround(1/√dim)). */
export function unitLevels(values: Float32Array, dim: number): Float32Array {
  const unit = fround(1 / Math.sqrt(dim));
  return values.map((c) => c * unit);
}

export function createQuantizer(
  rotation: Rotation,
  bits: number,
  rule: ScaleRule,
  center?: Float32Array,
  codebook: Codebook = gaussianCodebook(bits),
): Quantizer {
  const frame = createFrame(rotation, rule, center);
  return { ...frame, codebook, levels: unitLevels(codebook.centroids, frame.dim) };
}

/** Working space of {@link quantizeMse}: z and c of the last vector. */
export interface Scratch {
  readonly z: Float32Array;
  readonly c: Float32Array;
}

export const createScratch = (dim: number): Scratch => ({
  z: new Float32Array(dim),
  c: new Float32Array(dim),
});

/** x: (dim,) → z: (dim,), the rotated coordinates in units of N(0,1). Returns ‖x − μ‖. */
export function normalise(f: Frame, x: Float32Array, z: Float32Array): number {
  const { before, after, block } = f.rotation;
  for (let i = 0; i < z.length; i++) z[i] = f.center ? x[i]! - f.center[i]! : x[i]!;
  const norm = fround(Math.sqrt(sumOfSquares(z)));
  const factor = norm > 0 ? fround(f.gain / norm) : 0;
  for (let i = 0; i < z.length; i++) z[i]! *= before[i]!;
  wht(z, block);
  for (let i = 0; i < z.length; i++) z[i] = fround(z[i]! * factor) * after[i]!;
  return norm;
}

/** The scale by the frame's rule as fp16 bits, from what was quantised (z) and what it became (c). */
export const fitScale = (f: Frame, norm: number, z: Float32Array, c: Float32Array): number =>
  toF16(storedScale(f.rule, norm, dot(z, c), sumOfSquares(c), f.dim, f.rootDim));

/** x ← R⁻¹ x + μ in place. x: (dim,). */
export function leaveFrame(f: Frame, x: Float32Array): void {
  unrotate(f.rotation, x);
  if (f.center) for (let i = 0; i < x.length; i++) x[i]! += f.center[i]!;
}

/** x: (dim,) → codes: (dim,), and the scale as fp16 bits. Not finite, or overflowing, shows as exponent 31. */
export function quantizeMse(q: Quantizer, x: Float32Array, codes: Uint8Array, { z, c }: Scratch): number {
  const norm = normalise(q, x, z);
  quantize(z, q.codebook.boundaries, codes);
  dequantize(codes, q.codebook.centroids, c);
  return fitScale(q, norm, z, c);
}

/** codes: (dim,), scale: fp16 bits → out: (dim,), in the rotated basis, without the centre. */
export function dequantizeRotated(q: Quantizer, codes: Uint8Array, scale: number, out: Float32Array): void {
  const s = fromF16(scale);
  dequantize(codes, q.levels, out);
  for (let i = 0; i < out.length; i++) out[i]! *= s;
}

/** codes: (dim,), scale: fp16 bits → out: (dim,), original basis, centre added back. */
export function dequantizeMse(q: Quantizer, codes: Uint8Array, scale: number, out: Float32Array): void {
  dequantizeRotated(q, codes, scale, out);
  leaveFrame(q, out);
}
