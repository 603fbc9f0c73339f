/**
 * Causal attention over packed vectors, wherever they lie: online softmax (running maximum and sum), any number of
 * query heads to one head of keys and values, one query or many.
 *
 *   s_p = scale · ⟨q, k̂_p⟩      w_p = e^(s_p − m)      out = Σ w_p v̂_p / Σ w_p
 *
 * Positions are taken in tiles of TILE tokens, counted from position 0, whatever the pages are: the running maximum
 * moves from tile to tile, the sum of weights runs in four lanes (position mod 4), values are added position after
 * position, and the sums of a tile to those of the tiles before. So the result does not depend on how tokens lie in memory, on how many queries come at once, or on the
 * backend: it is the same to the bit. Tokens that were released count as absent. How vectors are read is the business of
 * the readers (readers.ts) that a format gives.
 */

import type { Center } from "../core/centring.js";
import type { Kernels } from "../kernels/kernels.js";
import { HalfRows } from "./half-rows.js";
import { KeyOffset } from "./key-offset.js";
import { type KeyReader, type Precision, ROWS, type Space, TILE, type ValueReader } from "./readers.js";
import { RunningSoftmax } from "./running-softmax.js";
import { type Share, WholeStep } from "./share.js";
import type { SideCodec } from "./side-codec.js";
import { RunList, type TokenRuns } from "./token-runs.js";
import { WholeRows } from "./whole-rows.js";

/** What attention sees and how exactly it computes. */
export interface AttendOptions {
  /** What scores are multiplied by, above 0. Default 1/√headDim. */
  readonly scale?: number;
  /** Values whose weight, relative to the largest so far, is below this are skipped; the sum still counts them. Off: 0. */
  readonly sparse?: number;
  /** A query sees itself and the window − 1 tokens before it, and the first `sinks` tokens. Default: all. */
  readonly window?: number;
  readonly sinks?: number;
}

/** What a cache keeps beside packed vectors. */
export interface AttentionExtras {
  /** Most tokens in halves. */
  readonly halves?: number;
  /** What was taken off the keys before they were encoded. */
  readonly center?: Center | undefined;
}

/** Attention with working space of its own in a backend's memory. Not reentrant; nothing is allocated per call. */
export class Attention {
  readonly #kernels: Kernels;
  readonly #dim: number;
  readonly #kvHeads: number;
  readonly #space: Space;
  /** (dim,) a query; (ROWS, TILE) scores, then weights; (ROWS, sumFloats) sums. */
  readonly #query: number;
  readonly #weights: number;
  readonly #sums: number;
  readonly #regions: readonly number[];
  readonly #softmax: RunningSoftmax;
  readonly #whole: WholeRows;
  readonly #halves: HalfRows | undefined;
  readonly #offset: KeyOffset | undefined;
  readonly #present = new RunList();
  readonly #allHeads = new WholeStep();
  /** For each row: tokens it sees in all, and those of the tile at hand. */
  readonly #seen = new Int32Array(ROWS);
  readonly #limits = new Int32Array(ROWS);

