/**
 * ONNX Runtime's WebGPU 4-bit cache (onnxruntime-web 1.30, `kvCacheQuantizationBits` = 4), keys and values alike.
 *
 *   ‖x‖ f32 · d/8 words u32, eight nibbles each, low first      4 + d/2 bytes
 *
 * y = H x / (‖x‖ √d), no signs; index = number of boundaries strictly below yᵢ (a tie goes down: zero is index 7);
 * value = centroid · ‖x‖, rotated back. No norm correction. A zero vector: norm 0, all nibbles 7. One table, the
 * sphere marginal of d = 128 at four digits, serves every head size, which costs quality at other sizes.
 *
 * The norm is taken after the rotation, by a workgroup of 64: lane i adds elements i, i + 64, …, then the lanes are
 * joined by halving, lane i with lane i + 32, 16, …, 1. With that order every recorded byte is equal; on other GPUs
 * the last bit of a norm, and codes within 1e-6 of a boundary, may differ.
 */
import { packCodes, unpackCodes } from "../core/bits.js";
import { guessCell } from "../core/cell-guess.js";
import { getF32, putF32 } from "../core/little-endian.js";
import { MAX_DIM, wht } from "../core/wht.js";
import { assertSupported, type Block, blockCodec } from "./block-codec.js";
import type { Format } from "./format.js";
import { symmetricCodebook } from "./native-codebook.js";

const { fround } = Math;

export const ONNX_CODEBOOK = symmetricCodebook(
  [0.0113, 0.0342, 0.0578, 0.0829, 0.1104, 0.1419, 0.1809, 0.2377],
  [0.0227, 0.046, 0.0704, 0.0966, 0.1261, 0.1614, 0.2093],
);

/** #{ b : b < value }. */
export function onnxIndex(value: number): number {
  const { boundaries, guess } = ONNX_CODEBOOK;
  let index = guessCell(guess, value);
  while (index < boundaries.length && boundaries[index]! < value) index++;
  return index;
}

const LANES = 64;
const lanes = new Float32Array(LANES);

/** ‖y‖ in the order of the engine's workgroup, f32. */
function workgroupNorm(y: Float32Array): number {
  lanes.fill(0);
  for (let i = 0; i < y.length; i++) lanes[i % LANES]! += fround(y[i]! * y[i]!);
  for (let step = LANES >> 1; step > 0; step >>= 1)
    for (let i = 0; i < step; i++) lanes[i]! += lanes[i + step]!;
  return fround(Math.sqrt(lanes[0]!));
}

function onnxBlock(dim: number): Block {
  const unit = fround(1 / Math.sqrt(dim));
  const bytes = 4 + dim / 2;
  const y = new Float32Array(dim);
  const codes = new Uint8Array(dim);

  const rotate = (v: Float32Array): void => {
    wht(v, dim);
    for (let i = 0; i < dim; i++) v[i]! *= unit;
  };

  return {
    values: dim,
    bytes,
    quantize(x, from, _count, out, at) {
      for (let i = 0; i < dim; i++) y[i] = x[from + i]!;
      rotate(y);
      const norm = workgroupNorm(y);
      const inverse = norm > 0 ? fround(1 / norm) : 0;
      for (let i = 0; i < dim; i++) codes[i] = onnxIndex(fround(y[i]! * inverse));
      putF32(out, at, norm);
      packCodes(codes, 4, out.subarray(at + 4, at + bytes));
    },
    dequantize(from, at, out, to) {
      const norm = getF32(from, at);
      unpackCodes(from.subarray(at + 4, at + bytes), 4, codes);
      for (let i = 0; i < dim; i++) out[to + i] = ONNX_CODEBOOK.centroids[codes[i]!]! * norm;
    },
    unrotate: rotate,
  };
}

const about = {
  name: "onnxruntime/q4",
  family: "onnxruntime",
  dims: `powers of two in 8..${MAX_DIM}`,
  supports: (dim: number) => Number.isInteger(dim) && dim >= 8 && dim <= MAX_DIM && (dim & (dim - 1)) === 0,
  rotated: true,
  verified:
    "every norm and code against onnxruntime-web 1.30.0 in a browser (other GPUs may differ in the last bit of a norm and within 1e-6 of a boundary), attention output within 3e-7",
  source: "onnxruntime-web 1.30.0, GroupQueryAttention on the WebGPU provider",
};

export const onnxruntimeFormats: readonly Format[] = [
  {
    ...about,
    vectorBytes: (dim) => 4 + dim / 2,
    open({ dim }) {
      assertSupported(about, dim);
      return blockCodec(dim, onnxBlock(dim));
    },
  },
];
