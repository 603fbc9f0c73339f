/** A model file with its tokenizer: GGUF, or llama2.c's `.bin` beside a tokenizer file. */

import { open } from "node:fs/promises";
import { FormatError } from "../core/format-error.js";
import { type Chat, ggufChat, plainChat } from "./chat.js";
import { type GgufFile, openGguf } from "./gguf-file.js";
import { ggufTokenizer } from "./gguf-tokenizer.js";
import { openLlama2c } from "./llama2c-file.js";
import { type FileSource, type ModelHeader, type ModelSource, sourceOf } from "./model-source.js";
import { SentencePiece } from "./sentence-piece.js";
import type { Tokenizer } from "./tokenizer.js";
import { Transformer, type TransformerOptions } from "./transformer.js";

export interface TokenizerOptions {
  /** llama2.c's tokenizer file; a `.bin` model needs one. */
  readonly tokenizer?: string;
}

/** How to open a model. */
export interface OpenModelOptions extends TransformerOptions, TokenizerOptions {}

/** A loaded model. */
export interface Model {
  readonly transformer: Transformer;
  readonly tokenizer: Tokenizer;
  /** Bytes of the model's file. */
  readonly fileBytes: number;
  /** Ends its threads. */
  close(): Promise<void>;
}

const isLlama2c = (path: string): boolean => path.endsWith(".bin");

async function withSource<T>(path: string, use: (source: FileSource) => Promise<T>): Promise<T> {
  const source = await (isLlama2c(path) ? openLlama2c(path) : openGguf(path));
  try {
    return await use(source);
  } finally {
    await source.close();
  }
}

async function tokenizerOf(source: ModelSource, options: TokenizerOptions): Promise<Tokenizer> {
  const { path } = source;
  const { vocabulary } = source.config;
  if (isLlama2c(path) && options.tokenizer === undefined)
    throw new TypeError(`"tokenizer" expected the path of llama2.c's tokenizer file, got undefined`);
  const tokenizer = isLlama2c(path)
    ? await SentencePiece.fromLlama2c(options.tokenizer!, vocabulary)
    : ggufTokenizer((source as GgufFile).metadata);
  if (tokenizer.vocabulary > vocabulary)
    throw new FormatError("BAD_FILE", `${path}: ${tokenizer.vocabulary} tokens, ${vocabulary} embeddings`);
  return tokenizer;
}

/**
 * Opens and loads a model. `.bin` is llama2.c, anything else GGUF.
 * @throws FormatError BAD_FILE or UNKNOWN_FORMAT; TypeError for a `.bin` without a tokenizer.
 */
export function openModel(path: string, options: OpenModelOptions = {}): Promise<Model> {
  return withSource(path, async (source) => {
    const tokenizer = await tokenizerOf(source, options);
    const transformer = await Transformer.load(source, options);
    return { transformer, tokenizer, fileBytes: source.fileBytes, close: () => transformer.close() };
  });
}

/** The tokenizer and the header, without the weights. @throws as openModel. */
export const openTokenizer = (
  path: string,
  options: TokenizerOptions = {},
): Promise<{ readonly tokenizer: Tokenizer; readonly header: ModelHeader }> =>
  withSource(path, async (source) => {
    const { fileBytes, config, tensors } = source;
    return { tokenizer: await tokenizerOf(source, options), header: { path, fileBytes, config, tensors } };
  });

/** Tokenizer and chat template. @throws as openModel; FormatError BAD_FILE for a template that does not run. */
export const openChat = (path: string, options: TokenizerOptions = {}): Promise<Chat> =>
  withSource(path, async (source) => {
    const tokenizer = await tokenizerOf(source, options);
    return isLlama2c(path) ? plainChat(tokenizer) : ggufChat((source as GgufFile).metadata, tokenizer);
  });

/**
 * The transformer alone, of a header that was read before: neither a tokenizer nor what reading the header leaves behind,
 * which together take as much memory as half of a small model's weights. @throws as openModel.
 */
export async function openTransformer(
  header: ModelHeader,
  options: TransformerOptions = {},
): Promise<Transformer> {
  const source = sourceOf(header, await open(header.path, "r"));
  try {
    return await Transformer.load(source, options);
  } finally {
    await source.close();
  }
}
