/**
 * A paged copy-on-write cache of keys and values, compressed, for all layers of a model, with attention on the
 * packed bytes.
 *
 *   const cache = new KvCache({ layers: 32, kvHeads: 8, headDim: 128, pageTokens: 16, pages: 4096,
 *                               key: "turbo4", value: "turbo3" });
 *   const seq = cache.create();
 *   cache.append(seq, layer, keys, values);        // [tokens, kvHeads, headDim]
 *   cache.attend(seq, layer, queries, out);        // [queries, heads, headDim], the last tokens, causal
 *
 * Every call either does what it says or throws and changes nothing. The same calls give the same bytes, handles and
 * results on any backend and host.
 */
import { Attention } from "../attention/attend.js";
import { type AttentionSteps, isThreaded } from "../attention/threaded.js";
import { assertFloat32, assertInteger, assertOneOf } from "../core/check.js";
import type { Side } from "../formats/format.js";
import type { Kernels } from "../kernels/kernels.js";
import {
  assertPresent,
  attendedHeads,
  type CacheAttendOptions,
  outputFor,
  precisionOf,
  type ReadOptions,
  type ScoreOptions,
  tokenRange,
} from "./arguments.js";
import { auditCache } from "./audit.js";
import { CacheError } from "./cache-error.js";
import type { SanitizedVectors } from "./encoder.js";
import { type CacheConfig, type KvCacheOptions, optionsOf } from "./options.js";
import { PagedRuns } from "./paged-runs.js";
import { type CacheParts, openParts } from "./parts.js";
import type { PrefixOptions } from "./prefix.js";
import { type MatchOptions, matchPrefix, storePrefix } from "./prefix-sequences.js";
import { readTokens } from "./read.js";
import { adoptSequence, restoreInto } from "./restore.js";
import { leastFilled, type Sequence, type SequenceHandle } from "./sequences.js";
import { readSnapshot, saveSnapshot } from "./snapshot.js";
import type { RestoreOptions } from "./snapshot-fields.js";
import { type CacheStats, cacheStats } from "./stats.js";
import { appendTokens } from "./write.js";

const NO_OPTIONS = Object.freeze({});

/** The paged copy-on-write cache of compressed keys and values. Every call does what it says, or throws and changes nothing. */
export class KvCache implements Iterable<SequenceHandle> {
  readonly config: CacheConfig;
  readonly #parts: CacheParts;
  readonly #attention: Attention;
  /** The same over threads, where the backend has some. */
  readonly #threads: AttentionSteps | undefined;
  readonly #runs: PagedRuns;

  /** @throws TypeError, RangeError, FormatError UNKNOWN_FORMAT. */
  constructor(options: KvCacheOptions) {
    this.#parts = openParts(options);
    const { config, kernels, codecs } = this.#parts;
    this.config = config;
    const { headDim: dim, kvHeads, pageTokens, sinks, recent, center } = config;
    const halves = sinks + recent;
    this.#attention = new Attention(kernels, dim, kvHeads, codecs.distinct, { halves, center });
    const recipe = { dim, kvHeads, pageTokens, sides: codecs.requests, halves, center };
    if (isThreaded(kernels)) this.#threads = kernels.openAttention(this.#attention, codecs.distinct, recipe);
    this.#runs = new PagedRuns(this.#parts);
  }

  /** What runs. */
  get backend(): Kernels["name"] {
    return this.#parts.kernels.name;
  }

  /** A new, empty sequence. */
  create(): SequenceHandle {
    return this.#parts.tables.sequences.create().handle;
  }

