/**
 * Text ↔ token ids, as the model's own (native) tokenizer does it: built from what the GGUF file holds.
 *
 * Byte-level BPE is `@huggingface/tokenizers` fed with the file's tokens and merges. SentencePiece (sentence-piece.ts) is
 * ours: the file has scores and no merges, and ranks made from scores cannot say that equal scores go left first.
 */
import { FormatError } from "../core/format-error.js";
import { bytePairTokenizer } from "./byte-pair.js";
import type { GgufMetadata } from "./gguf-file.js";
import { SentencePiece } from "./sentence-piece.js";
import type { Tokenizer } from "./tokenizer.js";

/** @throws FormatError UNKNOWN_FORMAT for a tokenizer that is not read here, BAD_FILE for a damaged one. */
export function ggufTokenizer(metadata: GgufMetadata): Tokenizer {
  const model = metadata.text("tokenizer.ggml.model");
  if (model === "gpt2") return bytePairTokenizer(metadata);
  if (model === "llama") return SentencePiece.fromGguf(metadata);
  throw new FormatError("UNKNOWN_FORMAT", `${metadata.path}: tokenizer "${model}"; read are gpt2, llama`);
}
