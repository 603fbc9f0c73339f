/** The thread of encode-text.ts: reads the model's header, its tokenizer and the text; sends header and tokens. */
import { readFile } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";
import { openTokenizer } from "../model/open-model.js";
import type { EncodeTextAnswer, TextRequest } from "./encode-text.js";

async function answer({ model, tokenizer, text }: TextRequest): Promise<EncodeTextAnswer> {
  try {
    const { tokenizer: reader, header } = await openTokenizer(
      model,
      tokenizer === undefined ? {} : { tokenizer },
    );
    const tokens = reader.encode(await readFile(text, "utf8"), { bos: false });
    return { tokens, bos: reader.addsBos ? reader.bos : undefined, header };
  } catch (error) {
    const { name, code, message } = error as Error & { code?: string };
    return { failed: { kind: name, code: code ?? "", message } };
  }
}

parentPort!.postMessage(await answer(workerData as TextRequest));
