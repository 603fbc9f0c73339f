/**
 * A text as tokens, by a thread that ends afterwards: a tokenizer and what reading it leaves behind take as much
 * memory as half of a small model's weights.
 */
import { Worker } from "node:worker_threads";
import { FormatError, type FormatErrorCode } from "../core/format-error.js";
import type { ModelHeader } from "../model/model-source.js";

export interface TextRequest {
  readonly model: string;
  /** llama2.c's tokenizer file. */
  readonly tokenizer?: string;
  /** The text's file. */
  readonly text: string;
}

export interface EncodedText {
  /** Without a first token that the model may want. */
  readonly tokens: Int32Array;
  /** The beginning-of-text token, if the model wants it. */
  readonly bos: number | undefined;
  /** What the model's file says of itself. */
  readonly header: ModelHeader;
}

/** What the thread sends: an error as plain data, since classes do not survive the way. */
export type EncodeTextAnswer =
  | EncodedText
  | { readonly failed: { readonly kind: string; readonly code: string; readonly message: string } };

const KINDS: Readonly<Record<string, new (message: string) => Error>> = { RangeError, TypeError };

/** @throws as openTokenizer and readFile. */
export function encodeText(request: TextRequest): Promise<EncodedText> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./encode-text-worker.js", import.meta.url), { workerData: request });
    worker.once("error", reject);
    worker.once("message", (answer: EncodeTextAnswer) => {
      void worker.terminate().then(() => {
        if (!("failed" in answer)) return resolve(answer);
        const { kind, code, message } = answer.failed;
        if (kind === "FormatError") return reject(new FormatError(code as FormatErrorCode, message));
        reject(new (KINDS[kind] ?? Error)(message));
      });
    });
  });
}
