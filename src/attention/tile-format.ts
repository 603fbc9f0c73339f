/**
 * A turbo format as readers by lookups and integers see it (kernels/tables.ts, kernels/integers.ts): vectors in tiles of
 * sixteen tokens, kernels/tile.ts.
 */
import type { Kernels } from "../kernels/kernels.js";
import { TILE_TOKENS } from "../kernels/tile.js";
import { TILE } from "./readers.js";

/** Larger sums do not fit their integers. */
export const MOST_TILED_DIM = 256;
/** Tiles of sixteen tokens in a tile of attention. */
export const TILES = TILE / TILE_TOKENS;

export interface TileFormat {
  readonly kernels: Kernels;
  /** Pointer to the plan. */
  readonly plan: number;
  readonly dim: number;
  readonly bits: number;
  /** 0 without a sketch. */
  readonly sketchRows: number;
  /** Bytes of a vector. */
  readonly stride: number;
  /** Pages have tiles; otherwise a reader makes them from rows when it is handed some. */
  readonly tiled: boolean;
}

/** rows: count vectors, `step` bytes apart → tokens from `at` on of tiles that lie one behind the other. */
export function putInTiles(
  { kernels, plan, stride }: TileFormat,
  side: "key" | "value",
  rows: number,
  step: number,
  at: number,
  count: number,
  tiles: number,
): void {
  for (let i = 0; i < count; ) {
    const first = (at + i) % TILE_TOKENS;
    const n = Math.min(TILE_TOKENS - first, count - i);
    const tile = tiles + (at + i - first) * stride;
    if (side === "key") kernels.tileKeys(plan, rows + i * step, step, first, n, tile);
    else kernels.tileValues(plan, rows + i * step, step, first, n, tile);
    i += n;
  }
}

/** The tiles of a run of tokens become those of the list: tiles in place, or made at `tiles`. */
export function listTiles(
  format: TileFormat,
  side: "key" | "value",
  pointer: number,
  at: number,
  count: number,
  tiles: number,
  list: number,
): void {
  const { kernels, stride, tiled } = format;
  if (!tiled) {
    putInTiles(format, side, pointer, stride, at, count, tiles);
    return;
  }
  const { u32 } = kernels.arena;
  for (let i = 0; i < count; i += TILE_TOKENS)
    u32[(list >>> 2) + (at + i) / TILE_TOKENS] = pointer + i * stride;
}

/** The list of the tiles at `tiles`. */
export function listOwnTiles({ kernels, stride }: TileFormat, tiles: number, list: number): void {
  const { u32 } = kernels.arena;
  for (let i = 0; i < TILES; i++) u32[(list >>> 2) + i] = tiles + i * TILE_TOKENS * stride;
}
