/**
 * The number contract: f32 arithmetic in one order, and IEEE binary16.
 *
 * f32 `+ − × ÷ √` computed in f64 and rounded once are exact (double rounding is innocuous for these), so
 * elementwise code needs no care. Sums do: every reduction in this library runs in four lanes (i mod 4) that
 * are joined as (l0 + l2) + (l1 + l3), which is what a 128-bit SIMD register does. That order is part of the
 * definition, and every backend has it.
 */

const { fround } = Math;
const lane = new Float32Array(4); // a store rounds to f32

const joinLanes = (): number => fround(fround(lane[0]! + lane[2]!) + fround(lane[1]! + lane[3]!));

/** Σ xᵢ², f32, in lane order. x: (n,), n a multiple of 4. */
export function sumOfSquares(x: Float32Array): number {
  lane.fill(0);
  for (let i = 0; i < x.length; i++) lane[i & 3]! += fround(x[i]! * x[i]!);
  return joinLanes();
}

/** Σ xᵢ·yᵢ, f32, in lane order. x, y: (n,), n a multiple of 4. */
export function dot(x: Float32Array, y: Float32Array): number {
  lane.fill(0);
  for (let i = 0; i < x.length; i++) lane[i & 3]! += fround(x[i]! * y[i]!);
  return joinLanes();
}

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

/** The bit pattern of `value` rounded to f32. */
export function f32Bits(value: number): number {
  f32[0] = value;
  return u32[0]!;
}

/** The f32 values with these bit patterns. */
export const f32FromBits = (bits: readonly number[]): Float32Array =>
  new Float32Array(Uint32Array.from(bits).buffer);

/** Largest finite half. */
export const F16_MAX = 65504;
/** f32 values from here on round to an infinite half. */
export const F16_OVERFLOW = 65520;

/**
 * f32 → binary16 bits, round to nearest, ties to even; overflow gives infinity, every NaN gives 0x7e00.
 * `value` is rounded to f32 first (DEVIATION from a single f64 → f16 rounding: the inputs here are f32).
 */
export function toF16(value: number): number {
  const bits = f32Bits(value);
  const sign = (bits >>> 16) & 0x8000;
  const abs = bits & 0x7fffffff;
  if (abs > 0x7f800000) return 0x7e00;
  if (abs >= 0x477ff000) return sign | 0x7c00; // ≥ 65520
  if (abs < 0x38800000) {
    // Below 2^-14: subnormal halves are multiples of 2^-24. Adding 1/2 puts them in the last bits of an
    // f32 mantissa (ulp of 0.5 is 2^-24), so the hardware rounds to nearest even for us.
    f32[0] = fround(fround(Math.abs(fround(value))) + 0.5);
    return sign | (u32[0]! - 0x3f000000);
  }
  // Normal: drop 13 mantissa bits with ties to even, re-bias the exponent from 127 to 15.
  return sign | ((abs - 0x38000000 + 0xfff + ((abs >>> 13) & 1)) >>> 13);
}

/** binary16 bits → the f32 value, exactly. */
export function fromF16(half: number): number {
  // The fields at their places in an f32 have an exponent that is biased by 15 instead of 127.
  u32[0] = (half & 0x7fff) << 13;
  const exponent = half & 0x7c00;
  const magnitude =
    exponent === 0x7c00 ? ((half & 0x3ff) === 0 ? Number.POSITIVE_INFINITY : Number.NaN) : f32[0]! * 2 ** 112;
  return half & 0x8000 ? -magnitude : magnitude;
}

/** Each value as a half, little-endian. values: (n,) → out: (n,) halves. */
export function toF16Array(values: Float32Array, out = new Uint16Array(values.length)): Uint16Array {
  for (let i = 0; i < values.length; i++) out[i] = toF16(values[i]!);
  return out;
}

/** halves: (n,) → out: (n,) f32. */
export function fromF16Array(halves: Uint16Array, out = new Float32Array(halves.length)): Float32Array {
  for (let i = 0; i < halves.length; i++) out[i] = fromF16(halves[i]!);
  return out;
}
