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
}

/** rows: (count, stride) → tokens from `at` on of tiles that lie one behind the other. */
export function putInTiles(
  { kernels, plan, stride }: TileFormat,
  side: "key" | "value",
  rows: number,
  at: number,
  count: number,
  tiles: number,
): void {
  for (let i = 0; i < count; ) {
    const first = (at + i) % TILE_TOKENS;
    const n = Math.min(TILE_TOKENS - first, count - i);
    const tile = tiles + Math.floor((at + i) / TILE_TOKENS) * TILE_TOKENS * stride;
    if (side === "key") kernels.tileKeys(plan, rows + i * stride, stride, first, n, tile);
    else kernels.tileValues(plan, rows + i * stride, stride, first, n, tile);
    i += n;
  }
}
