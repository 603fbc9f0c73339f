/**
 * The fork's first formats, with a one-bit QJL sketch of the residual (commit 0b3744874, 2026-03-24), on groups of
 * 128 with a dense rotation R and a dense Gaussian sketch S (llama-dense).
 *
 *   turbo3-qjl  52 B   norm f16 · rnorm f16 · indices[32], 2 bits · signs[16]
 *   turbo4-qjl  68 B   norm f16 · rnorm f16 · indices[48], 3 bits, one little-endian stream · signs[16]
 *
 * u = x/‖x‖, z = R u, m = Rᵀ c[index], r = u − m, rnorm = ‖r‖, sign j set when (S r)ⱼ ≥ 0.
 * Decode, original basis: (m + √(π/2)/128 · rnorm · Sᵀ sgn) · norm. Both norms are raw, not corrected.
 */
import { packCodes, packedBytes, unpackCodes } from "../core/bits.js";
import { getF16, putU16 } from "../core/little-endian.js";
import { MAX_DIM, rotate } from "../core/wht.js";
import type { Kernels } from "../kernels/kernels.js";
import { type Block, blockFormat } from "./block-codec.js";
import type { Format } from "./format.js";
import { LLAMA_THREE, LLAMA_TWO } from "./llama-codebooks.js";
import { DENSE, denseProducts } from "./llama-dense.js";
import { llamaRotation } from "./llama-rotation.js";
import { LLAMA_TINY } from "./llama-turbo.js";
import { type NativeCodebook, nativeIndex } from "./native-codebook.js";
import { putNativeF16, sequentialNorm } from "./native-norm.js";

const { fround } = Math;
/** √(π/2)/128 in f32, the engine's two steps. */
const SKETCH_SCALE = fround(fround(1.2533141373155003) / DENSE);

/**
 * How the quantiser goes wrong at 69d8e4be4 when it is compiled with TURBO4_USE_4BIT = 0: it rotates with the WHT
 * while the residual and the decoder still use the dense Rᵀ, and `rnorm` is never written (here: zero).
 */
export type LegacyFault = "none" | "wht-and-no-rnorm";

export function legacyBlock(book: NativeCodebook, fault: LegacyFault = "none", kernels?: Kernels): Block {
  const dense = denseProducts(kernels);
  const codeBytes = packedBytes(DENSE, book.bits);
  const signsAt = 4 + codeBytes;
  const bytes = signsAt + DENSE / 8;
  const unit = new Float32Array(DENSE);
  const z = new Float32Array(DENSE);
  const mean = new Float32Array(DENSE);
  const projected = new Float32Array(DENSE);
  const indices = new Uint8Array(DENSE);
  const signs = new Uint8Array(DENSE);

  /** mean ← Rᵀ c[indices]; overwrites z. */
  const reconstruct = (): void => {
    for (let i = 0; i < DENSE; i++) z[i] = book.centroids[indices[i]!]!;
    dense.product("unrotation", z, mean);
  };

  return {
    values: DENSE,
    bytes,
    quantize(x, from, count, out, at) {
      const norm = sequentialNorm(x, from, count);
      unit.fill(0);
      if (norm > LLAMA_TINY) {
        const inverse = fround(1 / norm);
        for (let i = 0; i < count; i++) unit[i] = x[from + i]! * inverse;
      }
      if (fault === "none") dense.product("rotation", unit, z);
      else {
        z.set(unit);
        rotate(llamaRotation(DENSE), z);
      }
      for (let i = 0; i < DENSE; i++) indices[i] = nativeIndex(book, z[i]!);
      reconstruct();
      const residual = z;
      for (let i = 0; i < DENSE; i++) residual[i] = unit[i]! - mean[i]!;
      dense.product("sketch", residual, projected);
      for (let i = 0; i < DENSE; i++) signs[i] = projected[i]! >= 0 ? 1 : 0;

      putNativeF16(out, at, norm, x, from, count);
      if (fault === "none") putNativeF16(out, at + 2, sequentialNorm(residual, 0, DENSE), x, from, count);
      else putU16(out, at + 2, 0);
      packCodes(indices, book.bits, out.subarray(at + 4, at + signsAt));
      packCodes(signs, 1, out.subarray(at + signsAt, at + bytes));
    },
    dequantize(from, at, y, to) {
      const norm = getF16(from, at);
      const scale = fround(SKETCH_SCALE * getF16(from, at + 2));
      unpackCodes(from.subarray(at + 4, at + signsAt), book.bits, indices);
      unpackCodes(from.subarray(at + signsAt, at + bytes), 1, signs);
      reconstruct();
      for (let i = 0; i < DENSE; i++) z[i] = 2 * signs[i]! - 1;
      dense.product("unsketch", z, projected);
      for (let i = 0; i < DENSE; i++) y[to + i] = fround(mean[i]! + fround(projected[i]! * scale)) * norm;
    },
    release: dense.release,
  };
}

const legacy = (name: string, book: NativeCodebook): Format =>
  blockFormat(
    {
      name: `llama/${name}`,
      family: "llama",
      dims: `any integer in 1..${MAX_DIM}, each head zero-padded to whole groups`,
      supports: (dim) => Number.isInteger(dim) && dim >= 1 && dim <= MAX_DIM,
      rotated: false,
      verified: "every packed byte and decoded value, against native vectors of the CPU code of 0b3744874",
      source: "TheTom/llama-cpp-turboquant 0b3744874, ggml-turbo-quant.c",
    },
    (_, kernels) => legacyBlock(book, "none", kernels),
  );

export const llamaLegacyFormats: readonly Format[] = [
  legacy("turbo3-qjl", LLAMA_TWO),
  legacy("turbo4-qjl", LLAMA_THREE),
];
