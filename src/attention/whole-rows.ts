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

/** What the list is first made for, in pages. */
const FIRST_PAGES = 64;

export class WholeRows {
  readonly #kernels: Kernels;
  readonly #work: number;
  /** Pointers to pages: (#capacity,) u32. Grows with the longest layer that was read. */
  #pages: number;
  #capacity = FIRST_PAGES;

  constructor(kernels: Kernels) {
    this.#kernels = kernels;
    this.#work = kernels.arena.allocate(attendWorkBytes);
    this.#pages = kernels.arena.allocate(4 * FIRST_PAGES);
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
    const { pageTokens, keyRegion, valueRegion } = runs;
    this.#reserve(Math.ceil(tokens / pageTokens));
    if (!runs.listPages(tokens, this.#kernels.arena.u32, this.#pages >>> 2)) return false;
    this.#kernels.attendTiles(
      keys.format.plan,
      entryBytes,
      keys.prepared(0),
      values.format.plan,
      values.levelBytes,
      this.#pages,
      pageTokens / TILE_TOKENS,
      keyRegion.offset + head * keyRegion.headBytes,
      valueRegion.offset + head * valueRegion.headBytes,
      tokens,
      state,
      sums,
      values.needs.sumFloats,
      this.#work,
    );
    return true;
  }

  #reserve(pages: number): void {
    if (pages <= this.#capacity) return;
    const { arena } = this.#kernels;
    const capacity = 2 ** Math.ceil(Math.log2(pages));
    const list = arena.allocate(4 * capacity);
    arena.release(this.#pages);
    [this.#pages, this.#capacity] = [list, capacity];
  }

  release(): void {
    this.#kernels.arena.release(this.#pages);
    this.#kernels.arena.release(this.#work);
  }
}
