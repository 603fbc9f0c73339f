/**
 * FP8 E4M3 (the "fn" kind: no infinities, 0x7f and 0xff are NaN, largest 448): 1 sign, 4 exponent bits with bias 7,
 * 3 mantissa bits; subnormals are multiples of 2⁻⁹.
 */
import { f32Bits } from "./float.js";

const MAX_CODE = 0x7e;
const NAN_CODE = 0x7f;

/** f32 → E4M3, round to nearest, ties to even, saturating at ±448 (infinities too); every NaN gives 0x7f. */
export function toE4M3(value: number): number {
  const bits = f32Bits(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return NAN_CODE;
  const sign = (bits >>> 24) & 0x80;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x43e00000) return sign | MAX_CODE; // ≥ 448
  // Below 2⁻⁶: multiples of 2⁻⁹, the last bit of an f32 mantissa at 2¹⁴, where the sum is rounded.
  if (magnitude < 0x3c800000) return sign | (f32Bits(Math.abs(Math.fround(value)) + 2 ** 14) - 0x46800000);
  // Drop 20 mantissa bits with ties to even, re-bias the exponent from 127 to 7; a carry is the next code.
  return sign | ((magnitude - 0x3c000000 + 0x7ffff + ((magnitude >>> 20) & 1)) >>> 20);
}

/** E4M3 → f32, exactly. */
export function fromE4M3(code: number): number {
  const low = code & 0x7f;
  if (low === NAN_CODE) return Number.NaN;
  const exponent = low >> 3;
  const mantissa = low & 7;
  const magnitude = exponent === 0 ? mantissa * 2 ** -9 : (8 + mantissa) * 2 ** (exponent - 10);
  return code & 0x80 ? -magnitude : magnitude;
}
