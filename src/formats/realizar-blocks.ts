/**
 * The two quantised blocks of realizar's paged KV cache (paiml/realizar 0.8.6, `paged_kv`): 32 f32 values each.
 *
 *   q8  36 B   scale f32 · int8[32]      scale = amax/127, q = round(v · 1/scale) in −127 … 127, value q·scale
 *   q4  20 B   scale f32 · nibbles[16]   scale = amax/7,   q = round(v · 1/scale) in −8 … 7, stored q + 8
 *
 * Element 2i has the low nibble of byte i, element 2i + 1 the high one. Not ggml's blocks of similar names: those
 * have an f16 scale, other nibble partners, and another q4 scale rule.
 *
 * Kept as they are: amax < 1e-10 gives scale 0 and all bytes zero, so that a zero q4 block reads −0 (−8 · 0). A NaN
 * does not enter amax and gets level 0. An infinity makes the scale infinite and all 32 lanes NaN on reading.
 */
import { getF32, putF32 } from "../core/little-endian.js";
import type { Block } from "./block-codec.js";

const { fround } = Math;

/** Values per block. */
export const REALIZAR_BLOCK_VALUES = 32;
const Q8_BYTES = 4 + REALIZAR_BLOCK_VALUES;
const Q4_BYTES = 4 + REALIZAR_BLOCK_VALUES / 2;
/** An amax below this f32 counts as zero. */
const TINY = fround(1e-10);

/** f32::round: half away from zero. Exact, since v ± ½ is exact in f64. */
const roundAway = (v: number): number => (v < 0 ? Math.ceil(v - 0.5) : Math.floor(v + 0.5));

/** round(v) clamped to lowest … highest as an integer; NaN gives 0, as Rust's cast of a float does. */
const level = (v: number, lowest: number, highest: number): number =>
  Math.min(highest, Math.max(lowest, roundAway(v))) | 0;

/** max |x| over the block, starting at 0; NaN is passed over, as f32::max does. */
function largestMagnitude(x: Float32Array, from: number, count: number): number {
  let amax = 0;
  for (let i = from; i < from + count; i++) {
    const v = Math.abs(x[i]!);
    if (v > amax) amax = v;
  }
  return amax;
}

/** int8 codes: realizar's `Q8KvBlock`. */
export const realizarQ8: Block = {
  values: REALIZAR_BLOCK_VALUES,
  bytes: Q8_BYTES,
  quantize(x, from, count, out, at) {
    out.fill(0, at, at + Q8_BYTES);
    const amax = largestMagnitude(x, from, count);
    if (amax < TINY) return;
    const scale = fround(amax / 127);
    const inverse = fround(1 / scale);
    putF32(out, at, scale);
    for (let i = 0; i < count; i++) out[at + 4 + i] = level(fround(x[from + i]! * inverse), -127, 127);
  },
  dequantize(bytes, at, y, to) {
    const scale = getF32(bytes, at);
    for (let i = 0; i < REALIZAR_BLOCK_VALUES; i++) y[to + i] = ((bytes[at + 4 + i]! << 24) >> 24) * scale;
  },
};

/** Four-bit codes, offset by 8: realizar's `Q4KvBlock`. The scale rule leaves code 0 to zero blocks. */
export const realizarQ4: Block = {
  values: REALIZAR_BLOCK_VALUES,
  bytes: Q4_BYTES,
  quantize(x, from, count, out, at) {
    out.fill(0, at, at + Q4_BYTES);
    const amax = largestMagnitude(x, from, count);
    if (amax < TINY) return;
    const scale = fround(amax / 7);
    const inverse = fround(1 / scale);
    putF32(out, at, scale);
    for (let i = 0; i < REALIZAR_BLOCK_VALUES; i++) {
      const q = i < count ? level(fround(x[from + i]! * inverse), -8, 7) + 8 : 8;
      out[at + 4 + (i >> 1)]! |= q << (4 * (i & 1));
    }
  },
  dequantize(bytes, at, y, to) {
    const scale = getF32(bytes, at);
    for (let i = 0; i < REALIZAR_BLOCK_VALUES; i++)
      y[to + i] = (((bytes[at + 4 + (i >> 1)]! >> (4 * (i & 1))) & 15) - 8) * scale;
  },
};
