/**
 * vLLM's `--kv-cache-dtype turboquant_*`: per token and head a slot [key part | value part | pad to even].
 *
 *   key, 3 or 4 bits    ⌈d·b/8⌉ index bytes · ‖k‖ f16      y = H (k / (‖k‖ + 1e-8)) / √d, no signs; index = number
 *                                                          of boundaries ≤ yᵢ; decode renormalises the centroids
 *   key, k8v4           d bytes E4M3                       not rotated
 *   value, 3 or 4 bits  ⌈d·b/8⌉ code bytes · scale f16 · zero f16    not rotated; scale = (max − min)/(2ᵇ − 1), at
 *                                                          least 1e-8; q = trunc((v − min)/scale + ½)
 *
 * Codes are LSB-first. Values are quantised with the f32 scale and decoded with the halves. Decoded values are
 * halves, keys in the rotated basis. The pad byte, where there is one (k3v4_nc at d = 8), counts as the value's.
 *
 * The engine's rotation is a matrix product of whatever order its BLAS has; here it is the butterflies of core/wht
 * in f32. The two are within 1.2e-7 of each other, so codes agree except next to a boundary; from a rotated key
 * ({@link putRotatedKey}) they agree exactly.
 */

import { packCodes, packedBytes, unpackCodes } from "../core/bits.js";
import { guessCell } from "../core/cell-guess.js";
import { fromF16, toF16 } from "../core/float.js";
import { fromE4M3, toE4M3 } from "../core/fp8.js";
import { getF16, putF16 } from "../core/little-endian.js";
import { MAX_DIM, wht } from "../core/wht.js";
import { assertSupported, type Block, blockCodec } from "./block-codec.js";
import type { Format, Side } from "./format.js";
import { vllmCodebook } from "./vllm-centroids.js";

const { fround } = Math;
const NORM_FLOOR = fround(1e-8);
const SCALE_FLOOR = fround(1e-8);
const SQUARES_FLOOR = fround(1e-16);

type Bits = 3 | 4;

/** ‖k‖ in f32; the f64 sum is the correctly rounded one for all but a vanishing share of vectors. */
function keyNorm(k: Float32Array, from: number, dim: number): number {
  let sum = 0;
  for (let i = from; i < from + dim; i++) sum += k[i]! * k[i]!;
  return fround(Math.sqrt(sum));
}

/** The key part from what the engine quantises. y: (dim,) = H k/(‖k‖ + 1e-8)/√d; norm: ‖k‖, f32; codes: scratch. */
export function putRotatedKey(
  y: Float32Array,
  norm: number,
  bits: Bits,
  out: Uint8Array,
  at: number,
  codes = new Uint8Array(y.length),
): void {
  const { boundaries, guess } = vllmCodebook(y.length, bits);
  for (let i = 0; i < y.length; i++) {
    let index = guessCell(guess, y[i]!);
    while (index < boundaries.length && y[i]! >= boundaries[index]!) index++;
    codes[i] = index;
  }
  const end = at + packedBytes(y.length, bits);
  packCodes(codes, bits, out.subarray(at, end));
  putF16(out, end, norm);
}

const sums = new Float32Array(8);

/** Σ xᵢ² in numpy's pairwise order, which is what the engine's kernel does under Triton's interpreter. */
function pairwiseSquares(x: Float32Array, from: number, n: number): number {
  if (n > 128) {
    const half = (n >> 1) & ~7;
    return fround(pairwiseSquares(x, from, half) + pairwiseSquares(x, from + half, n - half));
  }
  sums.fill(0);
  for (let i = 0; i < n; i++) sums[i & 7]! += fround(x[from + i]! * x[from + i]!);
  const [a, b, c, d, e, f, g, h] = sums as unknown as number[];
  const low = fround(fround(a! + b!) + fround(c! + d!));
  return fround(low + fround(fround(e! + f!) + fround(g! + h!)));
}

function rotateUnsigned(x: Float32Array): void {
  const unit = fround(1 / Math.sqrt(x.length));
  wht(x, x.length);
  for (let i = 0; i < x.length; i++) x[i]! *= unit;
}