  /** Handles of live sequences, in a fixed order. */
  *[Symbol.iterator](): Iterator<SequenceHandle> {
    for (const sequence of [...this.#parts.tables.sequences]) yield sequence.handle;
  }

  /** Tokens that every layer holds. */
  length(seq: SequenceHandle): number {
    return leastFilled(this.#sequence(seq));
  }

  /** Tokens that a layer holds: more than `length` while a step is under way. */
  layerLength(seq: SequenceHandle, layer: number): number {
    return this.#sequence(seq).fill[this.#layer(layer)]!;
  }

  /**
   * Adds tokens to a layer; a token exists once every layer has it. keys, values: (tokens, kvHeads, headDim).
   * @throws CacheError OUT_OF_PAGES, NON_FINITE, SCALE_OVERFLOW.
   */
  append(seq: SequenceHandle, layer: number, keys: Float32Array, values: Float32Array): void {
    const { kvHeads, headDim } = this.config;
    const sequence = this.#sequence(seq);
    this.#layer(layer);
    assertFloat32(keys, "keys", kvHeads * headDim);
    assertFloat32(values, "values", kvHeads * headDim);
    if (values.length !== keys.length)
      throw new RangeError(`"values" expected ${keys.length} values as keys have, got ${values.length}`);
    appendTokens(this.#parts, sequence, layer, keys, values);
  }

  /** Pages that appending `tokens` tokens to every layer would take, copies of shared pages included. */
  pagesNeeded(seq: SequenceHandle, tokens: number): number {
    assertInteger(tokens, "tokens", 0, 2 ** 31);
    return this.#parts.tables.needed(this.#sequence(seq), tokens);
  }

  /**
   * Takes now the pages that appending `tokens` tokens will need. They stay with the sequence through truncation,
   * not with its forks; a later fork makes the partly filled page shared again, which costs one page more.
   * @throws CacheError OUT_OF_PAGES.
   */
  reserve(seq: SequenceHandle, tokens: number): void {
    assertInteger(tokens, "tokens", 0, 2 ** 31);
    this.#parts.tables.reserve(this.#sequence(seq), tokens);
  }

  /** A sequence with the same tokens. Costs no page; whoever writes to a shared page first gets a copy. */
  fork(seq: SequenceHandle): SequenceHandle {
    return this.#parts.tables.fork(this.#sequence(seq)).handle;
  }

  /** Forgets tokens from `length` on, and those that not every layer has. @throws CacheError INVALID_POSITION. */
  truncate(seq: SequenceHandle, length: number): void {
    assertInteger(length, "length", 0);
    this.#parts.tables.truncate(this.#sequence(seq), length);
  }

  /** Ends a sequence and gives its pages back. */
  free(seq: SequenceHandle): void {
    this.#parts.tables.free(this.#sequence(seq));
  }

  /**
   * Releases pages that hold nothing of the last `window` tokens and of the first `sinks`. Pages that forks or
   * prefixes need stay with them. How many this sequence gave up.
   */
  slide(seq: SequenceHandle, window: number, sinks = 0): number {
    assertInteger(window, "window", 1);
    assertInteger(sinks, "sinks", 0);
    return this.#parts.tables.slide(this.#sequence(seq), window, sinks);
  }

  /**
   * Decoded vectors in the original basis: (tokens, kvHeads, headDim).
   * @throws CacheError INVALID_POSITION for tokens that are not there (any more); RangeError for an `out` of another size.
   */
  read(
    seq: SequenceHandle,
    layer: number,
    side: Side,
    out?: Float32Array,
    options: ReadOptions = NO_OPTIONS,
  ): Float32Array {
    const { kvHeads, headDim, pageTokens } = this.config;
    const sequence = this.#sequence(seq);
    this.#layer(layer);
    assertOneOf(side, "side", ["key", "value"]);
    const { from, to } = tokenRange(sequence, layer, options);
    assertPresent(sequence, from, to, pageTokens);
    const result = outputFor(out, (to - from) * kvHeads * headDim);
    readTokens(this.#parts, sequence, layer, side, from, to, result);
    return result;
  }

  /**
   * Causal attention: out ← softmax(scale · q·k̂) v̂, query i of n sees all tokens of the layer but the last n − 1 − i.
   * queries: (n, heads, headDim), the last n tokens of the layer; n comes from the length. heads comes from here or
   * from the constructor, and may be left out where there is one query with kvHeads heads.
   * @throws RangeError for sizes; CacheError INVALID_ARGUMENT where the layer has fewer than n tokens.
   */
  attend(
    seq: SequenceHandle,
    layer: number,
    queries: Float32Array,
    out?: Float32Array,
    options: CacheAttendOptions = NO_OPTIONS,
  ): Float32Array {
    const sequence = this.#sequence(seq);
    const tokens = sequence.fill[this.#layer(layer)]!;
    const heads = attendedHeads(this.config, queries, options);
    const count = queries.length / (heads * this.config.headDim);
    if (count > tokens)
      throw new CacheError(
        "INVALID_ARGUMENT",
        `"queries" expected at most the ${tokens} tokens of the layer, got ${count}`,
      );
    const result = outputFor(out, queries.length);
    this.#runs.open(sequence, layer);
    const steps = this.#threads ?? this.#attention;
    steps.attend(this.#runs, queries, heads, result, precisionOf(this.config, options), options);
    return result;
  }

  /**
   * ⟨query, k̂⟩ for tokens of one head, unscaled; −∞ for released ones. query: (headDim,) → (to − from,).
   * Default range: all tokens that every layer holds.
   */
  score(
    seq: SequenceHandle,
    layer: number,
    kvHead: number,
    query: Float32Array,
    out?: Float32Array,
    options: ScoreOptions = NO_OPTIONS,
  ): Float32Array {
    const sequence = this.#sequence(seq);
    this.#layer(layer);
    const precision = precisionOf(this.config, options);
    assertInteger(kvHead, "kvHead", 0, this.config.kvHeads - 1);
    assertFloat32(query, "query");
    if (query.length !== this.config.headDim)
      throw new RangeError(`"query" expected ${this.config.headDim} values, got ${query.length}`);
    const { from, to } = tokenRange(sequence, layer, options);
    const result = outputFor(out, to - from);
    this.#runs.open(sequence, layer);
    this.#attention.scores(this.#runs, kvHead, query, from, to, result, precision);
    return result;
  }

  /**
   * Keeps the full pages of the sequence's first tokens for later sequences that begin with the same ones. tokens: their
   * ids; only as many as every layer holds count. salt separates what must not be shared. Tokens now kept.
   */
  storePrefix(seq: SequenceHandle, tokens: ArrayLike<number>, options: PrefixOptions = NO_OPTIONS): number {
    return storePrefix(this.#parts, this.#sequence(seq), tokens, options);
  }

  /**
   * A new sequence that shares the longest kept prefix of `tokens` (perhaps none of it). With `leaveOne` at least one
   * token is left to compute.
   */
  matchPrefix(
    tokens: ArrayLike<number>,
    options: MatchOptions = NO_OPTIONS,
  ): { seq: SequenceHandle; tokens: number } {
    return matchPrefix(this.#parts, tokens, options);
  }

  /** Forgets all kept prefixes; their pages become free where no sequence has them. */
  dropPrefixes(): void {
    this.#parts.prefixes.clear();
  }

  /** Vectors that were mended under nonFinite: "sanitize". */
  get sanitized(): SanitizedVectors {
    return { ...this.#parts.encoder.counts };
  }

  /** Exact bytes, pages and counters. */
  stats(): CacheStats {
    return cacheStats(this.#parts);
  }

  /** Recounts everything. @throws Error that says which invariant does not hold. */
  audit(): void {
    auditCache(this.#parts);
  }

  /** The cache, or one sequence of it, as canonical bytes: equal caches give equal bytes. */
  snapshot(seq?: SequenceHandle): Uint8Array {
    return saveSnapshot(this.#parts, seq === undefined ? undefined : this.#sequence(seq));
  }

  /**
   * The cache that `snapshot` saved; one sequence becomes a cache of its own.
   * @throws CacheError CORRUPT_SNAPSHOT, SNAPSHOT_VERSION; RangeError above the limits.
   */
  static restore(bytes: Uint8Array, options: RestoreOptions = {}): KvCache {
    const saved = readSnapshot(bytes, options);
    const cache = new KvCache({
      ...optionsOf(saved.config),
      ...(options.backend ? { backend: options.backend } : {}),
      ...(options.precision ? { precision: options.precision } : {}),
    });
    restoreInto(cache.#parts, saved);
    return cache;
  }

  /**
   * Adds a sequence that `snapshot(seq)` saved to this cache, which must have the same formats, geometry and seed.
   * @throws CacheError CORRUPT_SNAPSHOT, SNAPSHOT_VERSION, INVALID_ARGUMENT, OUT_OF_PAGES.
   */
  adopt(bytes: Uint8Array, options: RestoreOptions = {}): SequenceHandle {
    return adoptSequence(this.#parts, readSnapshot(bytes, options));
  }

  /** Gives all memory back to the backend. The cache is of no use afterwards. */
  dispose(): void {
    this.#parts.recent.dispose(Array.from(this.#parts.tables.sequences, ({ recent }) => recent));
    this.#parts.tables.pages.dispose();
    this.#parts.sinks.dispose();
    this.#parts.vectors.release();
    this.#parts.encoder.release();
    this.#threads?.close();
    this.#attention.release();
    for (const codec of this.#parts.codecs.distinct) codec.release();
  }

  #sequence(seq: SequenceHandle): Sequence {
    return this.#parts.tables.sequences.get(seq);
  }

  #layer(layer: number): number {
    assertInteger(layer, "layer", 0, this.config.layers - 1);
    return layer;
  }
}
