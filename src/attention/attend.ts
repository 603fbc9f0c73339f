/**
 * Causal attention over packed vectors, wherever they lie: online softmax (running maximum and sum), any number of
 * query heads to one head of keys and values, one query or many.
 *
 *   s_p = scale · ⟨q, k̂_p⟩      w_p = e^(s_p − m)      out = Σ w_p v̂_p / Σ w_p
 *
 * Positions are taken in tiles of TILE tokens, counted from position 0, whatever the pages are: the running maximum
 * moves from tile to tile, the sum of weights runs in four lanes (position mod 4), values are added position after
 * position. So the result does not depend on how tokens lie in memory, on how many queries come at once, or on the
 * backend: it is the same to the bit. Tokens that were released count as absent.
 */

import type { Center } from "../core/centring.js";
import { expNegative } from "../core/exp.js";
import type { Kernels } from "../kernels/kernels.js";
import { TILE_TOKENS } from "../kernels/tile.js";
import { KeyOffset } from "./key-offset.js";
import type { SideCodec } from "./side-codec.js";
import { SinkRows, type SinkRuns } from "./sink-rows.js";
import { type KeyMethod, keyMethod, type Precision } from "./tile-reader.js";

const { fround } = Math;

/** Tokens that share one update of the running maximum. */
export const TILE = 128;
/** Rows (query, head) that go through a tile together. */
const ROWS = 64;
const MOST_RUNS = TILE;

/** The vectors of one layer: runs of tokens whose keys, and whose values, are contiguous for each head. */
export interface TokenRuns extends SinkRuns {
  /** Which layer it is: keys may be centred by means of its own. */
  readonly layer: number;
  readonly key: SideCodec;
  readonly value: SideCodec;
  /** Tokens that the layer holds, released ones included. */
  readonly tokens: number;
  /**
   * Looks up token `position` of a head and says how many tokens from it on are contiguous (at least 1); negative:
   * how many are absent. The pointers then point to it.
   */
  seek(position: number, head: number): number;
  readonly keyPointer: number;
  readonly valuePointer: number;
}

/** What attention sees and how exactly it computes. */
export interface AttendOptions {
  /** What scores are multiplied by, above 0. Default 1/√headDim. */
  readonly scale?: number;
  /** Values whose weight, relative to the largest so far, is below this are skipped; the sum still counts them. Off: 0. */
  readonly sparse?: number;
  /** A query sees itself and the window − 1 tokens before it, and the first `sinks` tokens. Default: all. */
  readonly window?: number;
  readonly sinks?: number;
  /** How exactly packed vectors are read, where the format has a choice: turbo1 … turbo4, dim ≤ 256. Default: exact. */
  readonly precision?: Precision;
}

/** What a cache keeps beside packed vectors. */
export interface AttentionExtras {
  /** Most first tokens in halves. */
  readonly sinks?: number;
  /** What was taken off the keys before they were encoded. */
  readonly center?: Center | undefined;
}

/** Attention with working space of its own in a backend's memory. Not reentrant; nothing is allocated per call. */
export class Attention {
  readonly #kernels: Kernels;
  readonly #dim: number;
  readonly #kvHeads: number;
  readonly #preparedFloats: number;
  readonly #accumulatorFloats: number;
  readonly #base: number;
  readonly #query: number;
  readonly #prepared: number;
  readonly #sums: number;
  readonly #weights: number;
  readonly #keys: number;
  readonly #values: number;
  readonly #keyTiles: number;
  readonly #valueTiles: number;
  readonly #keyList: number;
  readonly #valueList: number;
  readonly #work: number;
  readonly #sinks: SinkRows | undefined;
  readonly #offset: KeyOffset | undefined;
  /** How keys and values are read instead of exactly. */
  #method: KeyMethod | undefined;
  readonly #methods: KeyMethod[] = new Array<KeyMethod>(ROWS).fill("tables16");
  #valuesTiled = false;
  #keysStaged = false;
  #valuesStaged = false;
  readonly #max = new Float64Array(ROWS);
  readonly #lanes: number;
  readonly #seen = new Int32Array(ROWS);
  readonly #runAt = new Int32Array(MOST_RUNS);
  readonly #runCount = new Int32Array(MOST_RUNS);
  readonly #runKey = new Float64Array(MOST_RUNS);
  readonly #runValue = new Float64Array(MOST_RUNS);

