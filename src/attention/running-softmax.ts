/**
 * Online softmax of rows over tiles: a running maximum, moved from tile to tile, and the sum of weights in four lanes
 * (position mod 4), those of a tile added up before they are added to those before (`weighTile` of kernels.ts). Numbers
 * stay in the backend's memory: what crosses into JavaScript would have to be collected.
 */
import type { Kernels } from "../kernels/kernels.js";
import { ROWS } from "./readers.js";

const { fround } = Math;
/** f32 of a state: maximum, scale, factor, unused, four sums. */
const STATE = 8;

export class RunningSoftmax {
  readonly #kernels: Kernels;
  /** What scores are multiplied by. */
  readonly scale = new Float32Array(1);
  /** (ROWS, STATE) f32. */
  readonly #states: number;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.#states = kernels.arena.allocate(4 * STATE * ROWS);
  }

  /** Forgets what `rows` rows saw. */
  open(rows: number): void {
    const { f32 } = this.#kernels.arena;
    const from = this.#states >>> 2;
    f32.fill(0, from, from + STATE * rows);
    for (let r = 0; r < rows; r++) {
      f32[from + STATE * r] = Number.NEGATIVE_INFINITY;
      f32[from + STATE * r + 1] = this.scale[0]!;
    }
  }

  /** Where the state of a row is, as weighTile has it. */
  state(row: number): number {
    return this.#states + 4 * STATE * row;
  }

  /** scores: (n,) f32 of a row's next tile → weights e^(scale · score − running maximum). True: the maximum moved. */
  weigh(row: number, scores: number, n: number): boolean {
    this.#kernels.weighTile(scores, n, this.state(row));
    return this.#kernels.arena.f32[(this.#states >>> 2) + STATE * row + 2] !== 1;
  }

  /** The maximum of a row moved: n values at `sums`, summed with weights before its last tile, shrink. */
  shrink(row: number, sums: number, n: number): void {
    const { f32 } = this.#kernels.arena;
    const factor = f32[(this.#states >>> 2) + STATE * row + 2]!;
    for (let i = sums >>> 2; i < (sums >>> 2) + n; i++) f32[i]! *= factor;
  }

  /** out[at …] ← n sums at `sums` over the sum of a row's weights; zeros where nothing was seen. */
  divide(row: number, sums: number, n: number, out: Float32Array, at: number): void {
    const { f32 } = this.#kernels.arena;
    const l = (this.#states >>> 2) + STATE * row + 4;
    const total = fround(fround(f32[l]! + f32[l + 2]!) + fround(f32[l + 1]! + f32[l + 3]!));
    const inverse = total > 0 ? fround(1 / total) : total === 0 ? 0 : Number.NaN;
    const from = sums >>> 2;
    for (let i = 0; i < n; i++) out[at + i] = f32[from + i]! * inverse;
  }

  release(): void {
    this.#kernels.arena.release(this.#states);
  }
}
