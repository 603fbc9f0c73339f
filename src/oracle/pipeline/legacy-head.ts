/**
 * The llama fork's turbo4 at 69d8e4be4 compiled with TURBO4_USE_4BIT = 0, a bug witness: codes of the signed Hadamard
 * transform, residual and decoder of the dense matrix, and the residual's norm is never written.
 */
import { blockCodec } from "../../formats/block-codec.js";
import type { VectorCodec } from "../../formats/format.js";
import { LLAMA_THREE } from "../../formats/llama-codebooks.js";
import { legacyBlock } from "../../formats/llama-qjl.js";

export const LEGACY_HEAD_FAULT = "rotation-dense-vs-wht";
export const LEGACY_HEAD_CAUSE =
  "turbo4 of the llama fork at 69d8e4be4 compiled with TURBO4_USE_4BIT = 0: coded through the signed Hadamard transform, residual and decoder through the dense matrix, the residual's norm never written";

export const legacyHead = (dim: number): VectorCodec =>
  blockCodec(dim, legacyBlock(LLAMA_THREE, "wht-and-no-rnorm"));
