/**
 * The share of the mean key in scores (core/centring.ts): ⟨q, R_p μ⟩ for a tile of positions. With the pairs of q and μ as
 * complex numbers, a = conj(q) μ, it is
 *
 *   s(p) = Σ_i Re a_i · cos f_i p − Im a_i · sin f_i p + rest
 *
 * exactly: a dot product in lane order with the row of cosines and sines of p, one table for all layers and heads; or as
 * sums of waves (core/waves.ts), which read no table of positions and stay within that file's bound.
 */
import type { Center } from "../core/centring.js";
import { pairOf, Turns } from "../core/rope.js";
import { createWaves, putSpanTurn, putWave, SPAN, type Waves, waveFloats } from "../core/waves.js";
import type { Kernels } from "../kernels/kernels.js";
import type { Plan } from "../kernels/plan.js";
import { createWavePlan } from "../kernels/wave-plan.js";

/** Positions whose turns are kept: 4 MiB at 64 dimensions. Tiles beyond are made when they are read. */
const KEPT = 16_384;

export class KeyOffset {
  readonly #kernels: Kernels;
  readonly #dim: number;
  readonly #kvHeads: number;
  readonly #tile: number;
  readonly #center: Center;
  readonly #turns: Turns | undefined;
  readonly #waves: Waves | undefined;
  readonly #wavePlan: Plan | undefined;
  /** Values of a row of the table: a multiple of 4. */
  readonly #width: number;
  /** (tiles kept, tile, width) f32, tile by tile; 0: not made yet. */
  readonly #tables: Uint32Array;
  readonly #spare: number;
  #spareTile = -1;
  /** (rows, width): Re a, −Im a of each pair; then the rest of each row. */
  readonly #weights: number;
  readonly #rest: Float32Array;
  readonly #wave: number;
  readonly #waveSize: number;
  readonly #spans: number;
  #spansTile = -1;
  readonly #scores: number;
  readonly #turn: Float32Array;
  readonly #query: Float32Array;
  readonly #span: Float32Array;
  readonly #made: Float32Array;

  /** rows: most queries at a time; tile: positions of a tile, a multiple of SPAN. */
  constructor(kernels: Kernels, dim: number, kvHeads: number, center: Center, rows: number, tile: number) {
    const { rope } = center;
    this.#kernels = kernels;
    this.#dim = dim;
    this.#kvHeads = kvHeads;
    this.#tile = tile;
    this.#center = center;
    this.#turns = rope && new Turns(rope);
    this.#waves = rope && createWaves(rope);
    this.#width = Math.ceil((rope?.dimensions ?? 0) / 4) * 4;
    this.#tables = new Uint32Array(KEPT / tile);
    this.#waveSize = this.#waves ? Math.ceil(waveFloats(this.#waves) / 4) * 4 : 0;
    const spanFloats = this.#waves ? (2 * this.#waves.channels * tile) / SPAN : 0;
    const { arena } = kernels;
    this.#wavePlan = this.#waves && createWavePlan(arena, this.#waves);
    this.#spare = arena.allocate(4 * Math.max(4, tile * this.#width));
    this.#weights = arena.allocate(4 * Math.max(4, rows * this.#width));
    this.#wave = arena.allocate(4 * Math.max(4, rows * this.#waveSize));
    this.#spans = arena.allocate(4 * Math.max(4, spanFloats));
    this.#scores = arena.allocate(4 * tile);
    this.#rest = new Float32Array(rows);
    this.#turn = new Float32Array(rope?.dimensions ?? 0);
    this.#query = new Float32Array(dim);
    this.#span = new Float32Array(this.#waves ? 2 * this.#waves.channels : 0);
    this.#made = new Float32Array(this.#waves ? waveFloats(this.#waves) : 0);
  }

