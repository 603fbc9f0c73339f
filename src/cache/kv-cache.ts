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
import { openSide, type SideCodec } from "../attention/side-codec.js";
import { assertFloat32, assertInteger, assertOneOf } from "../core/check.js";
import type { Side } from "../formats/format.js";
import type { Kernels } from "../kernels/kernels.js";
import {
  assertPresent,
  attendedHeads,
  type CacheAttendOptions,
  type ReadOptions,
  tokenRange,
} from "./arguments.js";
import { auditCache } from "./audit.js";
import { CacheError } from "./cache-error.js";
import { Encoder, type SanitizedVectors } from "./encoder.js";
import { PageLayout } from "./layout.js";
import { type CacheConfig, checkOptions, type KvCacheOptions, openBackend, optionsOf } from "./options.js";
import { PageTables } from "./page-tables.js";
import { PagedRuns } from "./paged-runs.js";
import type { CacheParts } from "./parts.js";
import { identityOf, PrefixIndex, type PrefixOptions, tokenArray } from "./prefix.js";
import { adoptSequence, restoreInto } from "./restore.js";
import { leastFilled, RELEASED, type Sequence, type SequenceHandle } from "./sequences.js";
import { readSnapshot, saveSnapshot } from "./snapshot.js";
import type { RestoreOptions } from "./snapshot-fields.js";
import { type CacheStats, cacheStats } from "./stats.js";

const NO_OPTIONS = Object.freeze({});

export class KvCache implements Iterable<SequenceHandle> {
  readonly config: CacheConfig;
  readonly #parts: CacheParts;
  readonly #keys: readonly SideCodec[];
  readonly #values: readonly SideCodec[];
  readonly #codecs: readonly SideCodec[];
  readonly #attention: Attention;
  readonly #runs: PagedRuns;

  /** @throws TypeError, RangeError, FormatError UNKNOWN_FORMAT. */
  constructor(options: KvCacheOptions) {
    const config = checkOptions(options);
    const kernels = openBackend(options.backend);
    const { headDim: dim, seed, keyScale, valueScale } = config;
    const codecs = new Map<string, SideCodec>();
    const open = (format: string, side: Side): SideCodec => {
      const scale = side === "key" ? keyScale : valueScale;
      let codec = codecs.get(`${side} ${format}`);
      if (!codec) {
        codec = openSide(format, kernels, { dim, seed, side, ...(scale ? { scale } : {}) });
        codecs.set(`${side} ${format}`, codec);
      }
      return codec;
    };
    this.config = config;
    this.#keys = config.key.map((format) => open(format, "key"));
    this.#values = config.value.map((format) => open(format, "value"));
    this.#codecs = [...codecs.values()];
    const layout = new PageLayout(config, (layer, side) => this.#codec(layer, side).stride);
    if (layout.pageBytes * config.pages > 2 ** 32)
      throw new RangeError(
        `"pages" expected at most ${Math.floor(2 ** 32 / layout.pageBytes)} of ${layout.pageBytes} bytes (4 GiB), got ${config.pages}`,
      );
    const prefixes = new PrefixIndex(config.pageTokens);
    const tables = new PageTables(kernels.arena, config, layout, prefixes);
    prefixes.bind(tables.pages);
    this.#parts = {
      config,
      layout,
      tables,
      prefixes,
      kernels,
      encoder: new Encoder(kernels, dim, config.nonFinite),
    };
    this.#attention = new Attention(kernels, dim, config.kvHeads, this.#codecs);
    this.#runs = new PagedRuns(this.#parts, this.#keys, this.#values);
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
    const { tables, encoder, config } = this.#parts;
    const sequence = this.#sequence(seq);
    const row = config.kvHeads * config.headDim;
    this.#layer(layer);
    assertFloat32(keys, "keys", row);
    assertFloat32(values, "values", row);
    if (values.length !== keys.length)
      throw new RangeError(`"values" expected ${keys.length} values as keys have, got ${values.length}`);
    const tokens = keys.length / row;
    if (tokens === 0) return;
    tables.assertAvailable(tables.needed(sequence, tokens, layer));
    const key = this.#keys[layer]!;
    const value = this.#values[layer]!;
    const vectors = tokens * config.kvHeads;
    const valuesAt = Math.ceil((vectors * key.stride) / 16) * 16;
    const staged = encoder.begin(valuesAt + vectors * value.stride);
    encoder.encode(key, "key", keys, staged);
    encoder.encode(value, "value", values, staged + valuesAt);
    tables.makeRoom(sequence, tokens, layer);
    encoder.commit();
    this.#write(sequence, layer, tokens, staged, staged + valuesAt);
  }

