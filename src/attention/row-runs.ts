/** The runs of a tile's tokens as the exact readers want them: rows as they lie, or f32 that they were decoded to. */
import { TILE } from "./readers.js";
import type { SideCodec } from "./side-codec.js";
import { RunList } from "./token-runs.js";

export class RowRuns extends RunList {
  /** Bytes from one row to the next, and of working space. */
  readonly stride: number;
  readonly tileBytes: number;
  readonly #codec: SideCodec;
  readonly #staged: boolean;
  /** Where rows are taken out of tiles to, in working space. */
  readonly #rowsAt: number;

  constructor(codec: SideCodec, staged: boolean) {
    super();
    this.#codec = codec;
    this.#staged = staged;
    this.stride = staged ? 4 * codec.dim : codec.stride;
    this.#rowsAt = staged ? TILE * this.stride : 0;
    this.tileBytes = this.#rowsAt + (codec.store.inRows ? 0 : TILE * codec.stride);
  }

  /** space: tileBytes that the tile may take. */
  put(pointer: number, at: number, count: number, space: number): void {
    const { store, stride } = this.#codec;
    let rows = pointer;
    if (!store.inRows) {
      rows = space + this.#rowsAt + at * stride;
      store.take(pointer, 0, count, rows);
    }
    if (this.#staged) {
      const staged = space + at * this.stride;
      this.#codec.stage(rows, count, staged);
      rows = staged;
    }
    this.add(at, count, rows);
  }
}
