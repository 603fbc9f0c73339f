import type { LevelBytes } from "./integers.js";

/** Working space of accumulateIntegers: decoded pairs, a row's weights as integers, and as f32. */
export const sumWorkBytes = (rows: number): number => 8192 + 272 * rows + 512;

/** Tokens that share one update of the running maximum. */
export const SOFTMAX_TOKENS = 128;
/** Working space of attendTiles: pointers to tiles, scores, and what accumulateIntegers needs. */
export const attendWorkBytes = SOFTMAX_TOKENS / 2 + 4 * SOFTMAX_TOKENS + sumWorkBytes(1);

/**
 * Kernels of attention over tiles of sixteen tokens (tile.ts), for plans of 1 to 4 bits and dimensions up to 256. The
 * conventions are those of kernels.ts; `tiles` points to a list of u32 pointers, n of them, wherever the tiles lie.
 */
export interface TileKernels {
  /** count rows, `step` bytes apart, in wire order → tokens first … first + count − 1 of a tile; first + count ≤ 16. */
  tileKeys(plan: number, rows: number, step: number, first: number, count: number, tile: number): void;
  /** The same for values. */
  tileValues(plan: number, rows: number, step: number, first: number, count: number, tile: number): void;
  /** The inverse: the bytes of each vector, `step` apart; nothing between them is touched. */
  untileKeys(plan: number, tile: number, first: number, count: number, rows: number, step: number): void;
  /** The same for values. */
  untileValues(plan: number, tile: number, first: number, count: number, rows: number, step: number): void;

  /**
   * out ← tables of a query (tables.ts): those of codes and, with a sketch, those of its bits. query: (dim,) rotated;
   * sketched: S q. Behind the tables 64 bytes of working space.
   */
  prepareTables8(plan: number, query: number, sketched: number, out: number): void;
  /** The same with words for bytes. */
  prepareTables16(plan: number, query: number, sketched: number, out: number): void;
  /** out: (16·n,) ← ⟨query, key⟩ by tables. */
  scoreTables8(plan: number, tables: number, tiles: number, n: number, out: number): void;
  /** The same over tables of words. */
  scoreTables16(plan: number, tables: number, tiles: number, n: number, out: number): void;

  /** out ← a query as integers (integers.ts): step f32, 12 bytes, (dim,) i16; with a sketch the same of its bits. */
  prepareIntegers(plan: number, query: number, sketched: number, out: number): void;
  /**
   * out: (rows, 16·n) ← ⟨query, key⟩ by integers. queries: (rows,) as prepared, `stride` bytes apart; rows of out are
   * `outStride` bytes apart; work: 32·dim bytes.
   */
  scoreIntegers(
    plan: number,
    queries: number,
    stride: number,
    rows: number,
    tiles: number,
    n: number,
    out: number,
    outStride: number,
    work: number,
  ): void;
  /**
   * acc += Σ weight · value of n ≤ 8 tiles, for each row of weights; sums as they are looked up, with integer levels of one
   * byte or two (integers.ts). weights: (rows, 16·n) f32, `weightStride` bytes apart; acc: `accStride` bytes apart;
   * work: sumWorkBytes(rows).
   */
  accumulateIntegers(
    plan: number,
    levelBytes: LevelBytes,
    weights: number,
    weightStride: number,
    rows: number,
    tiles: number,
    n: number,
    acc: number,
    accStride: number,
    work: number,
  ): void;
  /**
   * All of one row of attention over tokens in tiles: for 128 tokens at a time scoreTables8 or 16, weighTile, sums times
   * what it says they shrink by, accumulateIntegers with weights 0 for lanes of no token. pages: a list of pointers to
   * pages, each with pageTiles tiles of keys at keyOffset and of values at valueOffset; state: of weighTile; sums:
   * (sumFloats,), added to; work: attendWorkBytes.
   */
  attendTiles(
    keyPlan: number,
    entryBytes: 1 | 2,
    tables: number,
    valuePlan: number,
    levelBytes: LevelBytes,
    pages: number,
    pageTiles: number,
    keyOffset: number,
    valueOffset: number,
    tokens: number,
    state: number,
    sums: number,
    sumFloats: number,
    work: number,
  ): void;
  /** One row of acc → out: (dim,) and, with a sketch, (sketch rows,) behind it, in order. */
  gatherSums(plan: number, acc: number, out: number): void;
}
