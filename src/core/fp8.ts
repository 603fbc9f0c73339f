/**
 * FP8 E4M3 (the "fn" kind: no infinities, 0x7f and 0xff are NaN, largest 448): 1 sign, 4 exponent bits with bias 7,
 * 3 mantissa bits; subnormals are multiples of 2⁻⁹.
 */
import { f32Bits } from "./float.js";

const MAX_CODE = 0x7e;
const NAN_CODE = 0x7f;
const LEAST_EXPONENT = -6;

/** f32 → E4M3, round to nearest, ties to even, saturating at ±448 (infinities too); every NaN gives 0x7f. */
export function toE4M3(value: number): number {
  const bits = f32Bits(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return NAN_CODE;
  const sign = (bits >>> 24) & 0x80;
  const magnitude = Math.abs(Math.fround(value));
  if (magnitude >= 448) return sign | MAX_CODE;
  const exponent = Math.max(((bits >>> 23) & 255) - 127, LEAST_EXPONENT);
  // In units of the last mantissa bit; a carry into the next binade is the next code.
  const units = magnitude * 2 ** (3 - exponent);
  const floor = Math.floor(units);
  const rest = units - floor;
  const rounded = floor + (rest > 0.5 || (rest === 0.5 && floor & 1) ? 1 : 0);
  return sign | ((exponent - LEAST_EXPONENT) * 8 + rounded);
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
