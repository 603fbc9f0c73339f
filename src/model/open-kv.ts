/** The cache that a choice of formats names, ready to run a model on, with its bytes. */
import { CacheKv } from "./cache-kv.js";
import type { KvChoice } from "./kv-pair.js";
import type { KvShape, KvStore } from "./kv-store.js";
import { MeanKv } from "./mean-kv.js";

export interface OpenKv extends KvStore {
  /** Bytes that one more token takes, in all layers. */
  readonly bytesPerToken: number;
  /** Bytes that do not grow with the tokens: means. */
  readonly fixedBytes: number;
  /** Gives the memory back. */
  dispose(): void;
}

/** capacity: tokens there is room for; seed: of the rotations. @throws as KvCache. */
export function openKv(shape: KvShape, capacity: number, choice: KvChoice, seed: number): OpenKv {
  const { key, value } = choice;
  const packed = new CacheKv(shape, capacity, { key, value, seed });
  const centred = choice.mean ? new MeanKv(packed, shape) : undefined;
  const store = centred ?? packed;
  return {
    get length() {
      return store.length;
    },
    append: (layer, keys, values, tokens) => store.append(layer, keys, values, tokens),
    attend: (layer, queries, tokens, out) => store.attend(layer, queries, tokens, out),
    reset: () => store.reset(),
    bytesPerToken: packed.bytesPerToken,
    fixedBytes: centred?.meanBytes ?? 0,
    dispose: () => packed.dispose(),
  };
}