  #write(sequence: Sequence, layer: number, tokens: number, keys: number, values: number): void {
    const { tables, layout, kernels, config } = this.#parts;
    const { pageTokens, kvHeads } = config;
    const { u8 } = kernels.arena;
    const first = sequence.fill[layer]!;
    for (let t = 0; t < tokens; ) {
      const page = sequence.table[Math.floor((first + t) / pageTokens)]!;
      const at = (first + t) % pageTokens;
      const count = Math.min(tokens - t, pageTokens - at);
      tables.claim(page, layer, at, at + count);
      for (let side = 0; side < 2; side++) {
        const { offset, stride, headBytes } = layout.region(layer, side === 0 ? "key" : "value");
        const source = side === 0 ? keys : values;
        const base = tables.pages.pointer(page) + offset;
        for (let i = 0; i < count; i++) {
          for (let head = 0; head < kvHeads; head++) {
            const from = source + ((t + i) * kvHeads + head) * stride;
            u8.copyWithin(base + head * headBytes + (at + i) * stride, from, from + stride);
          }
        }
      }
      t += count;
    }
    sequence.fill[layer] = first + tokens;
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
    this.#parts.tables.makeRoom(this.#sequence(seq), tokens);
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
    const { tables, layout, config, encoder, kernels } = this.#parts;
    const { kvHeads, headDim: dim, pageTokens } = config;
    const sequence = this.#sequence(seq);
    this.#layer(layer);
    assertOneOf(side, "side", ["key", "value"]);
    const { from, to } = tokenRange(sequence, layer, options);
    assertPresent(sequence, from, to, pageTokens);
    const size = (to - from) * kvHeads * dim;
    const result = out ?? new Float32Array(size);
    assertFloat32(result, "out");
    if (result.length !== size) throw new RangeError(`"out" expected ${size} values, got ${result.length}`);
    const codec = this.#codec(layer, side);
    const { offset, stride, headBytes } = layout.region(layer, side);
    const { pointer: space, rows } = encoder.space;
    for (let position = from; position < to; ) {
      const at = position % pageTokens;
      const count = Math.min(to - position, pageTokens - at, rows);
      const page = sequence.table[Math.floor(position / pageTokens)]!;
      for (let head = 0; head < kvHeads; head++) {
        const bytes = tables.pages.pointer(page) + offset + head * headBytes + at * stride;
        codec.decode(bytes, count, space);
        const { f32 } = kernels.arena;
        for (let t = 0; t < count; t++) {
          const target = ((position - from + t) * kvHeads + head) * dim;
          for (let i = 0; i < dim; i++) result[target + i] = f32[(space >>> 2) + t * dim + i]!;
        }
      }
      position += count;
    }
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
    const result = out ?? new Float32Array(queries.length);
    assertFloat32(result, "out");
    if (result.length !== queries.length)
      throw new RangeError(`"out" expected ${queries.length} values, got ${result.length}`);
    this.#runs.open(sequence, layer);
    this.#attention.attend(this.#runs, queries, heads, result, options);
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
    options: ReadOptions = NO_OPTIONS,
  ): Float32Array {
    const sequence = this.#sequence(seq);
    this.#layer(layer);
    assertInteger(kvHead, "kvHead", 0, this.config.kvHeads - 1);
    assertFloat32(query, "query");
    if (query.length !== this.config.headDim)
      throw new RangeError(`"query" expected ${this.config.headDim} values, got ${query.length}`);
    const { from, to } = tokenRange(sequence, layer, options);
    const result = out ?? new Float32Array(to - from);
    assertFloat32(result, "out");
    if (result.length !== to - from)
      throw new RangeError(`"out" expected ${to - from} values, got ${result.length}`);
    this.#runs.open(sequence, layer);
    this.#attention.scores(this.#runs, kvHead, query, from, to, result);
    return result;
  }

  /**
   * Keeps the full pages of the sequence's first tokens for later sequences that begin with the same ones. tokens: their
   * ids; only as many as every layer holds count. salt separates what must not be shared. Tokens now kept.
   */
  storePrefix(seq: SequenceHandle, tokens: ArrayLike<number>, options: PrefixOptions = NO_OPTIONS): number {
    const { pageTokens } = this.config;
    const sequence = this.#sequence(seq);
    const ids = tokenArray(tokens);
    const identity = identityOf(this.config, options.salt);
    let full = Math.floor(Math.min(ids.length, leastFilled(sequence)) / pageTokens);
    const released = sequence.table.indexOf(RELEASED);
    if (released >= 0) full = Math.min(full, released);
    return this.#parts.prefixes.store(identity, ids, sequence.table.slice(0, full)) * pageTokens;
  }

  /**
   * A new sequence that shares the longest kept prefix of `tokens` (perhaps none of it). With `leaveOne` at least one
   * token is left to compute.
   */
  matchPrefix(
    tokens: ArrayLike<number>,
    options: PrefixOptions & { readonly leaveOne?: boolean } = NO_OPTIONS,
  ): { seq: SequenceHandle; tokens: number } {
    const { tables, prefixes } = this.#parts;
    const ids = tokenArray(tokens);
    const identity = identityOf(this.config, options.salt);
    const most = Math.floor(
      (options.leaveOne ? Math.max(0, ids.length - 1) : ids.length) / this.config.pageTokens,
    );
    const pages = prefixes.match(identity, ids, most);
    const sequence = tables.adopt(pages, pages.length * this.config.pageTokens);
    return { seq: sequence.handle, tokens: pages.length * this.config.pageTokens };
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
    this.#parts.tables.pages.dispose();
    this.#parts.encoder.release();
    this.#attention.release();
    for (const codec of this.#codecs) codec.release();
  }

  #sequence(seq: SequenceHandle): Sequence {
    return this.#parts.tables.sequences.get(seq);
  }

  #layer(layer: number): number {
    assertInteger(layer, "layer", 0, this.config.layers - 1);
    return layer;
  }

  #codec(layer: number, side: Side): SideCodec {
    return (side === "key" ? this.#keys : this.#values)[layer]!;
  }
}
