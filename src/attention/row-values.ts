/**
 * Values read exactly, from rows as they lie or decoded once for all heads: those of a tile are added up in f32, position
 * after position, then the tile's sums to those before, so that the error does not grow with the number of tokens.
 */
import type { Kernels } from "../kernels/kernels.js";
import { type ReaderNeeds, type Space, TILE, type ValueReader } from "./readers.js";
import { RowRuns } from "./row-runs.js";
import type { SideCodec } from "./side-codec.js";

export class RowValues implements ValueReader {
  readonly needs: ReaderNeeds;
  readonly #kernels: Kernels;
  readonly #codec: SideCodec;
  readonly #staged: boolean;
  readonly #runs: RowRuns;
  #space!: Space;

  constructor(kernels: Kernels, codec: SideCodec, staged: boolean) {
    const sumFloats = Math.ceil(codec.accumulatorFloats / 4) * 4;
    this.#kernels = kernels;
    this.#codec = codec;
    this.#staged = staged;
    this.#runs = new RowRuns(codec, staged);
    this.needs = {
      preparedFloats: 0,
      sumFloats,
      tileBytes: this.#runs.tileBytes,
      workBytes: 4 * sumFloats + 16,
    };
  }

  open(space: Space): void {
    this.#space = space;
  }

  begin(): void {
    this.#runs.length = 0;
  }

  put(pointer: number, at: number, count: number): void {
    this.#runs.put(pointer, at, count, this.#space.values);
  }

  accumulate(
    first: number,
    rows: number,
    limits: Int32Array,
    weights: number,
    sparse: number,
    sums: number,
  ): void {
    const { at, count, pointer, length } = this.#runs;
    const { sumFloats } = this.needs;
    const { work } = this.#space;
    const one = work + 4 * sumFloats;
    const { f32 } = this.#kernels.arena;
    f32[one >>> 2] = 1;
    for (let r = first; r < rows; r++) {
      f32.fill(0, work >>> 2, one >>> 2);
      for (let n = 0; n < length; n++) {
        const values = Math.min(count[n]!, limits[r]! - at[n]!);
        const w = weights + 4 * (TILE * r + at[n]!);
        if (values <= 0) continue;
        if (sparse === 0) this.#addRun(w, pointer[n]!, values, work);
        else this.#addHeavy(w, pointer[n]!, values, sparse, work);
      }
      this.#kernels.accumulateF32(one, work, 1, sumFloats, sums + 4 * r * sumFloats);
    }
  }

  /** Runs of weights that are not below `sparse`. */
  #addHeavy(weights: number, values: number, count: number, sparse: number, sums: number): void {
    const { f32 } = this.#kernels.arena;
    const w = weights >>> 2;
    for (let i = 0; i < count; ) {
      if (f32[w + i]! < sparse) {
        i++;
        continue;
      }
      const first = i;
      while (i < count && !(f32[w + i]! < sparse)) i++;
      this.#addRun(weights + 4 * first, values + first * this.#runs.stride, i - first, sums);
    }
  }

  #addRun(weights: number, values: number, count: number, sums: number): void {
    if (this.#staged) this.#kernels.accumulateF32(weights, values, count, this.#codec.dim, sums);
    else this.#codec.accumulate(weights, values, count, sums);
  }

  gather(_sums: number): void {}
}
