/**
 * One row of a weight matrix -> f32, for the block types of GGUF (ggml's layouts, ggml-common.h in llama.cpp).
 *
 *   F32 F16 BF16   n values
 *   Q8_0   32: d f16, 32 i8                              d q
 *   Q4_0   32: d f16, 16 bytes of nibbles                d (q - 8)           nibble order in every 32-block:
 *   Q4_1   32: d f16, m f16, 16 bytes                    d q + m             low nibbles are values 0..15,
 *   Q5_0   32: d f16, u32 fifth bits, 16 bytes           d (q - 16)          high nibbles values 16..31
 *   Q5_1   32: d f16, m f16, u32 fifth bits, 16 bytes    d q + m
 *   Q4_K  256: d f16, m f16, 12 bytes of 6-bit scales and mins, 128 bytes    d s q - m t, eight groups of 32
 *   Q6_K  256: 128 bytes low nibbles, 64 bytes high pairs, 16 i8 scales, d   d s (q - 32), sixteen groups of 16
 */

/** ggml's numbers of the types. */
const F32: i32 = 0;
const F16: i32 = 1;
const Q4_0: i32 = 2;
const Q4_1: i32 = 3;
const Q5_0: i32 = 6;
const Q5_1: i32 = 7;
const Q8_0: i32 = 8;
const Q4_K: i32 = 12;
const Q6_K: i32 = 14;
const BF16: i32 = 30;

/** A finite half. Exponent re-biased by a multiplication, which also does the subnormals. */
// @ts-ignore: decorator
@inline
function half(at: usize): f32 {
  const h = <i32>load<i16>(at);
  return reinterpret<f32>((h << 13) & 0x8fffe000) * <f32>5.192296858534828e33; // 2^112
}

/** 16 signed bytes -> 16 f32 at `to`: q scale + offset. */
// @ts-ignore: decorator
@inline
function expand16(q: v128, scale: v128, offset: v128, to: usize): void {
  const low = i16x8.extend_low_i8x16_s(q);
  const high = i16x8.extend_high_i8x16_s(q);
  v128.store(to, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low)), scale), offset));
  v128.store(to + 16, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low)), scale), offset));
  v128.store(to + 32, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high)), scale), offset));
  v128.store(to + 48, f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high)), scale), offset));
}

// @ts-ignore: decorator
@inline
function lowNibbles(q: v128): v128 {
  return v128.and(q, i8x16.splat(15));
}
// @ts-ignore: decorator
@inline
function highNibbles(q: v128): v128 {
  return v128.and(i16x8.shr_u(q, 4), i8x16.splat(15));
}

/** 16 where the bit of this byte's number is set in the 16 low bits of `bits`, else 0. */
// @ts-ignore: decorator
@inline
function fifthBits(bits: u32): v128 {
  const spread = i8x16.swizzle(i32x4.splat(<i32>bits), i8x16(0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1));
  const mask = i8x16(1, 2, 4, 8, 16, 32, 64, -128, 1, 2, 4, 8, 16, 32, 64, -128);
  return v128.and(i8x16.eq(v128.and(spread, mask), mask), i8x16.splat(16));
}

function rowF16(from: usize, to: usize, n: i32): void {
  const scale = f32x4.splat(<f32>5.192296858534828e33);
  for (let i = 0; i < n; i += 4) {
    const bits = v128.and(i32x4.shl(v128.load16x4_s(from), 13), i32x4.splat(0x8fffe000));
    v128.store(to, f32x4.mul(bits, scale));
    from += 8;
    to += 16;
  }
}

function rowBF16(from: usize, to: usize, n: i32): void {
  for (let i = 0; i < n; i += 4) {
    v128.store(to, i32x4.shl(v128.load16x4_u(from), 16));
    from += 8;
    to += 16;
  }
}

function rowQ8(from: usize, to: usize, n: i32): void {
  const zero = f32x4.splat(0);
  for (let i = 0; i < n; i += 32) {
    const d = f32x4.splat(half(from));
    expand16(v128.load(from + 2), d, zero, to);
    expand16(v128.load(from + 18), d, zero, to + 64);
    from += 34;
    to += 128;
  }
}

function rowQ4(from: usize, to: usize, n: i32): void {
  const zero = f32x4.splat(0);
  for (let i = 0; i < n; i += 32) {
    const d = f32x4.splat(half(from));
    const q = v128.load(from + 2);
    expand16(i8x16.sub(lowNibbles(q), i8x16.splat(8)), d, zero, to);
    expand16(i8x16.sub(highNibbles(q), i8x16.splat(8)), d, zero, to + 64);
    from += 18;
    to += 128;
  }
}

function rowQ4M(from: usize, to: usize, n: i32): void {
  for (let i = 0; i < n; i += 32) {
    const d = f32x4.splat(half(from));
    const m = f32x4.splat(half(from + 2));
    const q = v128.load(from + 4);
    expand16(lowNibbles(q), d, m, to);
    expand16(highNibbles(q), d, m, to + 64);
    from += 20;
    to += 128;
  }
}

