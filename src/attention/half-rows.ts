/**
 * Tokens that are kept in halves beside packed pages, the first ones of a sequence and its last ones: attention's overlay.
 * Whatever way packed rows are read, here the scores of these tokens are put in, their values are summed apart, in f32 and
 * position after position, and their weights then become 0, so that what the packed rows have in their places adds nothing.
 */
import type { Kernels } from "../kernels/kernels.js";
import type { RunningSoftmax } from "./running-softmax.js";
import type { SideCodec } from "./side-codec.js";

/** Where the halves of a layer lie, in the basis of prepared queries and of accumulators. */
export interface HalfRuns {
  /** First tokens in halves that are there. */
  readonly sinkTokens: number;
  /** Where the halves of a head begin: (sinkTokens, dim). */
  sinkKeys(head: number): number;
  sinkValues(head: number): number;
  /** Last tokens in halves: those from here on, none of them a sink. */
  readonly recentFrom: number;
  /** Rows of the ring that they lie in: token p in row p mod ring. 0: no such tokens. */
  readonly ring: number;
  /** Where the ring of a head begins: (ring, dim). */
  recentKeys(head: number): number;
  recentValues(head: number): number;
}

/** Tokens from `first` on, whose widened rows begin at row `row`. */
interface Span {
  first: number;
  count: number;
  row: number;
}

export class HalfRows {
  readonly #kernels: Kernels;
  readonly #dim: number;
  readonly #preparedFloats: number;
  readonly #keys: number;
  readonly #values: number;
  readonly #prepared: number;
  readonly #sums: number;
  readonly #sinks: Span = { first: 0, count: 0, row: 0 };
  readonly #recent: Span = { first: 0, count: 0, row: 0 };
  readonly #spans: readonly Span[] = [this.#sinks, this.#recent];

  /** rows: most queries at a time; tokens: most in halves; preparedFloats: of a query prepared exactly. */
  constructor(kernels: Kernels, dim: number, rows: number, tokens: number, preparedFloats: number) {
    this.#kernels = kernels;
    this.#dim = dim;
    this.#preparedFloats = preparedFloats;
    const { arena } = kernels;
    this.#keys = arena.allocate(4 * tokens * dim);
    this.#values = arena.allocate(4 * tokens * dim);
    this.#prepared = arena.allocate(4 * rows * preparedFloats);
    this.#sums = arena.allocate(4 * rows * dim);
  }

  /** Widens a head's halves, and forgets the sums of `rows` rows. tokens: those that the layer holds. */
  open(runs: HalfRuns, tokens: number, head: number, rows: number): void {
    const { f32 } = this.#kernels.arena;
    f32.fill(0, this.#sums >>> 2, (this.#sums >>> 2) + rows * this.#dim);
    this.#sinks.count = runs.sinkTokens;
    if (runs.sinkTokens > 0) this.#widen(runs.sinkKeys(head), runs.sinkValues(head), 0, runs.sinkTokens, 0);
    const { ring } = runs;
    this.#recent.first = runs.recentFrom;
    this.#recent.count = ring > 0 ? Math.max(0, tokens - runs.recentFrom) : 0;
    this.#recent.row = runs.sinkTokens;
    for (let done = 0; done < this.#recent.count; ) {
      const slot = (runs.recentFrom + done) % ring;
      const n = Math.min(ring - slot, this.#recent.count - done);
      this.#widen(runs.recentKeys(head), runs.recentValues(head), slot, n, this.#recent.row + done);
      done += n;
    }
  }

  #widen(keys: number, values: number, slot: number, count: number, row: number): void {
    const from = 2 * slot * this.#dim;
    const to = 4 * row * this.#dim;
    const n = count * this.#dim;
    this.#kernels.f16ToF32(keys + from, this.#keys + to, n);
    this.#kernels.f16ToF32(values + from, this.#values + to, n);
  }

  /** query: (dim,), original basis. */
  prepare(row: number, key: SideCodec, query: number): void {
    if (this.#sinks.count + this.#recent.count > 0)
      key.prepare(query, this.#prepared + 4 * row * this.#preparedFloats);
  }

  /** Scores of those of a tile's first `limit` tokens that are in halves. scores: (limit,). */
  score(row: number, tile: number, limit: number, scores: number): void {
    const query = this.#prepared + 4 * row * this.#preparedFloats;
    for (const span of this.#spans) {
      const from = Math.max(span.first, tile);
      const count = Math.min(span.first + span.count, tile + limit) - from;
      if (count <= 0) continue;
      const keys = this.#keys + 4 * (span.row + from - span.first) * this.#dim;
      this.#kernels.dotF32(query, keys, count, this.#dim, scores + 4 * (from - tile));
    }
  }

  /** Sums their values by a tile's weights, but those below `sparse`, and sets these weights to 0. */
  accumulate(row: number, tile: number, limit: number, weights: number, sparse: number): void {
    const sums = this.#sums + 4 * row * this.#dim;
    for (const span of this.#spans) {
      const end = Math.min(span.first + span.count, tile + limit);
      for (let p = Math.max(span.first, tile); p < end; p++) {
        const weight = weights + 4 * (p - tile);
        const value = this.#values + 4 * (span.row + p - span.first) * this.#dim;
        const { f32 } = this.#kernels.arena;
        if (!(f32[weight >>> 2]! < sparse)) this.#kernels.accumulateF32(weight, value, 1, this.#dim, sums);
        f32[weight >>> 2] = 0;
      }
    }
  }

  shrink(row: number, softmax: RunningSoftmax): void {
    softmax.shrink(row, this.#sums + 4 * row * this.#dim, this.#dim);
  }

  /** acc (dim,) += the sums of a row. */
  finish(row: number, acc: number): void {
    const { f32 } = this.#kernels.arena;
    const at = (this.#sums >>> 2) + row * this.#dim;
    for (let i = 0; i < this.#dim; i++) f32[(acc >>> 2) + i]! += f32[at + i]!;
  }

  release(): void {
    for (const at of [this.#keys, this.#values, this.#prepared, this.#sums]) this.#kernels.arena.release(at);
  }
}
