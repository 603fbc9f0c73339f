/**
 * turbo2, turbo3 and turbo4 of the llama.cpp fork (TheTom/llama-cpp-turboquant 69d8e4be4, ggml-turbo-quant.c).
 *
 * A head is zero-padded to whole groups of 128. Per group: n = ‖x‖, u = x/n, z = R u (llama-rotation), index of
 * each zᵢ, and the corrected norm n/‖c‖ as a half, so that decoding keeps the norm. The engine's dequantiser stays
 * in the rotated basis: yᵢ = c[indexᵢ] · norm; queries are rotated instead.
 *
 *   turbo2   34 B   norm f16 · indices[32], 2 bits each, low first
 *   turbo3   50 B   norm f16 · low two bits[32], as turbo2 · high bits[16], bit j & 7 of byte j >> 3
 *   turbo4   68 B   norm f16 · 0 u16 · indices[64], nibbles, low first
 *
 * The historic layout (`-qk32`) cuts a group into sub-blocks of 32 values that each repeat the norm (10 and 14
 * bytes), and has groups of 64 where the head is not a multiple of 128.
 */
import { getF16, getU16, putU16 } from "../core/little-endian.js";
import { MAX_DIM, unrotate } from "../core/wht.js";
import type { Kernels } from "../kernels/kernels.js";
import { type Block, blockFormat } from "./block-codec.js";
import type { Format } from "./format.js";
import { LLAMA_FOUR, LLAMA_THREE, LLAMA_TWO } from "./llama-codebooks.js";
import { llamaRotation } from "./llama-rotation.js";
import { type NativeCodebook, nativeIndex } from "./native-codebook.js";
import { putNativeF16, sequentialNorm } from "./native-norm.js";
import { rotorOf } from "./rotor.js";

const { fround } = Math;
/** Norms up to this are zero to the engine. */
export const LLAMA_TINY = fround(1e-10);

/** A run of `values` indices behind its own copy of the norm. */
interface Layout {
  readonly book: NativeCodebook;
  /** Values that share one copy of the norm. */
  readonly values: number;
  readonly bytes: number;
  /** turbo4 encodes a vector without a usable norm as zeros, turbo2 and turbo3 multiply it by zero (NaN stays). */
  readonly clears: boolean;
  put(indices: Uint8Array, first: number, out: Uint8Array, at: number): void;
  get(bytes: Uint8Array, at: number, indices: Uint8Array, first: number): void;
}

/** Two bits each, four to a byte, behind the norm. */
function putPairs(indices: Uint8Array, first: number, values: number, out: Uint8Array, at: number): void {
  for (let j = 0; j < values; j += 4) {
    const i = first + j;
    out[at + (j >> 2)] =
      (indices[i]! & 3) |
      ((indices[i + 1]! & 3) << 2) |
      ((indices[i + 2]! & 3) << 4) |
      ((indices[i + 3]! & 3) << 6);
  }
}

const two = (values: number): Layout => ({
  book: LLAMA_TWO,
  values,
  bytes: 2 + values / 4,
  clears: false,
  put: (indices, first, out, at) => putPairs(indices, first, values, out, at + 2),
  get(bytes, at, indices, first) {
    for (let j = 0; j < values; j++) indices[first + j] = (bytes[at + 2 + (j >> 2)]! >> (2 * (j & 3))) & 3;
  },
});

function three(values: number): Layout {
  const high = 2 + values / 4;
  return {
    book: LLAMA_THREE,
    values,
    bytes: high + values / 8,
    clears: false,
    put(indices, first, out, at) {
      putPairs(indices, first, values, out, at + 2);
      for (let j = 0; j < values; j += 8) {
        let byte = 0;
        for (let k = 0; k < 8; k++) byte |= (indices[first + j + k]! >> 2) << k;
        out[at + high + (j >> 3)] = byte;
      }
    },
    get(bytes, at, indices, first) {
      for (let j = 0; j < values; j++) {
        const low = (bytes[at + 2 + (j >> 2)]! >> (2 * (j & 3))) & 3;
        indices[first + j] = low | (((bytes[at + high + (j >> 3)]! >> (j & 7)) & 1) << 2);
      }
    },
  };
}

