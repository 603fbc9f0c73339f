/**
 * tq3_1s and tq4_1s, weight types of the llama.cpp fork (TheTom/llama-cpp-turboquant 69d8e4be4): 32 values, one
 * scale for each half of the rotated block, indices as one little-endian bit stream. Not cache formats.
 *
 *   tq3_1s  16 B   d₀ f16 · d₁ f16 · 32 × 3 bits
 *   tq4_1s  20 B   d₀ f16 · d₁ f16 · 32 × 4 bits
 *
 * Quantise: rotate (fixed signs, H, 1/√32); start from the RMS of each half times the one factor of nine that
 * gives the smallest total squared error; refine six times by d = Σ x·c / Σ c²; indices from the f32 scales.
 * Dequantise: c[index]·d, rotated back, so the engine returns the original basis.
 */
import { packCodes, unpackCodes } from "../core/bits.js";
import { getF16 } from "../core/little-endian.js";
import { MAX_DIM, wht } from "../core/wht.js";
import { type Block, blockFormat } from "./block-codec.js";
import type { Format } from "./format.js";
import { LLAMA_TINY } from "./llama-turbo.js";
import { type NativeCodebook, nativeCodebook, nativeIndex, symmetricCodebook } from "./native-codebook.js";
import { putNativeF16 } from "./native-norm.js";

const { fround } = Math;
const SIZE = 32;
const HALF = 16;
const UNIT = fround(1 / Math.sqrt(SIZE));

/** The golden-ratio hash of i: bit 31 of i · 0x9e3779b9 set means −1. */
export const WEIGHT_SIGNS = Float32Array.from({ length: SIZE }, (_, i) =>
  Math.imul(i, 0x9e3779b9) < 0 ? -1 : 1,
);

/** Of three bits, as the fork has it: not symmetric. */
export const WEIGHT_THREE = nativeCodebook(
  Float32Array.of(-1.996684, -1.291398, -0.740341, -0.247508, 0.230106, 0.725222, 1.277503, 1.988943),
  Float32Array.of(-1.644041, -1.01587, -0.493925, -0.008701, 0.477664, 1.001363, 1.633223),
);

/** Of four bits. */
export const WEIGHT_FOUR = symmetricCodebook(
  [0.128395, 0.388048, 0.656759, 0.94234, 1.256231, 1.618046, 2.069017, 2.73259],
  [0.258222, 0.522404, 0.79955, 1.099286, 1.437139, 1.843532, 2.400804],
);

/** Of the RMS, tried in this order. */
export const WEIGHT_FACTORS = Float32Array.of(0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.35, 1.5);
const WORST = fround(1e30);
/** Least squares after the best factor. */
export const WEIGHT_ROUNDS = 6;

const z = new Float32Array(SIZE);
const codes = new Uint8Array(SIZE);

const inverse = (d: number): number => (d > LLAMA_TINY ? fround(1 / d) : 0);

/** RMS of z[first … first + 16). */
function rms(first: number): number {
  let sum = 0;
  for (let i = first; i < first + HALF; i++) sum = fround(sum + fround(z[i]! * z[i]!));
  return fround(Math.sqrt(fround(sum / HALF)));
}

/** `sum` plus the squared errors of the half at `first` with scale d. */
function addError(book: NativeCodebook, first: number, d: number, sum: number): number {
  const id = inverse(d);
  for (let i = first; i < first + HALF; i++) {
    const c = book.centroids[nativeIndex(book, fround(z[i]! * id))]!;
    const e = fround(z[i]! - fround(c * d));
    sum = fround(sum + fround(e * e));
  }
  return sum;
}

/** The least-squares scale for the indices that d gives; d itself where there is none. */
function refined(book: NativeCodebook, first: number, d: number): number {
  const id = inverse(d);
  let num = 0;
  let den = 0;
  for (let i = first; i < first + HALF; i++) {
    const c = book.centroids[nativeIndex(book, fround(z[i]! * id))]!;
    num = fround(num + fround(z[i]! * c));
    den = fround(den + fround(c * c));
  }
  return den > LLAMA_TINY ? fround(num / den) : d;
}

function weightBlock(book: NativeCodebook): Block {
  const bytes = 4 + (SIZE * book.bits) / 8;
  return {
    values: SIZE,
    bytes,
    quantize(x, from, _count, out, at) {
      for (let i = 0; i < SIZE; i++) z[i] = x[from + i]! * WEIGHT_SIGNS[i]!;
      wht(z, SIZE);
      for (let i = 0; i < SIZE; i++) z[i]! *= UNIT;

      const rms0 = rms(0);
      const rms1 = rms(HALF);
      let d0 = rms0;
      let d1 = rms1;
      let least = WORST;
      for (const factor of WEIGHT_FACTORS) {
        const try0 = fround(rms0 * factor);
        const try1 = fround(rms1 * factor);
        const error = addError(book, HALF, try1, addError(book, 0, try0, 0));
        if (error < least) {
          least = error;
          d0 = try0;
          d1 = try1;
        }
      }
      for (let round = 0; round < WEIGHT_ROUNDS; round++) {
        d0 = refined(book, 0, d0);
        d1 = refined(book, HALF, d1);
      }
      putNativeF16(out, at, d0, x, from, SIZE);
      putNativeF16(out, at + 2, d1, x, from, SIZE);
      const id0 = inverse(d0);
      const id1 = inverse(d1);
      for (let i = 0; i < SIZE; i++) codes[i] = nativeIndex(book, fround(z[i]! * (i < HALF ? id0 : id1)));
      packCodes(codes, book.bits, out.subarray(at + 4, at + bytes));
    },
    dequantize(from, at, y, to) {
      const d0 = getF16(from, at);
      const d1 = getF16(from, at + 2);
      unpackCodes(from.subarray(at + 4, at + bytes), book.bits, codes);
      for (let i = 0; i < SIZE; i++) z[i] = book.centroids[codes[i]!]! * (i < HALF ? d0 : d1);
      wht(z, SIZE);
      for (let i = 0; i < SIZE; i++) y[to + i] = z[i]! * (UNIT * WEIGHT_SIGNS[i]!);
    },
  };
}

const weights = (name: string, book: NativeCodebook): Format =>
  blockFormat(
    {
      name: `llama/${name}`,
      family: "llama",
      dims: "multiples of 32",
      supports: (dim) => Number.isInteger(dim) && dim >= SIZE && dim <= MAX_DIM && dim % SIZE === 0,
      rotated: false,
      verified:
        "every packed byte and decoded value, against native vectors of the CPU code; CUDA rounds the centroids to int8 and differs",
      source: "TheTom/llama-cpp-turboquant 69d8e4be4, ggml-turbo-quant.c",
    },
    () => weightBlock(book),
  );

export const llamaWeightFormats: readonly Format[] = [
  weights("tq3_1s", WEIGHT_THREE),
  weights("tq4_1s", WEIGHT_FOUR),
];
