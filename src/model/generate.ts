/** Greedy text: the most likely token, again and again. */
import { assertInteger } from "../core/check.js";
import type { KvStore } from "./kv-store.js";
import type { Transformer } from "./transformer.js";

/**
 * Runs `prompt` after what `kv` holds, and goes on for `count` tokens or until `stop` (which is the last then).
 * The last token returned is not in `kv` yet. Ties go to the lower id.
 */
export function greedy(
  transformer: Transformer,
  kv: KvStore,
  prompt: ArrayLike<number>,
  count: number,
  stop?: number,
): number[] {
  assertInteger(prompt.length, "prompt.length", 1);
  assertInteger(count, "count", 1);
  const said: number[] = [];
  const tokens = Array.from(prompt);
  let last = 0;
  for (let at = 0; at < tokens.length; at += transformer.blockTokens) {
    const block = tokens.slice(at, at + transformer.blockTokens);
    transformer.forward(block, kv);
    last = block.length - 1;
  }
  for (;;) {
    let best = 0;
    transformer.logits(last, 1, (_, row) => {
      for (let i = 1; i < row.length; i++) if (row[i]! > row[best]!) best = i;
    });
    said.push(best);
    if (said.length === count || best === stop) return said;
    transformer.forward([best], kv);
    last = 0;
  }
}
