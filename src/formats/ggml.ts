/**
 * Stock ggml blocks of 32 values (`quantize_row_*_ref` of ggml-quants.c), and halves.
 *
 *   q8_0  34 B   d f16 · int8[32]
 *   q4_0  18 B   d f16 · nibbles[16]                       value (q − 8)·d
 *   q4_1  20 B   d f16 · m f16 · nibbles[16]               value q·d + m
 *   q5_0  22 B   d f16 · high bits u32 · nibbles[16]       value (q − 16)·d
 *   q5_1  24 B   d f16 · m f16 · high bits u32 · nibbles   value q·d + m
 *
 * Element i < 16 has the low nibble of byte i, element i + 16 the high one; bit i of the high bits is element i's.
 * The quantiser multiplies by the f32 reciprocal of the d that is not yet rounded to a half.
 *
 * C's float → int8 conversion on x86 is truncation to int32 (0x80000000 out of range or for NaN), then the low
 * byte. `v | 0` has the same low byte for every f32: out of range ToInt32 wraps, and floats ≥ 2³¹ are multiples
 * of 256. So the casts below agree on NaN and infinities too.
 */
import { getF16, getU32, putF16, putU32 } from "../core/little-endian.js";
import { MAX_DIM } from "../core/wht.js";
import { type Block, blockFormat } from "./block-codec.js";
import type { Format } from "./format.js";
import { putNativeF16 } from "./native-norm.js";

const { fround } = Math;
const SIZE = 32;
const HALF = SIZE / 2;
const FLT_MAX = 3.4028234663852886e38;

const reciprocal = (d: number): number => (d !== 0 ? fround(1 / d) : 0);
/** (int8_t) v */
const toInt8 = (v: number): number => (v << 24) >> 24;
/** roundf: half away from zero. Exact, since v ± ½ is exact in f64. */
const roundAway = (v: number): number => (v < 0 ? Math.ceil(v - 0.5) : Math.floor(v + 0.5));

const q8_0: Block = {
  values: SIZE,
  bytes: 2 + SIZE,
  quantize(x, from, _count, out, at) {
    let amax = 0;
    for (let i = 0; i < SIZE; i++) {
      const v = Math.abs(x[from + i]!);
      amax = amax > v ? amax : v; // C's MAX(amax, v): a NaN enters, and the next value displaces it
    }
    const d = fround(amax / 127);
    const id = reciprocal(d);
    putF16(out, at, d);
    for (let i = 0; i < SIZE; i++) out[at + 2 + i] = roundAway(fround(x[from + i]! * id)) | 0;
  },
  dequantize(bytes, at, y, to) {
    const d = getF16(bytes, at);
    for (let i = 0; i < SIZE; i++) y[to + i] = toInt8(bytes[at + 2 + i]!) * d;
  },
};

/** Levels −2^(bits−1) … 2^(bits−1) − 1 times d; the value of largest magnitude gets the lowest level. */
function symmetric(bits: 4 | 5): Block {
  const zero = 1 << (bits - 1);
  const layout = nibbles(bits, 2);
  return {
    values: SIZE,
    bytes: layout.end,
    quantize(x, from, _count, out, at) {
      let amax = 0;
      let max = 0;
      for (let i = 0; i < SIZE; i++) {
        const v = x[from + i]!;
        if (amax < Math.abs(v)) {
          amax = Math.abs(v);
          max = v;
        }
      }
      const d = fround(max / -zero);
      const id = reciprocal(d);
      putF16(out, at, d);
      for (let i = 0; i < SIZE; i++) {
        const level = toInt8(fround(fround(x[from + i]! * id) + (zero + 0.5)));
        codes[i] = level < 2 * zero - 1 ? level : 2 * zero - 1;
      }
      layout.put(out, at);
    },
    dequantize(bytes, at, y, to) {
      const d = getF16(bytes, at);
      layout.get(bytes, at);
      for (let i = 0; i < SIZE; i++) y[to + i] = (codes[i]! - zero) * d;
    },
  };
}

