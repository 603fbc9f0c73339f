/**
 * Online softmax of rows over tiles: a running maximum, moved from tile to tile, and the sum of weights in four lanes
 * (position mod 4), those of a tile added up before they are added to those before.
 */
import { expNegative } from "../core/exp.js";
import type { Kernels } from "../kernels/kernels.js";
import { ROWS } from "./readers.js";

const { fround } = Math;

export class RunningSoftmax {
  readonly #kernels: Kernels;
  readonly #max = new Float32Array(ROWS);
  /** (ROWS, 4) f32, and four more: those of the tile at hand. */
  readonly #lanes: number;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.#lanes = kernels.arena.allocate(16 * ROWS + 16);
  }

  /** Forgets what `rows` rows saw. */
  open(rows: number): void {
    this.#max.fill(Number.NEGATIVE_INFINITY, 0, rows);
    const lanes = this.#lanes >>> 2;
    this.#kernels.arena.f32.fill(0, lanes, lanes + 4 * rows);
  }

  /**
   * scores: (n,) f32 of a row's next tile → weights e^(scale · score − running maximum). Returns what everything that was
   * summed with weights before shrinks by: 1 where the maximum stays.
   */
  weigh(row: number, scores: number, n: number, scale: number): number {
    const most = this.#kernels.scaleMax(scores, n, scale);
    const before = this.#max[row]!;
    let factor = 1;
    if (most > before || Number.isNaN(most)) {
      this.#max[row] = most;
      if (before !== Number.NEGATIVE_INFINITY) factor = expNegative(fround(before - most));
    }
    // Where nothing was seen yet, every score is −∞ and so would be the maximum: −∞ − 0 gives the weight 0.
    const max = this.#max[row]! === Number.NEGATIVE_INFINITY ? 0 : this.#max[row]!;
    const { f32 } = this.#kernels.arena;
    const tile = this.#lanes + 16 * ROWS;
    const to = (this.#lanes >>> 2) + 4 * row;
    const from = tile >>> 2;
    for (let lane = 0; lane < 4; lane++) f32[from + lane] = 0;
    this.#kernels.softmaxWeights(scores, n, max, tile);
    for (let lane = 0; lane < 4; lane++)
      f32[to + lane] = fround(f32[to + lane]! * factor) + f32[from + lane]!;
    return factor;
  }

  /** 1 / Σ weight of a row; 0 where nothing was seen. */
  inverse(row: number): number {
    const { f32 } = this.#kernels.arena;
    const l = (this.#lanes >>> 2) + 4 * row;
    const total = fround(fround(f32[l]! + f32[l + 2]!) + fround(f32[l + 1]! + f32[l + 3]!));
    return total > 0 ? fround(1 / total) : total === 0 ? 0 : Number.NaN;
  }

  release(): void {
    this.#kernels.arena.release(this.#lanes);
  }
}
