/**
 * One row of attention in one call: where keys are looked up in tables, values summed by integers, and all tokens are there
 * in tiles of pages, the kernels need no one between them. Their bits are those of the tile after tile of attend.ts.
 */
import type { Kernels } from "../kernels/kernels.js";
import { TILE_TOKENS } from "../kernels/tile.js";
import { attendWorkBytes } from "../kernels/tile-kernels.js";
import type { KeyReader, ValueReader } from "./readers.js";
import { TileKeys } from "./tile-keys.js";
import { TileValues } from "./tile-values.js";
import type { TokenRuns } from "./token-runs.js";

/** What lists are first made for, in tiles. */
const FIRST_TILES = 64;

export class WholeRows {
  readonly #kernels: Kernels;
  readonly #work: number;
  /** Pointers to tiles of keys, then of values: (2, #capacity) u32. Grows with the longest layer that was read. */
  #lists: number;
  #capacity = FIRST_TILES;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.#work = kernels.arena.allocate(attendWorkBytes);
    this.#lists = kernels.arena.allocate(8 * FIRST_TILES);
  }

  /**
   * The first `tokens` tokens of a head for row 0: state and sums as of attend.ts, as if tile after tile had gone through
   * them. False, and nothing done, where it is not for this kernel: other readers, tokens that are absent.
   */
  attend(
    runs: TokenRuns,
    head: number,
    tokens: number,
    keys: KeyReader,
    values: ValueReader,
    state: number,
    sums: number,
  ): boolean {
    if (!(keys instanceof TileKeys && values instanceof TileValues)) return false;
    const entryBytes = keys.entryBytes(0);
    if (entryBytes === undefined || !keys.format.tiled || !values.format.tiled) return false;
    this.#reserve(Math.ceil(tokens / TILE_TOKENS));
    const at = this.#lists >>> 2;
    if (!runs.listTiles(head, tokens, this.#kernels.arena.u32, at, at + this.#capacity)) return false;
    this.#kernels.attendTiles(
      keys.format.plan,
      entryBytes,
      keys.prepared(0),
      this.#lists,
      values.format.plan,
      values.levelBytes,
      this.#lists + 4 * this.#capacity,
      tokens,
      state,
      sums,
      values.needs.sumFloats,
      this.#work,
    );
    return true;
  }

  #reserve(tiles: number): void {
    if (tiles <= this.#capacity) return;
    const { arena } = this.#kernels;
    const capacity = 2 ** Math.ceil(Math.log2(tiles));
    const lists = arena.allocate(8 * capacity);
    arena.release(this.#lists);
    [this.#lists, this.#capacity] = [lists, capacity];
  }

  release(): void {
    this.#kernels.arena.release(this.#lists);
    this.#kernels.arena.release(this.#work);
  }
}