const four: Layout = {
  book: LLAMA_FOUR,
  values: 128,
  bytes: 68,
  clears: true,
  put(indices, first, out, at) {
    putU16(out, at + 2, 0);
    for (let j = 0; j < 128; j += 2)
      out[at + 4 + (j >> 1)] = indices[first + j]! | (indices[first + j + 1]! << 4);
  },
  get(bytes, at, indices, first) {
    for (let j = 0; j < 128; j++) indices[first + j] = (bytes[at + 4 + (j >> 1)]! >> (4 * (j & 1))) & 15;
  },
};

/** One rotation group as a block of group / layout.values runs. */
function turboBlock(layout: Layout, group: 64 | 128, kernels?: Kernels): Block {
  const { book, values, clears } = layout;
  const runs = group / values;
  const rotation = llamaRotation(group);
  const rotor = rotorOf(rotation, kernels);
  const indices = new Uint8Array(group);
  return {
    values: group,
    bytes: runs * layout.bytes,
    quantize(x, from, count, out, at) {
      const norm = sequentialNorm(x, from, count);
      const usable = norm > LLAMA_TINY;
      const inverse = usable ? fround(1 / norm) : 0;
      const z = rotor.values;
      const end = usable || !clears ? count : 0;
      for (let i = 0; i < end; i++) z[i] = x[from + i]! * inverse;
      z.fill(0, end);
      rotor.rotate();
      let squares = 0;
      for (let i = 0; i < group; i++) {
        const index = nativeIndex(book, z[i]!);
        indices[i] = index;
        squares = fround(squares + book.squares[index]!);
      }
      const chosen = fround(Math.sqrt(squares)); // ≥ √64 · .0214, so never tiny
      putNativeF16(out, at, fround(norm / chosen), x, from, count);
      layout.put(indices, 0, out, at);
      for (let r = 1; r < runs; r++) {
        putU16(out, at + r * layout.bytes, getU16(out, at));
        layout.put(indices, r * values, out, at + r * layout.bytes);
      }
    },
    dequantize(bytes, at, y, to) {
      for (let r = 0; r < runs; r++) {
        const norm = getF16(bytes, at + r * layout.bytes);
        layout.get(bytes, at + r * layout.bytes, indices, 0);
        for (let i = 0; i < values; i++) y[to + r * values + i] = book.centroids[indices[i]!]! * norm;
      }
    },
    unrotate: (y) => unrotate(rotation, y),
    release: rotor.release,
  };
}

const llama = (name: string, source: string, blockFor: (dim: number, kernels?: Kernels) => Block): Format =>
  blockFormat(
    {
      name: `llama/${name}`,
      family: "llama",
      dims: `any integer in 1..${MAX_DIM}, each head zero-padded to whole groups`,
      supports: (dim) => Number.isInteger(dim) && dim >= 1 && dim <= MAX_DIM,
      rotated: true,
      verified:
        "every packed byte and decoded value, rotated and not, against native vectors of the CPU code; CUDA and Vulkan have turbo4 boundaries of .145561 and .013964 and other summation orders",
      source,
    },
    blockFor,
  );

const HEAD = "TheTom/llama-cpp-turboquant 69d8e4be4, ggml-turbo-quant.c";
const HISTORIC = `${HEAD} with QK = 32, the layout before b9df4c3d8 (2026-03-30)`;

/** Heads that fill whole groups of 128 (after padding to 64) use them; others have groups of 64. */
const historicGroup = (dim: number): 64 | 128 => ((Math.ceil(dim / 64) * 64) % 128 === 0 ? 128 : 64);

export const llamaTurboFormats: readonly Format[] = [
  llama("turbo2", HEAD, (_, kernels) => turboBlock(two(128), 128, kernels)),
  llama("turbo3", HEAD, (_, kernels) => turboBlock(three(128), 128, kernels)),
  llama("turbo4", HEAD, (_, kernels) => turboBlock(four, 128, kernels)),
  llama("turbo2-qk32", HISTORIC, (dim, kernels) => turboBlock(two(32), historicGroup(dim), kernels)),
  llama("turbo3-qk32", HISTORIC, (dim, kernels) => turboBlock(three(32), historicGroup(dim), kernels)),
];
