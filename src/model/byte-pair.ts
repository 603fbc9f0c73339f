/**
 * Byte-level BPE by `@huggingface/tokenizers`, which is given a tokenizer.json made from the GGUF file: tokens,
 * merges, and the pre-tokenizer that the file names. The patterns are llama.cpp's for these names.
 */
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { FormatError } from "../core/format-error.js";
import type { GgufMetadata } from "./gguf-file.js";
import type { EncodeOptions, Tokenizer } from "./tokenizer.js";

/** ggml's kinds of tokens. */
const CONTROL = 3;
const USER_DEFINED = 4;

const CONTRACTIONS = "'(?:[sS]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD])";
const words = (digits: string) =>
  `${CONTRACTIONS}|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|${digits}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+`;
const split = (pattern: string) => ({
  type: "Split",
  pattern: { Regex: pattern },
  behavior: "Isolated",
  invert: false,
});
const byteLevel = (regex: boolean) => ({
  type: "ByteLevel",
  add_prefix_space: false,
  trim_offsets: true,
  use_regex: regex,
});

/** How text is cut before merging, and whether a piece that is a token is taken whole. */
const PRE_TOKENIZERS: Readonly<Record<string, { steps: readonly object[]; wholePieces: boolean }>> = {
  // Every digit by itself (any kind of number: ½ too), then GPT-2's pattern.
  smollm: { steps: [split("\\p{N}"), byteLevel(true)], wholePieces: false },
  "llama-bpe": { steps: [split(words("\\p{N}{1,3}")), byteLevel(false)], wholePieces: true },
  qwen2: { steps: [split(words("\\p{N}")), byteLevel(false)], wholePieces: false },
};

/** The tokenizer.json of the file. control: read control tokens in the text. */
function tokenizerJson(metadata: GgufMetadata, control: boolean): object {
  const tokens = metadata.texts("tokenizer.ggml.tokens");
  const kinds = metadata.numbers("tokenizer.ggml.token_type");
  const pre = metadata.text("tokenizer.ggml.pre", "default");
  const { steps, wholePieces } = PRE_TOKENIZERS[pre]!;
  const added = tokens.flatMap((content, id) =>
    kinds[id] === USER_DEFINED || (control && kinds[id] === CONTROL)
      ? [{ id, content, special: false, normalized: false, lstrip: false, rstrip: false, single_word: false }]
      : [],
  );
  return {
    version: "1.0",
    added_tokens: added,
    normalizer: null,
    pre_tokenizer: { type: "Sequence", pretokenizers: steps },
    post_processor: null,
    decoder: byteLevel(true),
    model: {
      type: "BPE",
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: metadata.texts("tokenizer.ggml.merges"),
      ignore_merges: wholePieces,
      byte_fallback: false,
      fuse_unk: false,
      unk_token: null,
    },
  };
}

/** @throws FormatError UNKNOWN_FORMAT for a pre-tokenizer that is not known here. */
export function bytePairTokenizer(metadata: GgufMetadata): Tokenizer {
  const pre = metadata.text("tokenizer.ggml.pre", "default");
  if (!Object.hasOwn(PRE_TOKENIZERS, pre)) {
    const known = Object.keys(PRE_TOKENIZERS).join(", ");
    throw new FormatError("UNKNOWN_FORMAT", `${metadata.path}: pre-tokenizer "${pre}"; read are ${known}`);
  }
  const config = { clean_up_tokenization_spaces: false };
  const plain = new HuggingFaceTokenizer(tokenizerJson(metadata, false), config);
  let special: HuggingFaceTokenizer | undefined; // made when first asked for: it takes as much memory again
  const id = (key: string) => (metadata.has(key) ? metadata.number(key) : undefined);
  const bos = id("tokenizer.ggml.bos_token_id");
  const addsBos = metadata.flag("tokenizer.ggml.add_bos_token", pre === "llama-bpe");
  return {
    vocabulary: metadata.texts("tokenizer.ggml.tokens").length,
    addsBos,
    bos,
    eos: id("tokenizer.ggml.eos_token_id"),
    encode(text: string, options: EncodeOptions = {}): Int32Array {
      if (options.special) special ??= new HuggingFaceTokenizer(tokenizerJson(metadata, true), config);
      const { ids } = (options.special ? special! : plain).encode(text, { add_special_tokens: false });
      const first = (options.bos ?? addsBos) && bos !== undefined ? [bos] : [];
      return Int32Array.from([...first, ...ids]);
    },
    decode: (ids) => plain.decode(Array.from(ids), { skip_special_tokens: false }),
  };
}
