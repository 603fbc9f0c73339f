/**
 * The first tokens of a sequence where they are kept in halves beside packed pages: attention's overlay of the first tile.
 * Their packed places are zeros, so whatever way packed rows are read adds nothing for them; here their scores are put in
 * and their values are summed apart, in f32 and in lane order, whatever the precision of the rest.
 */
import type { Kernels } from "../kernels/kernels.js";
import type { SideCodec } from "./side-codec.js";

/** Where the halves of a layer's first tokens lie. */
export interface SinkRuns {
  /** First tokens in halves that are there. */
  readonly sinkTokens: number;
  /** Where the halves of a head begin: (sinkTokens, dim), in the basis of prepared queries. */
  sinkKeys(head: number): number;
  /** The same of values, in the basis of accumulators. */
  sinkValues(head: number): number;
}

export class SinkRows {
  readonly #kernels: Kernels;
  readonly #dim: number;
  readonly #preparedFloats: number;
  readonly #keys: number;
  readonly #values: number;
  readonly #prepared: number;
  readonly #sums: number;
  #count = 0;

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

  /** Widens a head's halves, and forgets the sums of `rows` rows. */
  open(runs: SinkRuns, head: number, rows: number): void {
    this.#count = runs.sinkTokens;
    const values = this.#count * this.#dim;
    const { f32 } = this.#kernels.arena;
    f32.fill(0, this.#sums >>> 2, (this.#sums >>> 2) + rows * this.#dim);
    if (values === 0) return;
    this.#kernels.f16ToF32(runs.sinkKeys(head), this.#keys, values);
    this.#kernels.f16ToF32(runs.sinkValues(head), this.#values, values);
  }

  /** query: (dim,), original basis. */
  prepare(row: number, key: SideCodec, query: number): void {
    if (this.#count > 0) key.prepare(query, this.#prepared + 4 * row * this.#preparedFloats);
  }

  /** Scores of the first tokens into a tile's (limit,) scores. */
  score(row: number, limit: number, scores: number): void {
    const n = Math.min(this.#count, limit);
    if (n === 0) return;
    this.#kernels.dotF32(this.#prepared + 4 * row * this.#preparedFloats, this.#keys, n, this.#dim, scores);
  }

  /** Sums values by a tile's weights; those below `sparse` are skipped. */
  accumulate(row: number, limit: number, weights: number, sparse: number): void {
    const n = Math.min(this.#count, limit);
    const sums = this.#sums + 4 * row * this.#dim;
    for (let i = 0; i < n; i++) {
      if (this.#kernels.arena.f32[(weights >>> 2) + i]! < sparse) continue;
      this.#kernels.accumulateF32(weights + 4 * i, this.#values + 4 * i * this.#dim, 1, this.#dim, sums);
    }
  }

  shrink(row: number, factor: number): void {
    const { f32 } = this.#kernels.arena;
    const at = (this.#sums >>> 2) + row * this.#dim;
    for (let i = at; i < at + this.#dim; i++) f32[i]! *= factor;
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
