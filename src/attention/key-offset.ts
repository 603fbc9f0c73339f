/**
 * The share of the mean key in scores (core/centring.ts): ⟨q, R_p μ⟩ for a tile of positions, as sums of waves
 * (core/waves.ts): exact but for roundings. How a span of positions turns is one table for all layers and heads.
 */
import type { Center } from "../core/centring.js";
import { createWaves, putSpanTurn, putWave, SPAN, type Waves, waveFloats } from "../core/waves.js";
import type { Kernels } from "../kernels/kernels.js";
import type { Plan } from "../kernels/plan.js";
import { createWavePlan } from "../kernels/wave-plan.js";

/** Positions whose turns are kept: 4 MiB at 128 dimensions. Tiles beyond are made when they are read. */
const KEPT = 262_144;

export class KeyOffset {
  readonly #kernels: Kernels;
  readonly #dim: number;
  readonly #kvHeads: number;
  readonly #tile: number;
  readonly #center: Center;
  readonly #waves: Waves | undefined;
  readonly #wavePlan: Plan | undefined;
  /** Turns of each tile's spans: (tile / SPAN, 2 · channels) f32; 0: not made yet. */
  readonly #turns: Uint32Array;
  readonly #spare: number;
  #spareTile = -1;
  /** (rows, waveSize) f32, and what does not turn of each row. */
  readonly #wave: number;
  readonly #waveSize: number;
  readonly #rest: Float32Array;
  readonly #query: Float32Array;
  readonly #span: Float32Array;
  readonly #made: Float32Array;

  /** rows: most queries at a time; tile: positions of a tile, a multiple of SPAN. */
  constructor(kernels: Kernels, dim: number, kvHeads: number, center: Center, rows: number, tile: number) {
    this.#kernels = kernels;
    this.#dim = dim;
    this.#kvHeads = kvHeads;
    this.#tile = tile;
    this.#center = center;
    this.#waves = center.rope && createWaves(center.rope);
    this.#turns = new Uint32Array(this.#waves ? KEPT / tile : 0);
    const { arena } = kernels;
    this.#wavePlan = this.#waves && createWavePlan(arena, this.#waves);
    this.#waveSize = this.#waves ? Math.ceil(waveFloats(this.#waves) / 4) * 4 : 0;
    this.#wave = arena.allocate(4 * Math.max(4, rows * this.#waveSize));
    this.#span = new Float32Array(this.#waves ? 2 * this.#waves.channels : 0);
    this.#spare = arena.allocate(4 * Math.max(4, (tile / SPAN) * this.#span.length));
    this.#rest = new Float32Array(rows);
    this.#query = new Float32Array(dim);
    this.#made = new Float32Array(this.#waves ? waveFloats(this.#waves) : 0);
  }

  /** The query at `query` (dim,) becomes row `row`, for keys of a layer's head. */
  prepare(row: number, layer: number, head: number, query: number): void {
    const { f32 } = this.#kernels.arena;
    const q = this.#query;
    for (let i = 0; i < q.length; i++) q[i] = f32[(query >>> 2) + i]!;
    const first = (layer * this.#kvHeads + head) * this.#dim;
    const mean = this.#center.means.subarray(first, first + this.#dim);
    if (this.#waves) {
      putWave(this.#waves, q, mean, this.#made);
      f32.set(this.#made, (this.#wave >>> 2) + row * this.#waveSize);
      return;
    }
    let rest = 0;
    for (let i = 0; i < q.length; i++) rest = Math.fround(rest + Math.fround(q[i]! * mean[i]!));
    this.#rest[row] = rest;
  }

  /** out (tile,) += the share of the first `count` positions from `tile` on, for row `row`; any beyond them too. */
  add(row: number, tile: number, count: number, out: number): void {
    const { kernels, rest } = { kernels: this.#kernels, rest: this.#rest[row]! };
    if (this.#wavePlan) {
      const wave = this.#wave + 4 * row * this.#waveSize;
      kernels.addWaves(this.#wavePlan.pointer, wave, this.#turnsOf(tile), Math.ceil(count / SPAN), out);
      return;
    }
    const { f32 } = kernels.arena;
    for (let i = out >>> 2; i < (out >>> 2) + count; i++) f32[i]! += rest;
  }

  /** How the spans of a tile turn. */
  #turnsOf(tile: number): number {
    const index = tile / this.#tile;
    if (index >= this.#turns.length) {
      if (this.#spareTile !== tile) this.#fill(this.#spare, tile);
      this.#spareTile = tile;
      return this.#spare;
    }
    if (this.#turns[index] === 0) {
      const made = this.#kernels.arena.allocate(4 * (this.#tile / SPAN) * this.#span.length);
      this.#fill(made, tile);
      this.#turns[index] = made;
    }
    return this.#turns[index]!;
  }

  #fill(turns: number, tile: number): void {
    for (let span = 0; span < this.#tile / SPAN; span++) {
      putSpanTurn(this.#waves!, tile / SPAN + span, this.#span);
      this.#kernels.arena.f32.set(this.#span, (turns >>> 2) + span * this.#span.length);
    }
  }

  release(): void {
    const { arena } = this.#kernels;
    this.#wavePlan?.release();
    for (const turns of this.#turns) if (turns !== 0) arena.release(turns);
    this.#turns.fill(0);
    for (const at of [this.#spare, this.#wave]) arena.release(at);
  }
}
