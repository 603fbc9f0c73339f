/** Weights of a block of values, times the stored scales, as integers of sixteen bits (src/kernels/integers.ts). */
import { allFinite, finiteFloats, floats } from "../half";
import { join, max4 } from "../lanes";
import { integerScale } from "./score-integers";
import { LEAST, ROUNDER } from "./tables";

/** The sum of magnitudes that 128 integers of one factor may have: 127 · 256 times it fits 31 bits. */
export const MOST_BYTE_SUM: f32 = 65900;

export const USUAL: i32 = 0;
const SKIPPED: i32 = 1;
export const BROKEN: i32 = 2;

/** A row of weights as integers: 256 bytes, then the factor of the block's sums, f32, and how it is, i32. */
export const WEIGHT_BYTES: usize = 272;
export const FACTOR: usize = 256;
export const HOW: usize = 260;

/** Four weights times scales, 0 where a weight is 0; returns their magnitudes. */
@inline
function scaledWeights(weights: v128, scales: v128, out: usize): v128 {
  const scaled = v128.and(f32x4.mul(weights, scales), f32x4.ne(weights, f32x4.splat(0)));
  v128.store(out, scaled);
  return v128.and(scaled, i32x4.splat(0x7fffffff));
}

/** weights: (16·tiles,) · halves, as integers. unit: what a level's integers are multiples of. mostSum: of magnitudes. */
export function prepareWeights(
  weights: usize, tiles: usize, n: usize, halves: usize, unit: f32, mostSum: f32, out: usize,
): void {
  const products = out + WEIGHT_BYTES; // f32, overwritten by whoever comes next
  let most = f32x4.splat(0);
  let sum = most;
  for (let i: usize = 0; i < n; i++, weights += 64) {
    const half = <usize>load<u32>(tiles + i * 4) + halves;
    const to = products + i * 64;
    let f = finiteFloats(v128.load16x4_s(half));
    let g = finiteFloats(v128.load16x4_s(half + 8));
    let h = finiteFloats(v128.load16x4_s(half + 16));
    let k = finiteFloats(v128.load16x4_s(half + 24));
    if (!(allFinite(v128.load(half)) && allFinite(v128.load(half + 16)))) {
      f = floats(v128.load16x4_u(half));
      g = floats(v128.load16x4_u(half + 8));
      h = floats(v128.load16x4_u(half + 16));
      k = floats(v128.load16x4_u(half + 24));
    }
    const a = scaledWeights(v128.load(weights), f, to);
    const b = scaledWeights(v128.load(weights + 16), g, to + 16);
    const c = scaledWeights(v128.load(weights + 32), h, to + 32);
    const d = scaledWeights(v128.load(weights + 48), k, to + 48);
    most = f32x4.pmax(most, f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, d)));
    sum = f32x4.add(f32x4.add(f32x4.add(f32x4.add(sum, a), b), c), d);
  }
  const total = join(sum);
  const usual = total > LEAST && total < Infinity;
  store<i32>(out, usual ? USUAL : total <= LEAST ? SKIPPED : BROKEN, HOW);
  if (!usual) return;
  const scale = integerScale(max4(most), total, mostSum);
  store<f32>(out, unit / scale, FACTOR);
  const s = f32x4.splat(scale);
  const rounder = i32x4.splat(ROUNDER);
  for (let at: usize = 0; at < n * 64; at += 32) {
    const a = i32x4.sub(f32x4.add(f32x4.mul(v128.load(products + at), s), rounder), rounder);
    const b = i32x4.sub(f32x4.add(f32x4.mul(v128.load(products + at + 16), s), rounder), rounder);
    v128.store(out + (at >> 1), i16x8.narrow_i32x4_s(a, b));
  }
}
