/** Values read by integers: levels of one byte or two, weights of 128 tokens as sixteen bits, their sums exact, then f32. */
import { type LevelBytes, sumFloats } from "../kernels/integers.js";
import { TILE_TOKENS } from "../kernels/tile.js";
import { sumWorkBytes } from "../kernels/tile-kernels.js";
import { type Precision, type ReaderNeeds, ROWS, type Space, TILE, type ValueReader } from "./readers.js";
import { listOwnTiles, listTiles, TILES, type TileFormat } from "./tile-format.js";

/** Query heads per head of values from which on they share one decoding, so that two bytes cost little. */
const SHARED_FROM = 4;

export const valueLevels = (precision: Exclude<Precision, "exact">, group: number): LevelBytes =>
  precision === "fast" && group < SHARED_FROM ? 1 : 2;

export class TileValues implements ValueReader {
  readonly needs: ReaderNeeds;
  readonly format: TileFormat;
  readonly levelBytes: LevelBytes;
  #count = 0;
  #space!: Space;

  constructor(format: TileFormat, levelBytes: LevelBytes) {
    const { dim, bits, sketchRows, stride } = format;
    this.format = format;
    this.levelBytes = levelBytes;
    this.needs = {
      preparedFloats: 0,
      sumFloats: sumFloats(bits, dim) + (sketchRows > 0 ? sumFloats(1, sketchRows) : 0),
      tileBytes: TILES * TILE_TOKENS * stride,
      workBytes: Math.max(sumWorkBytes(ROWS), 4 * (dim + sketchRows)),
    };
  }

  open(space: Space): void {
    this.#space = space;
    listOwnTiles(this.format, space.values, space.valueList);
  }

  begin(): void {
    this.#count = 0;
  }

  put(pointer: number, at: number, count: number): void {
    const { values, valueList } = this.#space;
    listTiles(this.format, "value", pointer, at, count, values, valueList);
    this.#count = Math.ceil((at + count) / TILE_TOKENS);
  }

  /** Weights that a row does not see, or that are too small, become 0, which adds nothing. */
  accumulate(
    first: number,
    rows: number,
    limits: Int32Array,
    weights: number,
    sparse: number,
    sums: number,
  ): void {
    const { kernels, plan } = this.format;
    const { f32 } = kernels.arena;
    for (let r = first; r < rows; r++) {
      const base = (weights >>> 2) + TILE * r;
      const limit = limits[r]!;
      if (limit < TILE) f32.fill(0, base + limit, base + TILE);
      if (sparse > 0) for (let i = base; i < base + limit; i++) if (f32[i]! < sparse) f32[i] = 0;
    }
    const stride = 4 * this.needs.sumFloats;
    const { valueList, work } = this.#space;
    if (this.#count > 0)
      kernels.accumulateIntegers(
        plan,
        this.levelBytes,
        weights + 4 * TILE * first,
        4 * TILE,
        rows - first,
        valueList,
        this.#count,
        sums + first * stride,
        stride,
        work,
      );
  }

  gather(sums: number): void {
    const { kernels, plan, dim, sketchRows } = this.format;
    const { work } = this.#space;
    kernels.gatherSums(plan, sums, work);
    const { f32 } = kernels.arena;
    f32.copyWithin(sums >>> 2, work >>> 2, (work >>> 2) + dim + sketchRows);
  }
}
