/**
 * Text ↔ token ids, as the model's own (native) tokenizer does it: built from what the GGUF file holds.
 *
 * Byte-level BPE is `@huggingface/tokenizers` fed with the file's tokens and merges. SentencePiece (spm.ts) is
 * ours: the file has scores and no merges, and ranks made from scores cannot say that equal scores go left first.
 */
import { FormatError } from "../core/format-error.js";
import { bytePairTokenizer } from "./byte-pair.js";
import type { GgufMetadata } from "./gguf-file.js";
import { SentencePiece } from "./sentence-piece.js";

export interface EncodeOptions {
  /** Put the beginning-of-text token first. Default: what the file says. */
  readonly bos?: boolean;
  /** Read control tokens (`<|im_start|>`) that the text spells out. Default: they are text like any other. */
  readonly special?: boolean;
}

export interface Tokenizer {
  readonly vocabulary: number;
  /** Whether the model wants the beginning-of-text token. */
  readonly addsBos: boolean;
  readonly bos: number | undefined;
  readonly eos: number | undefined;
  encode(text: string, options?: EncodeOptions): Int32Array;
  decode(ids: ArrayLike<number>): string;
}

/** @throws FormatError UNKNOWN_FORMAT for a tokenizer that is not read here, BAD_FILE for a damaged one. */
export function ggufTokenizer(metadata: GgufMetadata): Tokenizer {
  const model = metadata.text("tokenizer.ggml.model");
  if (model === "gpt2") return bytePairTokenizer(metadata);
  if (model === "llama") return SentencePiece.fromGguf(metadata);
  throw new FormatError("UNKNOWN_FORMAT", `${metadata.path}: tokenizer "${model}"; read are gpt2, llama`);
}
