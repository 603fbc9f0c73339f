/** What a running cache of ours holds, against what planning calculates for the same tokens. */
import type { CacheStats } from "../cache/stats.js";
import { bytesPerToken, type LayerTypes, type VectorBytes } from "./kv-bytes.js";
import { MEMORY_TOLERANCE } from "./llama-log.js";
import type { ModelShape } from "./model-shape.js";

export interface CacheMemory {
  /** Pages in the tables of all sequences, full or not, shared ones counted once per sequence. */
  readonly measuredBytes: number;
  readonly calculatedBytes: number;
  /** measured / calculated − 1: what half-filled pages cost. 0 for an empty cache. */
  readonly difference: number;
  /** Within the 15 % that the quality gate allows. */
  readonly within: boolean;
  /** Bytes of one token in all layers: these are equal or the types are not the cache's. */
  readonly token: { readonly measured: number; readonly calculated: number };
}

/** @param types registry names of each layer's formats, as the cache was made with */
export function cacheMemory(
  stats: Pick<CacheStats, "tokens" | "bytes">,
  model: ModelShape,
  types: LayerTypes,
  vectorBytes: VectorBytes,
): CacheMemory {
  const calculated = bytesPerToken(model, types, vectorBytes).total;
  const calculatedBytes = calculated * stats.tokens;
  const measuredBytes = stats.bytes.logical;
  const difference = calculatedBytes === 0 ? 0 : measuredBytes / calculatedBytes - 1;
  return {
    measuredBytes,
    calculatedBytes,
    difference,
    within: Math.abs(difference) <= MEMORY_TOLERANCE,
    token: { measured: stats.bytes.token, calculated },
  };
}