  /** The query at `query` (dim,) becomes row `row`, for keys of a layer's head. */
  prepare(row: number, layer: number, head: number, query: number): void {
    const { f32 } = this.#kernels.arena;
    const q = this.#query;
    for (let i = 0; i < q.length; i++) q[i] = f32[(query >>> 2) + i]!;
    const first = (layer * this.#kvHeads + head) * this.#dim;
    const mean = this.#center.means.subarray(first, first + this.#dim);
    const waves = this.#waves;
    if (!waves) {
      let rest = 0;
      for (let i = 0; i < q.length; i++) rest = Math.fround(rest + Math.fround(q[i]! * mean[i]!));
      this.#rest[row] = rest;
      return;
    }
    putWave(waves, q, mean, this.#made);
    f32.set(this.#made, (this.#wave >>> 2) + row * this.#waveSize);
    this.#rest[row] = this.#made[2 * waves.channels]!;
    const to = (this.#weights >>> 2) + row * this.#width;
    f32.fill(0, to, to + this.#width);
    const { rope } = waves;
    for (let i = 0; i < rope.dimensions / 2; i++) {
      const [x, y] = pairOf(rope, i);
      f32[to + 2 * i] = Math.fround(q[x]! * mean[x]!) + Math.fround(q[y]! * mean[y]!);
      f32[to + 2 * i + 1] = Math.fround(q[y]! * mean[x]!) - Math.fround(q[x]! * mean[y]!);
    }
  }

  /** out (tile,) += s of the first `count` positions from `tile` on, for row `row`; exactly, or as waves (any beyond `count` too). */
  add(row: number, tile: number, count: number, out: number, exact: boolean): void {
    const { kernels, rest } = { kernels: this.#kernels, rest: this.#rest[row]! };
    if (!this.#waves) {
      const { f32 } = kernels.arena;
      for (let i = out >>> 2; i < (out >>> 2) + count; i++) f32[i]! += rest;
      return;
    }
    if (!exact) {
      this.#turnSpans(tile);
      const wave = this.#wave + 4 * row * this.#waveSize;
      kernels.addWaves(this.#wavePlan!.pointer, wave, this.#spans, this.#tile / SPAN, out);
      return;
    }
    const table = this.#table(tile);
    kernels.dotF32(this.#weights + 4 * row * this.#width, table, count, this.#width, this.#scores);
    const { f32 } = kernels.arena;
    const [from, to] = [this.#scores >>> 2, out >>> 2];
    for (let i = 0; i < count; i++) f32[to + i]! += Math.fround(f32[from + i]! + rest);
  }

  #turnSpans(tile: number): void {
    if (this.#spansTile === tile) return;
    this.#spansTile = tile;
    const { f32 } = this.#kernels.arena;
    for (let span = 0; span < this.#tile / SPAN; span++) {
      putSpanTurn(this.#waves!, tile / SPAN + span, this.#span);
      f32.set(this.#span, (this.#spans >>> 2) + span * this.#span.length);
    }
  }

  /** Rows of cosines and sines of the positions of a tile. */
  #table(tile: number): number {
    const index = tile / this.#tile;
    if (index >= this.#tables.length) {
      if (this.#spareTile !== tile) this.#fill(this.#spare, tile);
      this.#spareTile = tile;
      return this.#spare;
    }
    if (this.#tables[index] === 0) {
      const made = this.#kernels.arena.allocate(4 * this.#tile * this.#width);
      this.#fill(made, tile);
      this.#tables[index] = made;
    }
    return this.#tables[index]!;
  }

  #fill(table: number, tile: number): void {
    for (let p = 0; p < this.#tile; p++) {
      this.#turns!.put(tile + p, this.#turn);
      const { f32 } = this.#kernels.arena;
      const at = (table >>> 2) + p * this.#width;
      f32.fill(0, at, at + this.#width);
      f32.set(this.#turn, at);
    }
  }

  release(): void {
    const { arena } = this.#kernels;
    this.#wavePlan?.release();
    for (const table of this.#tables) if (table !== 0) arena.release(table);
    this.#tables.fill(0);
    for (const at of [this.#spare, this.#weights, this.#wave, this.#spans, this.#scores]) arena.release(at);
  }
}