/** Levels 0 … 2^bits − 1 times d above the minimum m. */
function affine(bits: 4 | 5): Block {
  const top = (1 << bits) - 1;
  const layout = nibbles(bits, 4);
  return {
    values: SIZE,
    bytes: layout.end,
    quantize(x, from, _count, out, at) {
      let min = FLT_MAX;
      let max = -FLT_MAX;
      for (let i = 0; i < SIZE; i++) {
        const v = x[from + i]!;
        if (v < min) min = v;
        if (v > max) max = v;
      }
      const d = fround(fround(max - min) / top);
      const id = reciprocal(d);
      putF16(out, at, d);
      putF16(out, at + 2, min);
      for (let i = 0; i < SIZE; i++) {
        const v = fround(fround(fround(x[from + i]! - min) * id) + 0.5);
        // q4_1 caps an int8 at 15; q5_1 takes the low five bits of a byte.
        codes[i] = bits === 5 ? v | 0 : Math.min(top, toInt8(v));
      }
      layout.put(out, at);
    },
    dequantize(bytes, at, y, to) {
      const d = getF16(bytes, at);
      const m = getF16(bytes, at + 2);
      layout.get(bytes, at);
      for (let i = 0; i < SIZE; i++) y[to + i] = fround(codes[i]! * d) + m;
    },
  };
}

const codes = new Uint8Array(SIZE);

/** Where the codes lie after `header` bytes of scales: high bits first (5-bit only), then 16 nibble pairs. */
function nibbles(bits: 4 | 5, header: number) {
  const low = header + (bits === 5 ? 4 : 0);
  return {
    end: low + HALF,
    put(out: Uint8Array, at: number): void {
      for (let i = 0; i < HALF; i++)
        out[at + low + i] = (codes[i]! & (bits === 5 ? 15 : 255)) | (codes[i + HALF]! << 4);
      if (bits === 4) return;
      let high = 0;
      for (let i = 0; i < SIZE; i++) high |= ((codes[i]! >> 4) & 1) << i;
      putU32(out, at + header, high);
    },
    get(bytes: Uint8Array, at: number): void {
      const high = bits === 5 ? getU32(bytes, at + header) : 0;
      for (let i = 0; i < HALF; i++) {
        const pair = bytes[at + low + i]!;
        codes[i] = (pair & 15) | (((high >>> i) & 1) << 4);
        codes[i + HALF] = (pair >> 4) | (((high >>> (i + HALF)) & 1) << 4);
      }
    },
  };
}

/** One value as a half; the sign of a NaN is kept, as ggml_fp32_to_fp16 does. */
const half: Block = {
  values: 1,
  bytes: 2,
  quantize(x, from, _count, out, at) {
    putNativeF16(out, at, x[from]!, x, from, 1);
  },
  dequantize(bytes, at, y, to) {
    y[to] = getF16(bytes, at);
  },
};

const ggml = (name: string, block: Block): Format =>
  blockFormat(
    {
      name: `ggml/${name}`,
      family: "ggml",
      dims: block.values === 1 ? "any positive integer" : `multiples of ${block.values}`,
      supports: (dim) => Number.isInteger(dim) && dim >= 1 && dim <= MAX_DIM && dim % block.values === 0,
      rotated: false,
      verified:
        "every packed byte and decoded value, against native vectors of the scalar reference quantiser",
      source: "ggml-quants.c, quantize_row_*_ref, as in TheTom/llama-cpp-turboquant 69d8e4be4",
    },
    () => block,
  );

export const ggmlFormats: readonly Format[] = [
  ggml("q8_0", q8_0),
  ggml("q4_0", symmetric(4)),
  ggml("q4_1", affine(4)),
  ggml("q5_0", symmetric(5)),
  ggml("q5_1", affine(5)),
  ggml("f16", half),
];
