/**
 * A codebook: centroids (reconstruction levels) and boundaries (decision levels), both ascending f32.
 *
 * A value's code is the number of boundaries that it is not below: code = #{ b : !(value < boundary[b]) }. A value
 * on a boundary goes to the upper cell, ±0 to the upper of the two middle cells, NaN to the top code (the rule of
 * the engines' wire formats, and of a branch-free SIMD comparison).
 */
import { assertInteger } from "./check.js";
import { GAUSSIAN_BOUNDARIES, GAUSSIAN_CENTROIDS } from "./codebook-tables.js";
import { f32FromBits } from "./float.js";

/** Levels of a scalar quantiser in units of N(0,1), and the boundaries between them. */
export interface Codebook {
  readonly bits: number;
  /** 2^bits values. */
  readonly centroids: Float32Array;
  /** 2^bits − 1 values. */
  readonly boundaries: Float32Array;
}

/** Most bits per coordinate that a code has. */
export const MAX_BITS = 8;

const cache: Codebook[] = [];

/** The frozen Lloyd–Max codebook of N(0,1). bits: 1..8. */
export function gaussianCodebook(bits: number): Codebook {
  assertInteger(bits, "bits", 1, MAX_BITS);
  const made = cache[bits];
  if (made) return made;
  const centroids = mirrored(f32FromBits(GAUSSIAN_CENTROIDS[bits - 1]!), []);
  const boundaries = mirrored(f32FromBits(GAUSSIAN_BOUNDARIES[bits - 1]!), [0]);
  return (cache[bits] = { bits, centroids, boundaries });
}

const mirrored = (positive: Float32Array, middle: readonly number[]): Float32Array =>
  Float32Array.from([...Array.from(positive, (v) => -v).reverse(), ...middle, ...positive]);

/**
 * codes ← cells of values, by bisection: the boundaries ascend, so the count is where the value would go among them.
 * values: (n,) → codes: (n,). boundaries: 2^bits − 1 values.
 */
export function quantize(values: Float32Array, boundaries: Float32Array, codes: Uint8Array): void {
  const half = (boundaries.length + 1) >> 1;
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    let code = 0;
    for (let step = half; step > 0; step >>= 1) if (!(value < boundaries[code + step - 1]!)) code += step;
    codes[i] = code;
  }
}

/** values ← centroids of codes. codes: (n,) → values: (n,). */
export function dequantize(codes: Uint8Array, centroids: Float32Array, values: Float32Array): void {
  for (let i = 0; i < codes.length; i++) values[i] = centroids[codes[i]!]!;
}