  /** sides: all the codecs that will be read. */
  constructor(
    kernels: Kernels,
    dim: number,
    kvHeads: number,
    sides: readonly SideCodec[],
    { sinks = 0, center }: AttentionExtras = {},
  ) {
    this.#kernels = kernels;
    this.#dim = dim;
    this.#kvHeads = kvHeads;
    const readers = sides.flatMap((s) => (s.tiles ? [s.tiles] : []));
    const exactFloats = Math.max(...sides.map((s) => s.preparedFloats));
    this.#preparedFloats = pad4(Math.max(exactFloats, ...readers.map((t) => t.preparedFloats)));
    this.#accumulatorFloats = pad4(Math.max(...[...sides, ...readers].map((s) => s.accumulatorFloats)));
    const tiles = (TILE / TILE_TOKENS) * Math.max(0, ...readers.map((t) => t.tileBytes / 4));
    const work = Math.max(0, ...readers.map((t) => t.workBytes(ROWS) / 4));
    const list = readers.length > 0 ? TILE / TILE_TOKENS : 0;
    const stages = sides.some((s) => s.stageFrom < Number.POSITIVE_INFINITY) ? TILE * pad4(dim) : 0;
    const parts = [
      pad4(Math.max(dim, exactFloats)),
      ROWS * this.#preparedFloats,
      ROWS * this.#accumulatorFloats,
      ROWS * TILE,
      4 * ROWS,
      stages,
      stages,
      pad4(tiles),
      pad4(tiles),
      pad4(list),
      pad4(list),
      pad4(work),
    ];
    this.#base = kernels.arena.allocate(4 * parts.reduce((sum, n) => sum + n, 0));
    let at = this.#base;
    const place = (n: number): number => (at += 4 * n) - 4 * n;
    [this.#query, this.#prepared, this.#sums, this.#weights, this.#lanes, this.#keys, this.#values] = parts
      .slice(0, 7)
      .map(place) as [number, number, number, number, number, number, number];
    [this.#keyTiles, this.#valueTiles, this.#keyList, this.#valueList, this.#work] = parts
      .slice(7)
      .map(place) as [number, number, number, number, number];
    this.#sinks = sinks > 0 ? new SinkRows(kernels, dim, ROWS, sinks, pad4(exactFloats)) : undefined;
    this.#offset = center && new KeyOffset(kernels, dim, kvHeads, center, ROWS, TILE);
  }

  /**
   * queries: (count, heads, dim), the last `count` tokens of `runs` → out: the same shape. heads is a multiple of
   * the heads of keys; query head h reads head ⌊h · kvHeads / heads⌋.
   */
  attend(
    runs: TokenRuns,
    queries: Float32Array,
    heads: number,
    out: Float32Array,
    options: AttendOptions,
  ): void {
    const group = heads / this.#kvHeads;
    const count = queries.length / (heads * this.#dim);
    const rows = count * group;
    const precision = options.precision ?? "exact";
    this.#method = precision === "exact" || !runs.key.tiles ? undefined : keyMethod(precision, group);
    this.#valuesTiled = precision !== "exact" && runs.value.tiles !== undefined;
    this.#keysStaged = !this.#method && group >= runs.key.stageFrom;
    this.#valuesStaged = !this.#valuesTiled && group >= runs.value.stageFrom;
    this.#listTiles(runs);
    for (let head = 0; head < this.#kvHeads; head++)
      for (let from = 0; from < rows; from += ROWS)
        this.#block(runs, head, queries, heads, out, count, from, Math.min(ROWS, rows - from), options);
  }

  /** Rows from … from + rows of a head: row r is query ⌊r / group⌋, head r mod group of the group. */
  #block(
    runs: TokenRuns,
    head: number,
    queries: Float32Array,
    heads: number,
    out: Float32Array,
    count: number,
    from: number,
    rows: number,
    options: AttendOptions,
  ): void {
    const group = heads / this.#kvHeads;
    const dim = this.#dim;
    const { arena } = this.#kernels;
    const scale = fround(options.scale ?? 1 / Math.sqrt(dim));
    const exact = (options.precision ?? "exact") === "exact";
    const sparse = options.sparse ?? 0;
    const window = options.window ?? Number.POSITIVE_INFINITY;
    const sinks = options.sinks ?? 0;
    const { key, value, tokens } = runs;

    this.#sinks?.open(runs, head, rows);
    for (let r = 0; r < rows; r++) {
      const query = Math.floor((from + r) / group);
      const at = (query * heads + head * group + ((from + r) % group)) * dim;
      for (let i = 0; i < dim; i++) arena.f32[(this.#query >>> 2) + i] = queries[at + i]!;
      this.#prepare(key, r);
      this.#sinks?.prepare(r, key, this.#query);
      this.#offset?.prepare(r, runs.layer, head, this.#query);
      this.#max[r] = Number.NEGATIVE_INFINITY;
      this.#seen[r] = tokens - count + query + 1;
    }
    arena.f32.fill(0, this.#sums >>> 2, (this.#sums >>> 2) + rows * this.#accumulatorFloats);
    arena.f32.fill(0, this.#lanes >>> 2, (this.#lanes >>> 2) + 4 * rows);

    // The first query of the block has the smallest window: what it cannot see below that nobody can.
    const lowest = Math.max(0, this.#seen[0]! - window);
    const end = this.#seen[rows - 1]!;
    for (let tile = 0; tile < end; tile += TILE) {
      if (tile >= sinks && tile + TILE <= lowest) continue;
      const present = this.#collect(runs, head, tile, Math.min(end, tile + TILE));
      if (present === 0) continue;
      let first = 0;
      while (this.#seen[first]! <= tile) first++;
      const tiles = Math.ceil((Math.min(end, tile + TILE) - tile) / TILE_TOKENS);
      if (this.#method) this.#scoreTiles(key, first, rows, tiles);
      for (let r = first; r < rows; r++) {
        const seen = this.#seen[r]!;
        this.#score(key, r, tile, present, seen, seen - window, sinks, scale, exact);
        if (tile === 0) this.#sinks?.accumulate(r, seen, this.#weights + 4 * TILE * r, sparse);
        if (!this.#valuesTiled) this.#accumulate(value, r, tile, present, sparse);
      }
      if (this.#valuesTiled) this.#accumulateTiles(value, first, rows, tile, tiles, sparse);
    }

    for (let r = 0; r < rows; r++) {
      const query = Math.floor((from + r) / group);
      const to = (query * heads + head * group + ((from + r) % group)) * dim;
      const sum = this.#sums + 4 * r * this.#accumulatorFloats;
      if (this.#valuesTiled) value.tiles!.gather(sum, this.#work);
      this.#sinks?.finish(r, sum);
      value.finish(sum);
      const l = (this.#lanes >>> 2) + 4 * r;
      const { f32 } = arena;
      const total = fround(fround(f32[l]! + f32[l + 2]!) + fround(f32[l + 1]! + f32[l + 3]!));
      const inverse = total > 0 ? fround(1 / total) : total === 0 ? 0 : Number.NaN;
      for (let i = 0; i < dim; i++) out[to + i] = f32[(sum >>> 2) + i]! * inverse;
    }
  }

  /** Lists the runs of a tile, decoding what must be decoded. How many there are. */
  #collect(runs: TokenRuns, head: number, tile: number, end: number): number {
    const { key, value } = runs;
    let n = 0;
    for (let position = tile; position < end; ) {
      const found = runs.seek(position, head);
      const count = Math.min(Math.abs(found), end - position);
      if (found > 0) {
        const offset = 4 * (position - tile) * this.#dim;
        let keys = runs.keyPointer;
        let values = runs.valuePointer;
        if (this.#method) key.tiles!.put("key", keys, position - tile, count, this.#keyTiles);
        if (this.#valuesTiled) value.tiles!.put("value", values, position - tile, count, this.#valueTiles);
        if (this.#keysStaged) {
          key.stage(keys, count, this.#keys + offset);
          keys = this.#keys + offset;
        }
        if (this.#valuesStaged) {
          value.stage(values, count, this.#values + offset);
          values = this.#values + offset;
        }
        this.#runAt[n] = position - tile;
        this.#runCount[n] = count;
        this.#runKey[n] = keys;
        this.#runValue[n] = values;
        n++;
      }
      position += count;
    }
    return n;
  }

  /** Weights of a row over a tile: scores, then e^(score − running maximum); unseen and absent tokens get 0. */
  #score(
    key: SideCodec,
    r: number,
    tile: number,
    present: number,
    seen: number,
    oldest: number,
    sinks: number,
    scale: number,
    exact: boolean,
  ): void {
    const prepared = this.#prepared + 4 * r * this.#preparedFloats;
    const weights = this.#weights + 4 * TILE * r;
    const limit = Math.min(TILE, seen - tile);
    for (let n = 0; n < (this.#method ? 0 : present); n++) {
      const at = this.#runAt[n]!;
      const count = Math.min(this.#runCount[n]!, limit - at);
      if (count > 0) this.#scoreRun(key, prepared, n, count, weights + 4 * at);
    }
    if (tile === 0) this.#sinks?.score(r, limit, weights);
    this.#offset?.add(r, tile, limit, weights, exact);
    this.#hide(weights, tile, present, limit, oldest, sinks);
    const most = this.#kernels.scaleMax(weights, limit, scale);
    const before = this.#max[r]!;
    if (most > before || Number.isNaN(most)) {
      this.#max[r] = most;
      if (before !== Number.NEGATIVE_INFINITY) this.#shrink(r, expNegative(fround(before - most)));
    }
    // Where nothing was seen yet, every score is −∞ and so would be the maximum: −∞ − 0 gives the weight 0.
    const max = this.#max[r]! === Number.NEGATIVE_INFINITY ? 0 : this.#max[r]!;
    this.#kernels.softmaxWeights(weights, limit, max, this.#lanes + 16 * r);
  }

  #scoreRun(key: SideCodec, prepared: number, run: number, count: number, out: number): void {
    if (this.#keysStaged) this.#kernels.dotF32(prepared, this.#runKey[run]!, count, this.#dim, out);
    else key.score(prepared, this.#runKey[run]!, count, out);
  }

  #addRun(value: SideCodec, weights: number, rows: number, count: number, acc: number): void {
    if (this.#valuesStaged) this.#kernels.accumulateF32(weights, rows, count, this.#dim, acc);
    else value.accumulate(weights, rows, count, acc);
  }

  /** −∞ for the tokens of a tile that are absent, or outside window and sinks. */
  #hide(weights: number, tile: number, present: number, limit: number, oldest: number, sinks: number): void {
    const { f32 } = this.#kernels.arena;
    const base = weights >>> 2;
    let next = 0;
    for (let n = 0; n < present; n++) {
      const at = this.#runAt[n]!;
      if (at > next) f32.fill(Number.NEGATIVE_INFINITY, base + next, base + Math.min(at, limit));
      next = at + this.#runCount[n]!;
    }
    if (next < limit) f32.fill(Number.NEGATIVE_INFINITY, base + next, base + limit);
    const from = Math.max(0, sinks - tile);
    const to = Math.min(limit, oldest - tile);
    if (to > from) f32.fill(Number.NEGATIVE_INFINITY, base + from, base + to);
  }

  /** A new maximum: what was summed so far shrinks. */
  #shrink(r: number, factor: number): void {
    const { f32 } = this.#kernels.arena;
    const at = (this.#sums >>> 2) + r * this.#accumulatorFloats;
    for (let i = 0; i < this.#accumulatorFloats; i++) f32[at + i]! *= factor;
    const lanes = (this.#lanes >>> 2) + 4 * r;
    for (let lane = 0; lane < 4; lane++) f32[lanes + lane]! *= factor;
    this.#sinks?.shrink(r, factor);
  }

  #accumulate(value: SideCodec, r: number, tile: number, present: number, sparse: number): void {
    const acc = this.#sums + 4 * r * this.#accumulatorFloats;
    const limit = Math.min(TILE, this.#seen[r]! - tile);
    const { f32 } = this.#kernels.arena;
    const weights = this.#weights + 4 * TILE * r;
    const base = weights >>> 2;
    for (let n = 0; n < present; n++) {
      const at = this.#runAt[n]!;
      const stop = Math.min(at + this.#runCount[n]!, limit);
      const pointer = this.#runValue[n]!;
      if (sparse === 0) {
        if (stop > at) this.#addRun(value, weights + 4 * at, pointer, stop - at, acc);
        continue;
      }
      for (let i = at; i < stop; ) {
        if (f32[base + i]! < sparse) {
          i++;
          continue;
        }
        const first = i;
        while (i < stop && !(f32[base + i]! < sparse)) i++;
        const rows = pointer + (first - at) * (this.#valuesStaged ? 4 * this.#dim : value.stride);
        this.#addRun(value, weights + 4 * first, rows, i - first, acc);
      }
    }
  }

  /** The query in its space becomes row r, as the method wants it. */
  #prepare(key: SideCodec, r: number): void {
    const prepared = this.#prepared + 4 * r * this.#preparedFloats;
    key.prepare(this.#query, this.#method ? this.#work : prepared);
    if (this.#method) this.#methods[r] = key.tiles!.prepare(this.#method, this.#work, prepared);
  }

  /** Points the lists to the tiles that #collect fills. */
  #listTiles({ key, value }: TokenRuns): void {
    const { u32 } = this.#kernels.arena;
    for (let i = 0; i < TILE / TILE_TOKENS; i++) {
      if (this.#method) u32[(this.#keyList >>> 2) + i] = this.#keyTiles + i * key.tiles!.tileBytes;
      if (this.#valuesTiled) u32[(this.#valueList >>> 2) + i] = this.#valueTiles + i * value.tiles!.tileBytes;
    }
  }

  #scoreTiles(key: SideCodec, first: number, rows: number, n: number): void {
    const stride = 4 * this.#preparedFloats;
    const out = this.#weights + 4 * TILE * first;
    const prepared = this.#prepared + first * stride;
    const { tiles } = key;
    tiles!.score(
      this.#methods,
      first,
      prepared,
      stride,
      rows - first,
      this.#keyList,
      n,
      out,
      4 * TILE,
      this.#work,
    );
  }

  /** Weights that a row does not see, or that are too small, become 0, which adds nothing. */
  #accumulateTiles(
    value: SideCodec,
    first: number,
    rows: number,
    tile: number,
    n: number,
    sparse: number,
  ): void {
    const { f32 } = this.#kernels.arena;
    for (let r = first; r < rows; r++) {
      const base = (this.#weights >>> 2) + TILE * r;
      const limit = Math.min(TILE, this.#seen[r]! - tile);
      f32.fill(0, base + limit, base + TILE);
      if (sparse > 0) for (let i = base; i < base + limit; i++) if (f32[i]! < sparse) f32[i] = 0;
    }
    const stride = 4 * this.#accumulatorFloats;
    const weights = this.#weights + 4 * TILE * first;
    const sums = this.#sums + first * stride;
    value.tiles!.accumulate(weights, 4 * TILE, rows - first, this.#valueList, n, sums, stride, this.#work);
  }

  /** Scores of tokens from … to of a head, unscaled: out[i] ← ⟨query, k̂⟩; absent tokens get −∞. query: (dim,). */
  scores(
    runs: TokenRuns,
    head: number,
    query: Float32Array,
    from: number,
    to: number,
    out: Float32Array,
  ): void {
    const { arena } = this.#kernels;
    arena.f32.set(query, this.#query >>> 2);
    this.#method = undefined;
    this.#valuesTiled = false;
    runs.key.prepare(this.#query, this.#prepared);
    this.#keysStaged = runs.key.stageFrom === 1;
    this.#valuesStaged = false;
    this.#sinks?.open(runs, head, 1);
    this.#sinks?.prepare(0, runs.key, this.#query);
    this.#offset?.prepare(0, runs.layer, head, this.#query);
    out.fill(Number.NEGATIVE_INFINITY);
    for (let tile = from - (from % TILE); tile < to; tile += TILE) {
      const first = Math.max(from, tile);
      const end = Math.min(to, tile + TILE);
      const present = this.#collect(runs, head, tile, end);
      for (let n = 0; n < present; n++) {
        const at = this.#runAt[n]!;
        this.#scoreRun(runs.key, this.#prepared, n, this.#runCount[n]!, this.#weights + 4 * at);
      }
      if (tile === 0) this.#sinks?.score(0, end, this.#weights);
      this.#offset?.add(0, tile, end - tile, this.#weights, true);
      const { f32 } = arena;
      for (let n = 0; n < present; n++) {
        const at = tile + this.#runAt[n]!;
        for (let p = Math.max(at, first); p < at + this.#runCount[n]!; p++)
          out[p - from] = f32[(this.#weights >>> 2) + p - tile]!;
      }
    }
  }

  release(): void {
    this.#sinks?.release();
    this.#offset?.release();
    this.#kernels.arena.release(this.#base);
  }
}

const pad4 = (n: number): number => Math.ceil(n / 4) * 4;
