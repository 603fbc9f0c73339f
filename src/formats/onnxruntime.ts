/**
 * ONNX Runtime's WebGPU 4-bit cache (onnxruntime-web 1.30, `kvCacheQuantizationBits` = 4), keys and values alike.
 *
 *   ‖x‖ f32 · d/8 words u32, eight nibbles each, low first      4 + d/2 bytes
 *
 * y = H x / (‖x‖ √d), no signs; index = number of boundaries strictly below yᵢ (a tie goes down: zero is index 7);
 * value = centroid · ‖x‖, rotated back. No norm correction. A zero vector: norm 0, all nibbles 7. One table, the
 * sphere marginal of d = 128 at four digits, serves every head size, which costs quality at other sizes.
 *
 * The engine runs on a GPU whose sums have an order of their own: codes agree except within 1e-6 of a boundary.
 */
import { packCodes, unpackCodes } from "../core/bits.js";
import { sumOfSquares } from "../core/float.js";
import { getF32, putF32 } from "../core/little-endian.js";
import { MAX_DIM, wht } from "../core/wht.js";
import { assertSupported, type Block, blockCodec } from "./block-codec.js";
import type { Format } from "./format.js";
import { symmetricCodebook } from "./llama-codebooks.js";

const { fround } = Math;

export const ONNX_CODEBOOK = symmetricCodebook(
  [0.0113, 0.0342, 0.0578, 0.0829, 0.1104, 0.1419, 0.1809, 0.2377],
  [0.0227, 0.046, 0.0704, 0.0966, 0.1261, 0.1614, 0.2093],
);

/** #{ b : b < value }. */
export function onnxIndex(value: number): number {
  const { boundaries } = ONNX_CODEBOOK;
  let index = 0;
  while (index < boundaries.length && boundaries[index]! < value) index++;
  return index;
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
      const norm = fround(Math.sqrt(sumOfSquares(y)));
      const inverse = norm > 0 ? fround(1 / norm) : 0;
      rotate(y);
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
    "codes against onnxruntime-web 1.30.0 in a browser except within 1e-6 of a boundary, norms to 2 ulp, attention output within 3e-7",
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
