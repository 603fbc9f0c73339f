/**
 * What attention asks of a format: one reader for its keys and one for its values at each precision. A reader takes the
 * vectors of a tile of TILE tokens, a run at a time, wherever they lie, and then scores or sums them for all rows (query,
 * head) at once, by kernels of its own. A new way of reading is a new reader; attend.ts knows none of them.
 */

import { SOFTMAX_TOKENS } from "../kernels/tile-kernels.js";

/** Tokens that share one update of the running maximum. */
export const TILE = SOFTMAX_TOKENS;
/** Rows (query, head) that go through a tile together. */
export const ROWS = 64;

/**
 * How exactly packed keys and values are read. Relative rms error of the output against f64 over the dequantised vectors
 * (Gaussian queries, keys and values): exact 1e-6, precise 3e-3, fast 2e-2.
 */
export type Precision = "exact" | "precise" | "fast";
export const PRECISIONS = ["exact", "precise", "fast"] as const;

/** Working space, by pointer. All readers of a cache share one; each uses what its needs say. */
export interface Space {
  /** (ROWS, preparedFloats) f32. */
  readonly prepared: number;
  /** Vectors of a tile, as a reader of keys or of values wants them: tileBytes. */
  readonly keys: number;
  readonly values: number;
  /** Pointers to vectors: TILE / 16 u32 each. */
  readonly keyList: number;
  readonly valueList: number;
  /** workBytes. Nothing in it outlives a call. */
  readonly work: number;
}

export interface ReaderNeeds {
  /** f32 of a prepared query. */
  readonly preparedFloats: number;
  /** f32 of a row of sums. */
  readonly sumFloats: number;
  readonly tileBytes: number;
  readonly workBytes: number;
}

interface Reader {
  readonly needs: ReaderNeeds;
  /** Takes working space for the calls that follow. */
  open(space: Space): void;
  /** Begins a tile: forgets what was put. */
  begin(): void;
  /** `count` vectors from `pointer` on are the tile's tokens from `at` on. They stay there until the tile is done. */
  put(pointer: number, at: number, count: number): void;
}

export interface KeyReader extends Reader {
  /** query: (dim,) f32, original basis → the prepared query of a row. */
  prepare(row: number, query: number): void;
  /**
   * scores: (ROWS, TILE) f32. Rows first … rows − 1 get ⟨query, key⟩ of the first limits[row] tokens, those that were put;
   * the rest of a row is unspecified.
   */
  score(first: number, rows: number, limits: Int32Array, scores: number): void;
}

export interface ValueReader extends Reader {
  /**
   * sums: (ROWS, sumFloats) f32. Rows first … rows − 1 get Σ weight · value of their first limits[row] tokens added; weights
   * below `sparse` count as 0. weights: (ROWS, TILE) f32, overwritten.
   */
  accumulate(
    first: number,
    rows: number,
    limits: Int32Array,
    weights: number,
    sparse: number,
    sums: number,
  ): void;
  /** A row of sums → sums in the basis that the codec's `finish` takes, in place. */
  gather(sums: number): void;
}
