/** Keys read exactly: dot products in f32 and in lane order with rows as they lie, or decoded once for all heads. */
import type { Kernels } from "../kernels/kernels.js";
import { type KeyReader, type ReaderNeeds, type Space, TILE } from "./readers.js";
import { RowRuns } from "./row-runs.js";
import type { SideCodec } from "./side-codec.js";

export class RowKeys implements KeyReader {
  readonly needs: ReaderNeeds;
  readonly #kernels: Kernels;
  readonly #codec: SideCodec;
  readonly #staged: boolean;
  readonly #runs: RowRuns;
  #space!: Space;

  constructor(kernels: Kernels, codec: SideCodec, staged: boolean) {
    const { preparedFloats } = codec;
    this.#kernels = kernels;
    this.#codec = codec;
    this.#staged = staged;
    this.#runs = new RowRuns(codec, staged);
    this.needs = {
      preparedFloats: Math.ceil(preparedFloats / 4) * 4,
      sumFloats: 0,
      tileBytes: this.#runs.tileBytes,
      workBytes: 0,
    };
  }

  open(space: Space): void {
    this.#space = space;
  }

  begin(): void {
    this.#runs.length = 0;
  }

  put(pointer: number, at: number, count: number): void {
    this.#runs.put(pointer, at, count, this.#space.keys);
  }

  prepare(row: number, query: number): void {
    this.#codec.prepare(query, this.#prepared(row));
  }

  score(first: number, rows: number, limits: Int32Array, scores: number): void {
    const { at, count, pointer, length } = this.#runs;
    for (let r = first; r < rows; r++)
      for (let n = 0; n < length; n++) {
        const keys = Math.min(count[n]!, limits[r]! - at[n]!);
        if (keys > 0) this.#scoreRun(this.#prepared(r), pointer[n]!, keys, scores + 4 * (TILE * r + at[n]!));
      }
  }

  #scoreRun(prepared: number, keys: number, count: number, out: number): void {
    if (this.#staged) this.#kernels.dotF32(prepared, keys, count, this.#codec.dim, out);
    else this.#codec.score(prepared, keys, count, out);
  }

  #prepared(row: number): number {
    return this.#space.prepared + 4 * row * this.needs.preparedFloats;
  }
}
