/** f32 ↔ binary16: the rules of src/core/float.ts. */

/** 2^112: moves an exponent biased by 15 to one biased by 127. */
const REBIAS: u32 = 0x77800000;

/** f32 → bits of the half: nearest, ties to even, overflow to infinity, every NaN to 0x7e00. */
export function toF16(value: f32): u32 {
  const bits = reinterpret<u32>(value);
  const sign = (bits >>> 16) & 0x8000;
  const abs = bits & 0x7fffffff;
  if (abs > 0x7f800000) return 0x7e00;
  if (abs >= 0x477ff000) return sign | 0x7c00;
  // Subnormal halves are multiples of 2^-24, the ulp of 1/2.
  if (abs < 0x38800000) return sign | (reinterpret<u32>(reinterpret<f32>(abs) + <f32>0.5) - 0x3f000000);
  return sign | ((abs - 0x38000000 + 0xfff + ((abs >>> 13) & 1)) >>> 13);
}

/** Bits of a half → f32, exactly. */
export function fromF16(half: u32): f32 {
  let bits = reinterpret<u32>(reinterpret<f32>((half & 0x7fff) << 13) * reinterpret<f32>(REBIAS));
  if ((half & 0x7c00) == 0x7c00) bits |= 0x7f800000;
  return reinterpret<f32>(bits | ((half & 0x8000) << 16));
}

/**
 * Four f32 → halves in 32-bit lanes. Adding 2^(E + 13), E the exponent of the value, -14 at least, rounds to the last
 * bit that a half of that exponent has, and leaves these bits in the mantissa of the sum.
 */
@inline
function halves(x: v128): v128 {
  const abs = v128.and(x, i32x4.splat(0x7fffffff));
  const nan = i32x4.gt_s(abs, i32x4.splat(0x7f800000));
  const sign = v128.andnot(i32x4.shr_u(v128.xor(x, abs), 16), nan);
  const value = i32x4.min_s(abs, i32x4.splat(0x47800000)); // 2^16, which becomes infinity
  const power = i32x4.max_s(v128.and(value, i32x4.splat(0x7f800000)), i32x4.splat(0x38800000));
  const magic = i32x4.add(power, i32x4.splat(13 << 23));
  const mantissa = i32x4.sub(f32x4.add(value, magic), magic);
  const exponent = i32x4.shr_u(i32x4.sub(power, i32x4.splat(0x38800000)), 13);
  const half = v128.or(i32x4.add(exponent, mantissa), sign);
  return v128.or(half, v128.and(nan, i32x4.splat(0x200)));
}

export function f32ToF16(src: usize, dst: usize, n: usize): void {
  const end = dst + ((n & ~7) << 1);
  for (; dst < end; dst += 16, src += 32) {
    v128.store(dst, i16x8.narrow_i32x4_u(halves(v128.load(src)), halves(v128.load(src + 16))));
  }
  for (let i: usize = 0; i < (n & 7); i++) store<u16>(dst + i * 2, toF16(load<f32>(src + i * 4)));
}

/** Halves in 32-bit lanes → four f32. */
@inline
export function floats(half: v128): v128 {
  const exponent = v128.and(half, i32x4.splat(0x7c00));
  const magnitude = i32x4.shl(v128.and(half, i32x4.splat(0x7fff)), 13);
  const value = f32x4.mul(magnitude, i32x4.splat(REBIAS));
  const special = v128.and(i32x4.eq(exponent, i32x4.splat(0x7c00)), i32x4.splat(0x7f800000));
  const sign = i32x4.shl(v128.and(half, i32x4.splat(0x8000)), 16);
  return v128.or(v128.or(value, special), sign);
}

/** None of eight halves is infinite or NaN. */
@inline
export function allFinite(halves: v128): bool {
  const exponent = i16x8.splat(0x7c00);
  return !v128.any_true(i16x8.eq(v128.and(halves, exponent), exponent));
}

/** The same of finite halves, extended with their signs. */
@inline
export function finiteFloats(half: v128): v128 {
  return f32x4.mul(v128.and(i32x4.shl(half, 13), i32x4.splat(0x8fffffff)), i32x4.splat(REBIAS));
}

export function f16ToF32(src: usize, dst: usize, n: usize): void {
  const end = src + ((n & ~7) << 1);
  for (; src < end; src += 16, dst += 32) {
    const v = v128.load(src);
    v128.store(dst, floats(i32x4.extend_low_i16x8_u(v)));
    v128.store(dst + 16, floats(i32x4.extend_high_i16x8_u(v)));
  }
  for (let i: usize = 0; i < (n & 7); i++) store<f32>(dst + i * 4, fromF16(load<u16>(src + i * 2)));
}
