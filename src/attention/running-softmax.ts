/**
 * Online softmax of rows over tiles: a running maximum, moved from tile to tile, and the sum of weights in four lanes
 * (position mod 4).
 */
import { expNegative } from "../core/exp.js";
import type { Kernels } from "../kernels/kernels.js";
import { ROWS } from "./readers.js";

const { fround } = Math;

export class RunningSoftmax {
  readonly #kernels: Kernels;
  readonly #max = new Float32Array(ROWS);
  /** (ROWS, 4) f32. */
  readonly #lanes: number;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.#lanes = kernels.arena.allocate(16 * ROWS);
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
    const lanes = this.#lanes + 16 * row;
    if (factor !== 1) {
      const { f32 } = this.#kernels.arena;
      for (let lane = lanes >>> 2; lane < (lanes >>> 2) + 4; lane++) f32[lane]! *= factor;
    }
    // Where nothing was seen yet, every score is −∞ and so would be the maximum: −∞ − 0 gives the weight 0.
    const max = this.#max[row]! === Number.NEGATIVE_INFINITY ? 0 : this.#max[row]!;
    this.#kernels.softmaxWeights(scores, n, max, lanes);
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
