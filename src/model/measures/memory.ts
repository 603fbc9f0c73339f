/**
 * Memory of a packed cache, measured against calculated (spec 5 §5.1): how much the memory of its kernels grows while it
 * fills, over a stretch of whole pages, beside what the formats' arithmetic says for those tokens.
 */
import { findFormat } from "../../formats/registry.js";
import { loadWasmSync } from "../../kernels/wasm.js";
import { CacheKv } from "../cache-kv.js";
import type { KvChoice } from "../kv-pair.js";
import type { KvShape } from "../kv-store.js";

/** Bytes that `tokens` tokens took, and should take. */
export interface MemoryMeasure {
  readonly tokens: number;
  readonly measured: number;
  readonly calculated: number;
}

const PAGE_TOKENS = 32;
/** Tokens that are in the cache before the stretch: tables and staging have been made by then. */
const BEFORE = 2 * PAGE_TOKENS;

/** Bytes of one token by the formats alone. */
function tokenBytes({ layers, kvHeads, headDim }: KvShape, formats: string | readonly string[]): number {
  const of = (layer: number): string => (typeof formats === "string" ? formats : formats[layer]!);
  return Array.from(
    { length: layers },
    (_, layer) => kvHeads * findFormat(of(layer)).vectorBytes(headDim),
  ).reduce((sum, bytes) => sum + bytes, 0);
}

/** Fills a cache of the choice's formats with `tokens` tokens more, rounded up to pages. undefined for simulated rivals. */
export function measureMemory(shape: KvShape, choice: KvChoice, tokens: number): MemoryMeasure | undefined {
  if (choice.simulated) return undefined;
  const { key, value, sinks = 0 } = choice;
  const stretch = Math.ceil(tokens / PAGE_TOKENS) * PAGE_TOKENS;
  const backend = loadWasmSync();
  const kv = new CacheKv(shape, BEFORE + stretch, { key, value, sinks, backend, pageTokens: PAGE_TOKENS });
  const row = shape.kvHeads * shape.headDim;
  const vectors = Float32Array.from({ length: PAGE_TOKENS * row }, (_, i) => Math.sin(i + 1));
  const queries = new Float32Array(shape.heads * shape.headDim).fill(1);
  const fill = (until: number): number => {
    while (kv.length < until)
      for (let layer = 0; layer < shape.layers; layer++) {
        kv.append(layer, vectors, vectors, PAGE_TOKENS);
        kv.attend(layer, queries, 1, new Float32Array(queries.length));
      }
    return backend.arena.usedBytes;
  };
  const before = fill(BEFORE);
  const measured = fill(BEFORE + stretch) - before;
  kv.dispose();
  const calculated = stretch * (tokenBytes(shape, key) + tokenBytes(shape, value));
  return { tokens: stretch, measured, calculated };
}
