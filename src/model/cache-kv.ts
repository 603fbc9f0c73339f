/**
 * A model's keys and values in a {@link KvCache}: packed in any format, attended to as they lie, nothing decoded kept.
 */
import { KvCache } from "../cache/kv-cache.js";
import type { KvCacheOptions } from "../cache/options.js";
import type { KvShape, MeasuredKv } from "./kv-store.js";

/** Formats of both sides and what else the cache takes; its geometry is the model's. */
export type CacheKvOptions = Pick<KvCacheOptions, "key" | "value"> &
  Partial<Omit<KvCacheOptions, "layers" | "heads" | "kvHeads" | "headDim" | "pages">>;

const PAGE_TOKENS = 32;

export class CacheKv implements MeasuredKv {
  readonly cache: KvCache;
  readonly #row: number;
  readonly #queryRow: number;
  #sequence;

  /** capacity: tokens there is room for. @throws as the cache's constructor. */
  constructor(shape: KvShape, capacity: number, options: CacheKvOptions) {
    const { layers, heads, kvHeads, headDim } = shape;
    const pageTokens = options.pageTokens ?? PAGE_TOKENS;
    const pages = Math.ceil(capacity / pageTokens);
    this.cache = new KvCache({ ...options, layers, heads, kvHeads, headDim, pageTokens, pages });
    this.#row = kvHeads * headDim;
    this.#queryRow = heads * headDim;
    this.#sequence = this.cache.create();
  }

  get length(): number {
    return this.cache.length(this.#sequence);
  }

  /** Bytes that one more token takes, in all layers. */
  get bytesPerToken(): number {
    return this.cache.stats().bytes.token;
  }

  append(layer: number, keys: Float32Array, values: Float32Array, tokens: number): void {
    const n = tokens * this.#row;
    this.cache.append(this.#sequence, layer, keys.subarray(0, n), values.subarray(0, n));
  }

  attend(layer: number, queries: Float32Array, tokens: number, out: Float32Array): void {
    const n = tokens * this.#queryRow;
    this.cache.attend(this.#sequence, layer, queries.subarray(0, n), out.subarray(0, n));
  }

  scores(layer: number, kvHead: number, query: Float32Array, out: Float32Array): void {
    this.cache.score(this.#sequence, layer, kvHead, query, out, { from: 0, to: out.length });
  }

  truncate(length: number): void {
    this.cache.truncate(this.#sequence, length);
  }

  reset(): void {
    this.cache.free(this.#sequence);
    this.#sequence = this.cache.create();
  }

  /** Gives the cache's memory back. */
  dispose(): void {
    this.cache.dispose();
  }
}