function rotatedKey(dim: number, bits: Bits): Block {
  const codeBytes = packedBytes(dim, bits);
  const { centroids } = vllmCodebook(dim, bits);
  const y = new Float32Array(dim);
  const codes = new Uint8Array(dim);
  return {
    values: dim,
    bytes: codeBytes + 2,
    quantize(x, from, _count, out, at) {
      const norm = keyNorm(x, from, dim);
      const divisor = fround(norm + NORM_FLOOR);
      for (let i = 0; i < dim; i++) y[i] = x[from + i]! / divisor;
      rotateUnsigned(y);
      putRotatedKey(y, norm, bits, out, at, codes);
    },
    dequantize(bytes, at, out, to) {
      unpackCodes(bytes.subarray(at, at + codeBytes), bits, codes);
      for (let i = 0; i < dim; i++) y[i] = centroids[codes[i]!]!;
      const inverse = fround(1 / fround(Math.sqrt(fround(pairwiseSquares(y, 0, dim) + SQUARES_FLOOR))));
      const norm = getF16(bytes, at + codeBytes);
      for (let i = 0; i < dim; i++) out[to + i] = fromF16(toF16(norm * fround(y[i]! * inverse)));
    },
    unrotate: rotateUnsigned,
  };
}

const fp8Key = (dim: number): Block => ({
  values: dim,
  bytes: dim,
  quantize(x, from, _count, out, at) {
    for (let i = 0; i < dim; i++) out[at + i] = toE4M3(x[from + i]!);
  },
  dequantize(bytes, at, y, to) {
    for (let i = 0; i < dim; i++) y[to + i] = fromE4M3(bytes[at + i]!);
  },
});

/** pad: bytes that fill the slot up to an even size. */
function minMaxValue(dim: number, bits: Bits, pad: number): Block {
  const top = 2 ** bits - 1;
  const codeBytes = packedBytes(dim, bits);
  const codes = new Uint8Array(dim);
  return {
    values: dim,
    bytes: codeBytes + 4 + pad,
    quantize(x, from, _count, out, at) {
      let min = Number.POSITIVE_INFINITY;
      let max = Number.NEGATIVE_INFINITY;
      for (let i = from; i < from + dim; i++) {
        min = Math.min(min, x[i]!);
        max = Math.max(max, x[i]!);
      }
      const range = fround(fround(max - min) / top);
      const scale = range > SCALE_FLOOR ? range : SCALE_FLOOR;
      for (let i = 0; i < dim; i++) {
        const q = Math.trunc(fround(fround(fround(x[from + i]! - min) / scale) + 0.5));
        codes[i] = q > 0 ? Math.min(q, top) : 0;
      }
      packCodes(codes, bits, out.subarray(at, at + codeBytes));
      putF16(out, at + codeBytes, scale);
      putF16(out, at + codeBytes + 2, min);
      out.fill(0, at + codeBytes + 4, at + codeBytes + 4 + pad);
    },
    dequantize(bytes, at, y, to) {
      unpackCodes(bytes.subarray(at, at + codeBytes), bits, codes);
      const scale = getF16(bytes, at + codeBytes);
      const zero = getF16(bytes, at + codeBytes + 2);
      for (let i = 0; i < dim; i++) y[to + i] = fromF16(toF16(fround(codes[i]! * scale) + zero));
    },
  };
}

function vllm(name: string, keyBits: Bits | 8, valueBits: Bits, verified: string): Format {
  const about = {
    name: `vllm/${name}`,
    family: "vllm",
    dims: `powers of two in 8..${MAX_DIM}`,
    supports: (dim: number) => Number.isInteger(dim) && dim >= 8 && dim <= MAX_DIM && (dim & (dim - 1)) === 0,
    rotated: keyBits !== 8,
    verified,
    source: "vLLM Triton kernels _tq_fused_store_*, _tq_full_dequant_kv; spec of the recorded vectors",
  };
  const keyBytes = (dim: number): number => (keyBits === 8 ? dim : packedBytes(dim, keyBits) + 2);
  const valueBytes = (dim: number): number => packedBytes(dim, valueBits) + 4;
  const pad = (dim: number): number => (keyBytes(dim) + valueBytes(dim)) & 1;
  return {
    ...about,
    vectorBytes: (dim: number, side: Side = "key") =>
      side === "key" ? keyBytes(dim) : valueBytes(dim) + pad(dim),
    open({ dim, side = "key" }) {
      assertSupported(about, dim);
      if (side === "value") return blockCodec(dim, minMaxValue(dim, valueBits, pad(dim)));
      return blockCodec(dim, keyBits === 8 ? fp8Key(dim) : rotatedKey(dim, keyBits));
    },
  };
}

const CODES =
  "norms, value bytes and decoded halves exactly; key codes exactly from the engine's rotated key, from the key itself except within 1e-6 of a boundary (the engine's matrix product has an order of its own)";

export const vllmFormats: readonly Format[] = [
  vllm(
    "k8v4",
    8,
    4,
    "value bytes and decoded halves exactly; the FP8 keys are NOT verified against native bytes",
  ),
  vllm("4bit_nc", 4, 4, CODES),
  vllm("k3v4_nc", 3, 4, CODES),
  vllm("3bit_nc", 3, 3, CODES),
];