  /** sides: all the codecs that will be read. */
  constructor(
    kernels: Kernels,
    dim: number,
    kvHeads: number,
    sides: readonly SideCodec[],
    { halves = 0, center }: AttentionExtras = {},
  ) {
    this.#kernels = kernels;
    this.#dim = dim;
    this.#kvHeads = kvHeads;
    const needs = sides.flatMap((side) => side.readers.map((reader) => reader.needs));
    const most = (field: keyof (typeof needs)[number]): number => Math.max(...needs.map((n) => n[field]));
    const regions: number[] = [];
    const allocate = (bytes: number): number => {
      regions.push(kernels.arena.allocate(bytes));
      return regions.at(-1)!;
    };
    this.#query = allocate(4 * dim);
    this.#weights = allocate(4 * ROWS * TILE);
    this.#sums = allocate(4 * ROWS * most("sumFloats"));
    this.#space = {
      prepared: allocate(4 * ROWS * most("preparedFloats")),
      keys: allocate(most("tileBytes")),
      values: allocate(most("tileBytes")),
      keyList: allocate(TILE / 4),
      valueList: allocate(TILE / 4),
      work: allocate(most("workBytes")),
    };
    this.#regions = regions;
    this.#softmax = new RunningSoftmax(kernels);
    this.#whole = new WholeRows(kernels);
    const preparedFloats = Math.max(...sides.map((side) => side.preparedFloats));
    this.#halves = halves > 0 ? new HalfRows(kernels, dim, ROWS, halves, pad4(preparedFloats)) : undefined;
    this.#offset = center && new KeyOffset(kernels, dim, kvHeads, center, ROWS, TILE);
  }

  /**
   * queries: (count, heads, dim), the last `count` tokens of `runs` → out: the same shape. heads is a multiple of
   * the heads of keys; query head h reads head ⌊h · kvHeads / heads⌋. share: which units of it; default: all.
   */
  attend(
    runs: TokenRuns,
    queries: Float32Array,
    heads: number,
    out: Float32Array,
    precision: Precision,
    options: AttendOptions,
    share: Share = this.#allHeads.open(this.#kvHeads),
  ): void {
    const group = heads / this.#kvHeads;
    const count = queries.length / (heads * this.#dim);
    const rows = count * group;
    const keys = runs.key.keys(precision, group);
    const values = runs.value.values(precision, group);
    this.#softmax.scale[0] = options.scale ?? 1 / Math.sqrt(this.#dim);
    keys.open(this.#space);
    values.open(this.#space);
    const { parts } = share;
    for (let unit = share.next(); unit >= 0; unit = share.next()) {
      const part = unit % parts;
      const end = Math.floor(((part + 1) * rows) / parts);
      for (let from = Math.floor((part * rows) / parts); from < end; from += ROWS) {
        const n = Math.min(ROWS, end - from);
        this.#block(runs, keys, values, (unit - part) / parts, queries, heads, out, count, from, n, options);
      }
    }
  }

  /** Rows from … from + rows of a head: row r is query ⌊r / group⌋, head r mod group of the group. */
  #block(
    runs: TokenRuns,
    keys: KeyReader,
    values: ValueReader,
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
    const sparse = options.sparse ?? 0;
    const window = Math.min(options.window ?? runs.tokens, runs.tokens); // a small number: others are garbage
    const sinks = options.sinks ?? 0;
    const sumFloats = values.needs.sumFloats;

    this.#halves?.open(runs, runs.tokens, head, rows);
    for (let r = 0; r < rows; r++) {
      const query = Math.floor((from + r) / group);
      const at = (query * heads + head * group + ((from + r) % group)) * dim;
      const { f32 } = arena;
      const to = this.#query >>> 2;
      for (let i = 0; i < dim; i++) f32[to + i] = queries[at + i]!;
      keys.prepare(r, this.#query);
      this.#halves?.prepare(r, runs.key, this.#query);
      this.#offset?.prepare(r, runs.layer, head, this.#query);
      this.#seen[r] = runs.tokens - count + query + 1;
    }
    this.#softmax.open(rows);
    arena.f32.fill(0, this.#sums >>> 2, (this.#sums >>> 2) + rows * sumFloats);

    // The first query of the block has the smallest window: what it cannot see below that nobody can.
    const lowest = Math.max(0, this.#seen[0]! - window);
    const end = this.#seen[rows - 1]!;
    // What nobody has to look into goes through the kernels at once.
    const plain = rows === 1 && lowest === 0 && sparse === 0 && !this.#halves && !this.#offset;
    const state = this.#softmax.state(0);
    const done = plain && this.#whole.attend(runs, head, end, keys, values, state, this.#sums);
    for (let tile = done ? end : 0; tile < end; tile += TILE) {
      if (tile >= sinks && tile + TILE <= lowest) continue;
      this.#collect(runs, head, tile, Math.min(end, tile + TILE), keys, values);
      if (this.#present.length === 0) continue;
      let first = 0;
      while (this.#seen[first]! <= tile) first++;
      for (let r = first; r < rows; r++) this.#limits[r] = Math.min(TILE, this.#seen[r]! - tile);
      keys.score(first, rows, this.#limits, this.#weights);
      for (let r = first; r < rows; r++) {
        const limit = this.#limits[r]!;
        const weights = this.#weights + 4 * TILE * r;
        this.#halves?.score(r, tile, limit, weights);
        this.#offset?.add(r, tile, limit, weights);
        this.#hide(weights, tile, limit, this.#seen[r]! - window, sinks);
        if (this.#softmax.weigh(r, weights, limit)) this.#shrink(r, sumFloats);
        this.#halves?.accumulate(r, tile, limit, weights, sparse);
      }
      values.accumulate(first, rows, this.#limits, this.#weights, sparse, this.#sums);
    }

    for (let r = 0; r < rows; r++) {
      const query = Math.floor((from + r) / group);
      const to = (query * heads + head * group + ((from + r) % group)) * dim;
      const sum = this.#sums + 4 * r * sumFloats;
      values.gather(sum);
      this.#halves?.finish(r, sum);
      runs.value.finish(sum);
      this.#softmax.divide(r, sum, dim, out, to);
    }
  }

  /** Lists the tokens of a tile that are there and hands them to the readers. */
  #collect(
    runs: TokenRuns,
    head: number,
    tile: number,
    end: number,
    keys: KeyReader,
    values?: ValueReader,
  ): void {
    const present = this.#present;
    present.length = 0;
    keys.begin();
    values?.begin();
    for (let position = tile; position < end; ) {
      const found = runs.seek(position, head);
      const at = position - tile;
      const count = Math.min(Math.abs(found), end - position);
      if (found > 0) {
        present.add(at, count, 0);
        keys.put(runs.keyPointer, at, count);
        values?.put(runs.valuePointer, at, count);
      }
      position += count;
    }
  }

  /** −∞ for the tokens of a tile that are absent, or outside window and sinks. */
  #hide(weights: number, tile: number, limit: number, oldest: number, sinks: number): void {
    const { f32 } = this.#kernels.arena;
    const { at, count, length } = this.#present;
    const base = weights >>> 2;
    let next = 0;
    for (let n = 0; n < length; n++) {
      if (at[n]! > next) f32.fill(Number.NEGATIVE_INFINITY, base + next, base + Math.min(at[n]!, limit));
      next = at[n]! + count[n]!;
    }
    if (next < limit) f32.fill(Number.NEGATIVE_INFINITY, base + next, base + limit);
    const from = Math.max(0, sinks - tile);
    const to = Math.min(limit, oldest - tile);
    if (to > from) f32.fill(Number.NEGATIVE_INFINITY, base + from, base + to);
  }

  /** A new maximum: what was summed so far shrinks. */
  #shrink(r: number, sumFloats: number): void {
    this.#softmax.shrink(r, this.#sums + 4 * r * sumFloats, sumFloats);
    this.#halves?.shrink(r, this.#softmax);
  }

  /** Scores of tokens from … to of a head, unscaled: out[i] ← ⟨query, k̂⟩; absent tokens get −∞. query: (dim,). */
  scores(
    runs: TokenRuns,
    head: number,
    query: Float32Array,
    from: number,
    to: number,
    out: Float32Array,
    precision: Precision,
  ): void {
    const { arena } = this.#kernels;
    const keys = runs.key.keys(precision, 1);
    keys.open(this.#space);
    arena.f32.set(query, this.#query >>> 2);
    keys.prepare(0, this.#query);
    this.#halves?.open(runs, runs.tokens, head, 1);
    this.#halves?.prepare(0, runs.key, this.#query);
    this.#offset?.prepare(0, runs.layer, head, this.#query);
    out.fill(Number.NEGATIVE_INFINITY);
    for (let tile = from - (from % TILE); tile < to; tile += TILE) {
      const first = Math.max(from, tile);
      const end = Math.min(to, tile + TILE);
      this.#collect(runs, head, tile, end, keys);
      this.#limits[0] = end - tile;
      keys.score(0, 1, this.#limits, this.#weights);
      this.#halves?.score(0, tile, end - tile, this.#weights);
      this.#offset?.add(0, tile, end - tile, this.#weights);
      const { at, count, length } = this.#present;
      const { f32 } = arena;
      const base = (this.#weights >>> 2) - tile;
      for (let n = 0; n < length; n++) {
        const end = tile + at[n]! + count[n]!;
        for (let p = Math.max(tile + at[n]!, first); p < end; p++) out[p - from] = f32[base + p]!;
      }
    }
  }

  release(): void {
    this.#halves?.release();
    this.#offset?.release();
    this.#softmax.release();
    this.#whole.release();
    for (const region of this.#regions) this.#kernels.arena.release(region);
  }
}

const pad4 = (n: number): number => Math.ceil(n / 4) * 4;
