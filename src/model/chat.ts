/**
 * Conversations as a model was trained to read them: the GGUF's own chat template, run by `@huggingface/jinja`. A model
 * without one gets the texts one after another.
 */
import { Template } from "@huggingface/jinja";
import { FormatError } from "../core/format-error.js";
import type { GgufMetadata } from "./gguf-file.js";
import type { Tokenizer } from "./tokenizer.js";

/** One turn. */
export interface ChatMessage {
  readonly role: "user" | "assistant";
  readonly content: string;
}

/** Conversations to tokens, and back. */
export interface Chat {
  readonly tokenizer: Tokenizer;
  /** Whether the model has a template of its own. */
  readonly templated: boolean;
  /** The tokens of a conversation whose next turn is the assistant's. */
  encode(messages: readonly ChatMessage[]): Int32Array;
}

/** Texts one after another. */
export function plainChat(tokenizer: Tokenizer): Chat {
  const text = (messages: readonly ChatMessage[]) => messages.map(({ content }) => `${content}\n\n`).join("");
  return { tokenizer, templated: false, encode: (messages) => tokenizer.encode(text(messages)) };
}

/** @throws FormatError BAD_FILE for a template that does not run. */
export function ggufChat(metadata: GgufMetadata, tokenizer: Tokenizer): Chat {
  if (!metadata.has("tokenizer.chat_template")) return plainChat(tokenizer);
  const bad = (error: unknown) =>
    new FormatError(
      "BAD_FILE",
      `${metadata.path}: chat template: ${error instanceof Error ? error.message : error}`,
    );
  const spelt = (id: number | undefined): string => (id === undefined ? "" : tokenizer.decode([id]));
  const names = { bos_token: spelt(tokenizer.bos), eos_token: spelt(tokenizer.eos) };
  let template: Template;
  try {
    template = new Template(metadata.text("tokenizer.chat_template"));
  } catch (error) {
    throw bad(error);
  }
  return {
    tokenizer,
    templated: true,
    encode(messages) {
      try {
        const text = template.render({ messages, add_generation_prompt: true, ...names });
        // The template has written the beginning-of-text token where the model wants one.
        return tokenizer.encode(text, { bos: false, special: true });
      } catch (error) {
        throw bad(error);
      }
    },
  };
}
