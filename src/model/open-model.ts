/** A model file with its tokenizer: GGUF, or llama2.c's `.bin` beside a tokenizer file. */
import { FormatError } from "../core/format-error.js";
import { type GgufFile, openGguf } from "./gguf-file.js";
import { ggufTokenizer } from "./gguf-tokenizer.js";
import { openLlama2c } from "./llama2c-file.js";
import { SentencePiece } from "./sentence-piece.js";
import type { Tokenizer } from "./tokenizer.js";
import { Transformer, type TransformerOptions } from "./transformer.js";

export interface OpenModelOptions extends TransformerOptions {
  /** llama2.c's tokenizer file; a `.bin` model needs one. */
  readonly tokenizer?: string;
}

export interface Model {
  readonly transformer: Transformer;
  readonly tokenizer: Tokenizer;
  /** Bytes of the model's file. */
  readonly fileBytes: number;
  close(): Promise<void>;
}

/**
 * Opens and loads a model. `.bin` is llama2.c, anything else GGUF.
 * @throws FormatError BAD_FILE or UNKNOWN_FORMAT; TypeError for a `.bin` without a tokenizer.
 */
export async function openModel(path: string, options: OpenModelOptions = {}): Promise<Model> {
  const llama2c = path.endsWith(".bin");
  if (llama2c && options.tokenizer === undefined)
    throw new TypeError(`"tokenizer" expected the path of llama2.c's tokenizer file, got undefined`);
  const source = llama2c ? await openLlama2c(path) : await openGguf(path);
  try {
    const { vocabulary } = source.config;
    const tokenizer = llama2c
      ? await SentencePiece.fromLlama2c(options.tokenizer!, vocabulary)
      : ggufTokenizer((source as GgufFile).metadata);
    if (tokenizer.vocabulary > vocabulary)
      throw new FormatError("BAD_FILE", `${path}: ${tokenizer.vocabulary} tokens, ${vocabulary} embeddings`);
    const transformer = await Transformer.load(source, options);
    return { transformer, tokenizer, fileBytes: source.fileBytes, close: () => transformer.close() };
  } finally {
    await source.close();
  }
}