function rowQ5(from: usize, to: usize, n: i32): void {
  const zero = f32x4.splat(0);
  for (let i = 0; i < n; i += 32) {
    const d = f32x4.splat(half(from));
    const bits = load<u32>(from + 2);
    const q = v128.load(from + 6);
    expand16(i8x16.sub(v128.or(lowNibbles(q), fifthBits(bits)), i8x16.splat(16)), d, zero, to);
    expand16(i8x16.sub(v128.or(highNibbles(q), fifthBits(bits >> 16)), i8x16.splat(16)), d, zero, to + 64);
    from += 22;
    to += 128;
  }
}

function rowQ5M(from: usize, to: usize, n: i32): void {
  for (let i = 0; i < n; i += 32) {
    const d = f32x4.splat(half(from));
    const m = f32x4.splat(half(from + 2));
    const bits = load<u32>(from + 4);
    const q = v128.load(from + 8);
    expand16(v128.or(lowNibbles(q), fifthBits(bits)), d, m, to);
    expand16(v128.or(highNibbles(q), fifthBits(bits >> 16)), d, m, to + 64);
    from += 24;
    to += 128;
  }
}

/** Six bits of scale j (0..7) of a Q4_K block; `at` is its 12 bytes. */
// @ts-ignore: decorator
@inline
function scale6(at: usize, j: i32): i32 {
  return j < 4
    ? load<u8>(at + j) & 63
    : (load<u8>(at + j + 4) & 15) | ((<i32>load<u8>(at + j - 4) >> 6) << 4);
}
/** Six bits of min j. */
// @ts-ignore: decorator
@inline
function min6(at: usize, j: i32): i32 {
  return j < 4
    ? load<u8>(at + j + 4) & 63
    : (<i32>load<u8>(at + j + 4) >> 4) | ((<i32>load<u8>(at + j) >> 6) << 4);
}

function rowQ4K(from: usize, to: usize, n: i32): void {
  for (let i = 0; i < n; i += 256) {
    const d = half(from);
    const m = half(from + 2);
    for (let j = 0; j < 8; j += 2) {
      const at = from + 16 + 16 * <usize>j;
      const d0 = f32x4.splat(d * <f32>scale6(from + 4, j));
      const m0 = f32x4.splat(-m * <f32>min6(from + 4, j));
      const d1 = f32x4.splat(d * <f32>scale6(from + 4, j + 1));
      const m1 = f32x4.splat(-m * <f32>min6(from + 4, j + 1));
      const a = v128.load(at);
      const b = v128.load(at + 16);
      expand16(lowNibbles(a), d0, m0, to);
      expand16(lowNibbles(b), d0, m0, to + 64);
      expand16(highNibbles(a), d1, m1, to + 128);
      expand16(highNibbles(b), d1, m1, to + 192);
      to += 256;
    }
    from += 144;
  }
}

/** 16 values of a Q6_K block: nibbles and the pair of high bits already in bits 4, 5. */
// @ts-ignore: decorator
@inline
function expandQ6(nibbles: v128, pairs: v128, scale: f32, to: usize): void {
  expand16(i8x16.sub(v128.or(nibbles, pairs), i8x16.splat(32)), f32x4.splat(scale), f32x4.splat(0), to);
}

function rowQ6K(from: usize, to: usize, n: i32): void {
  const pair = i8x16.splat(0x30);
  for (let i = 0; i < n; i += 256) {
    const d = half(from + 208);
    for (let part = 0; part < 2; part++) {
      for (let l = 0; l < 2; l++) {
        const low = from + 64 * part + 16 * l;
        const a = v128.load(low);
        const b = v128.load(low + 32);
        const h = v128.load(from + 128 + 32 * part + 16 * l);
        const scales = from + 192 + 8 * part + l;
        const out = to + 512 * part + 64 * l;
        expandQ6(lowNibbles(a), v128.and(i16x8.shl(h, 4), pair), d * <f32>load<i8>(scales), out);
        expandQ6(lowNibbles(b), v128.and(i16x8.shl(h, 2), pair), d * <f32>load<i8>(scales + 2), out + 128);
        expandQ6(highNibbles(a), v128.and(h, pair), d * <f32>load<i8>(scales + 4), out + 256);
        expandQ6(highNibbles(b), v128.and(i16x8.shr_u(h, 2), pair), d * <f32>load<i8>(scales + 6), out + 384);
      }
    }
    from += 210;
    to += 1024;
  }
}

/** to: (n,) f32 <- one row of `type` at `from`; n a multiple of the type's block, and of 4. */
export function dequantise(type: i32, from: usize, to: usize, n: i32): void {
  if (type == F32) memory.copy(to, from, <usize>n << 2);
  else if (type == F16) rowF16(from, to, n);
  else if (type == Q4_1) rowQ4M(from, to, n);
  else if (type == Q8_0) rowQ8(from, to, n);
  else if (type == Q4_K) rowQ4K(from, to, n);
  else if (type == Q6_K) rowQ6K(from, to, n);
  else if (type == Q4_0) rowQ4(from, to, n);
  else if (type == Q5_0) rowQ5(from, to, n);
  else if (type == Q5_1) rowQ5M(from, to, n);
  else if (type == BF16) rowBF16(from, to, n);
  else unreachable();
}
