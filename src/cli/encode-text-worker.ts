/** The thread of encode-text.ts: reads the tokenizer and the text, sends the tokens. */
import { readFile } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";
import { openTokenizer } from "../model/open-model.js";
import type { EncodeTextAnswer, TextRequest } from "./encode-text.js";

async function answer({ model, tokenizer, text }: TextRequest): Promise<EncodeTextAnswer> {
  try {
    const reader = await openTokenizer(model, tokenizer === undefined ? {} : { tokenizer });
    const tokens = reader.encode(await readFile(text, "utf8"), { bos: false });
    return { tokens, bos: reader.addsBos ? reader.bos : undefined };
  } catch (error) {
    const { name, code, message } = error as Error & { code?: string };
    return { failed: { kind: name, code: code ?? "", message } };
  }
}

parentPort!.postMessage(await answer(workerData as TextRequest));
