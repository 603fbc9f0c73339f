/**
 * Sums of waves (src/core/waves.ts), added to scores a span of 32 positions at a time. Lanes are four neighbouring
 * distances τ from the middle: one sum of cosines and one of sines serve the token after and the token before it.
 *
 * The record, mirrored by src/kernels/wave-plan.ts:
 *
 *   0  channels u32, a multiple of 4    8  table → (summed, 2, 16)      16  turned → (channels, 2) working space
 *   4  summed   u32                    12  smooth → (channels − summed, 8)
 */
import { addProduct } from "./lanes";

/** turned: (channels, 2) ← wave · turn, as complex numbers. */
@inline
function turnWave(wave: usize, turn: usize, channels: usize, turned: usize): void {
  const plane = channels << 2;
  for (const end = wave + plane; wave < end; wave += 16, turn += 16, turned += 32) {
    const re = v128.load(wave);
    const im = v128.load(wave + plane);
    const c = v128.load(turn);
    const s = v128.load(turn + plane);
    const x = f32x4.sub(f32x4.mul(re, c), f32x4.mul(im, s));
    const y = f32x4.add(f32x4.mul(re, s), f32x4.mul(im, c));
    v128.store(turned, v128.shuffle<f32>(x, y, 0, 4, 1, 5));
    v128.store(turned + 16, v128.shuffle<f32>(x, y, 2, 6, 3, 7));
  }
}

/** Four τ from the coefficients (α₀, β₁, α₂, β₃) and (α₄, β₅): cosines where `odd` is false, sines where it is true. */
@inline
function smoothPart(odd: bool, coefficients: v128, highest: v128, t: v128): v128 {
  const square = f32x4.mul(t, t);
  if (!odd) {
    const a0 = v128.shuffle<f32>(coefficients, coefficients, 0, 0, 0, 0);
    const a2 = v128.shuffle<f32>(coefficients, coefficients, 2, 2, 2, 2);
    const a4 = v128.shuffle<f32>(highest, highest, 0, 0, 0, 0);
    return f32x4.add(a0, f32x4.mul(f32x4.add(a2, f32x4.mul(a4, square)), square));
  }
  const b1 = v128.shuffle<f32>(coefficients, coefficients, 1, 1, 1, 1);
  const b3 = v128.shuffle<f32>(coefficients, coefficients, 3, 3, 3, 3);
  const b5 = v128.shuffle<f32>(highest, highest, 1, 1, 1, 1);
  return f32x4.mul(t, f32x4.add(b1, f32x4.mul(f32x4.add(b3, f32x4.mul(b5, square)), square)));
}

/** out[…] += the tokens after and before the middle. after, before: 4 values each, `before` from the middle outwards. */
@inline
function addPair(out: usize, after: usize, before: usize, cosines: v128, sines: v128): void {
  v128.store(out + after, f32x4.add(v128.load(out + after), f32x4.sub(cosines, sines)));
  const mirrored = f32x4.add(cosines, sines);
  v128.store(out + before, f32x4.add(v128.load(out + before), v128.shuffle<f32>(mirrored, mirrored, 3, 2, 1, 0)));
}

/** wave: re (channels), im (channels), rest; turns: (spans, 2, channels); out: (spans, 32) += the sums. */
export function addWaves(plan: usize, wave: usize, turns: usize, spans: usize, out: usize): void {
  const channels = <usize>load<u32>(plan);
  const summed = <usize>load<u32>(plan, 4);
  const table = <usize>load<u32>(plan, 8);
  const smooth = <usize>load<u32>(plan, 12);
  const turned = <usize>load<u32>(plan, 16);
  const tableEnd = table + (summed << 7);
  const turnedEnd = turned + (channels << 3);
  for (; spans > 0; spans--, turns += channels << 3, out += 128) {
    turnWave(wave, turns, channels, turned);
    const none = f32x4.splat(0);
    let c0 = none;
    let c1 = none;
    let c2 = none;
    let c3 = none;
    let s0 = none;
    let s1 = none;
    let s2 = none;
    let s3 = none;
    let b = turned;
    for (let at = table; at < tableEnd; at += 128, b += 8) {
      const re = v128.load32_splat(b);
      c0 = addProduct(c0, re, v128.load(at));
      c1 = addProduct(c1, re, v128.load(at + 16));
      c2 = addProduct(c2, re, v128.load(at + 32));
      c3 = addProduct(c3, re, v128.load(at + 48));
      const im = v128.load32_splat(b + 4);
      s0 = addProduct(s0, im, v128.load(at + 64));
      s1 = addProduct(s1, im, v128.load(at + 80));
      s2 = addProduct(s2, im, v128.load(at + 96));
      s3 = addProduct(s3, im, v128.load(at + 112));
    }
    // Two sums of smooth channels, so that neither waits for the other.
    let low = f32x4.replace_lane(none, 0, load<f32>(wave + (channels << 3)));
    let high = none;
    let lowOther = none;
    let highOther = none;
    let at = smooth;
    for (; b + 8 < turnedEnd; b += 16, at += 64) {
      const pair = v128.load64_splat(b);
      low = addProduct(low, pair, v128.load(at));
      high = addProduct(high, pair, v128.load(at + 16));
      const other = v128.load64_splat(b + 8);
      lowOther = addProduct(lowOther, other, v128.load(at + 32));
      highOther = addProduct(highOther, other, v128.load(at + 48));
    }
    if (b < turnedEnd) {
      const pair = v128.load64_splat(b);
      low = addProduct(low, pair, v128.load(at));
      high = addProduct(high, pair, v128.load(at + 16));
    }
    low = f32x4.add(low, lowOther);
    high = f32x4.add(high, highOther);
    c0 = f32x4.add(c0, smoothPart(false, low, high, f32x4(0.5, 1.5, 2.5, 3.5)));
    c1 = f32x4.add(c1, smoothPart(false, low, high, f32x4(4.5, 5.5, 6.5, 7.5)));
    c2 = f32x4.add(c2, smoothPart(false, low, high, f32x4(8.5, 9.5, 10.5, 11.5)));
    c3 = f32x4.add(c3, smoothPart(false, low, high, f32x4(12.5, 13.5, 14.5, 15.5)));
    s0 = f32x4.add(s0, smoothPart(true, low, high, f32x4(0.5, 1.5, 2.5, 3.5)));
    s1 = f32x4.add(s1, smoothPart(true, low, high, f32x4(4.5, 5.5, 6.5, 7.5)));
    s2 = f32x4.add(s2, smoothPart(true, low, high, f32x4(8.5, 9.5, 10.5, 11.5)));
    s3 = f32x4.add(s3, smoothPart(true, low, high, f32x4(12.5, 13.5, 14.5, 15.5)));
    addPair(out, 64, 48, c0, s0);
    addPair(out, 80, 32, c1, s1);
    addPair(out, 96, 16, c2, s2);
    addPair(out, 112, 0, c3, s3);
  }
}
