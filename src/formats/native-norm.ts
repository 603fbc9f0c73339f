/**
 * Norms as the engines' scalar C code takes them: one running f32 sum, left to right, no fused multiply-add. Our own
 * formats sum in four lanes (core/float); these two orders disagree in the last bit for about half of all vectors.
 */
import { toF16 } from "../core/float.js";
import { putU16 } from "../core/little-endian.js";

const { fround } = Math;

/** √Σ xᵢ² over x[from … from + count), f32, in order. */
export function sequentialNorm(x: Float32Array, from: number, count: number): number {
  let sum = 0;
  for (let i = from; i < from + count; i++) sum = fround(sum + fround(x[i]! * x[i]!));
  return fround(Math.sqrt(sum));
}

/** The half that ggml writes for a NaN that x86 made of an invalid operation (∞ − ∞, 0·∞): its sign bit is set. */
const INVALID_NAN = 0xfe00;

/**
 * Writes `value` as ggml_fp32_to_fp16 does, where `value` was computed from x[from … from + count). A NaN keeps its
 * sign: that of the first NaN operand, or of x86's default NaN when no operand was one. (With NaNs of both signs in one
 * group the native sign is whatever operand order the compiler chose; the first one is taken here.)
 */
export function putNativeF16(
  out: Uint8Array,
  at: number,
  value: number,
  x: Float32Array,
  from: number,
  count: number,
): void {
  putU16(out, at, Number.isNaN(value) ? nanHalfOf(x, from, count) : toF16(value));
}

function nanHalfOf(x: Float32Array, from: number, count: number): number {
  const bits = new Uint32Array(x.buffer, x.byteOffset + 4 * from, count);
  const first = bits.find((b) => (b & 0x7fffffff) > 0x7f800000);
  return first === undefined ? INVALID_NAN : 0x7e00 | ((first >>> 16) & 0x8000);
}
