/**
 * One side of a turbo format read by lookups and integers (kernels/tables.ts, kernels/integers.ts) instead of exactly:
 * rows become tiles of sixteen tokens, queries tables or integers, sums exact integers.
 */
import { sumFloats } from "../kernels/integers.js";
import type { Kernels } from "../kernels/kernels.js";
import { codesPerTable, tableBytes } from "../kernels/tables.js";
import { TILE_TOKENS } from "../kernels/tile.js";

/**
 * How exactly packed keys and values are read. Relative rms error of the output against f64 over the dequantised vectors
 * (Gaussian queries, keys and values): exact 1e-6, precise 3e-3, fast 2e-2.
 */
export type Precision = "exact" | "precise" | "fast";
export const PRECISIONS = ["exact", "precise", "fast"] as const;

/** Larger sums do not fit their integers. */
export const MOST_TILED_DIM = 256;
/** Query heads per head of keys from which on keys are decoded once for all of them. */
export const INTEGERS_FROM = 4;
/** Relative rms error of scores up to which tables of bytes are used. */
const MOST_ERROR = 0.018;
/** Tiles that share one scale of weights. */
const BLOCK_TILES = 4;

export type KeyMethod = "tables8" | "tables16" | "integers";

export const keyMethod = (precision: "precise" | "fast", group: number): KeyMethod =>
  group >= INTEGERS_FROM ? "integers" : precision === "fast" ? "tables8" : "tables16";

export class TileReader {
  /** f32 of a query by any method, and of an accumulator. */
  readonly preparedFloats: number;
  readonly accumulatorFloats: number;
  readonly tileBytes: number;
  private readonly tables: number;

  constructor(
    private readonly kernels: Kernels,
    private readonly plan: number,
    private readonly dim: number,
    bits: number,
    private readonly sketchRows: number,
    private readonly stride: number,
  ) {
    const sketch = (bytes: number): number => (sketchRows > 0 ? bytes : 0);
    this.preparedFloats =
      (tableBytes(dim, bits, 2) + sketch(sketchRows > 0 ? tableBytes(sketchRows, 1, 2) : 0) + 64) / 4;
    this.accumulatorFloats = sumFloats(bits, dim) + sketch(sketchRows > 0 ? sumFloats(1, sketchRows) : 0);
    this.tables = dim / codesPerTable(bits);
    this.tileBytes = TILE_TOKENS * this.stride;
  }

  /** Working space of the kernels for so many rows of queries, in bytes. */
  workBytes(rows: number): number {
    return Math.max(32 * this.dim, 4352 + 144 * rows);
  }

  /** rows: (count, stride) → tokens from `at` on of tiles that lie one behind the other. */
  put(side: "key" | "value", rows: number, at: number, count: number, tiles: number): void {
    const { kernels, plan, stride } = this;
    for (let i = 0; i < count; ) {
      const first = (at + i) % TILE_TOKENS;
      const n = Math.min(TILE_TOKENS - first, count - i);
      const tile = tiles + Math.floor((at + i) / TILE_TOKENS) * this.tileBytes;
      if (side === "key") kernels.tileKeys(plan, rows + i * stride, stride, first, n, tile);
      else kernels.tileValues(plan, rows + i * stride, stride, first, n, tile);
      i += n;
    }
  }

  /**
   * query: as the exact way prepares it. Returns what was prepared: words for a query with so large a coordinate that
   * bytes would be too coarse.
   */
  prepare(method: KeyMethod, query: number, prepared: number): KeyMethod {
    const { kernels, plan, dim } = this;
    const sketched = query + 4 * dim;
    if (method === "integers") kernels.prepareIntegers(plan, query, sketched, prepared);
    if (method === "integers") return method;
    if (method === "tables8") {
      kernels.prepareTables8(plan, query, sketched, prepared);
      const { f32 } = kernels.arena;
      let squares = 0;
      for (let i = query >>> 2; i < (query >>> 2) + dim; i++) squares += f32[i]! * f32[i]!;
      // A rounding has step²/12; the score of a key of random direction has squares/dim.
      const error = (f32[prepared >>> 2]! ** 2 * this.tables * dim) / (12 * squares);
      if (!(error > MOST_ERROR ** 2)) return method;
    }
    kernels.prepareTables16(plan, query, sketched, prepared);
    return "tables16";
  }

  /** out: (rows, outStride bytes) ← scores of n tiles; prepared: rows `stride` bytes apart, row r by methods[from + r]. */
  score(
    methods: readonly KeyMethod[],
    from: number,
    prepared: number,
    stride: number,
    rows: number,
    list: number,
    n: number,
    out: number,
    outStride: number,
    work: number,
  ): void {
    const { kernels, plan } = this;
    if (methods[from] === "integers")
      kernels.scoreIntegers(plan, prepared, stride, rows, list, n, out, outStride, work);
    else
      for (let r = 0; r < rows; r++) {
        const [tables, scores] = [prepared + r * stride, out + r * outStride];
        if (methods[from + r] === "tables8") kernels.scoreTables8(plan, tables, list, n, scores);
        else kernels.scoreTables16(plan, tables, list, n, scores);
      }
  }

  /** acc += weights times values of n tiles, block by block. */
  accumulate(
    weights: number,
    weightStride: number,
    rows: number,
    list: number,
    n: number,
    acc: number,
    accStride: number,
    work: number,
  ): void {
    for (let t = 0; t < n; t += BLOCK_TILES)
      this.kernels.accumulateIntegers(
        this.plan,
        weights + 64 * t,
        weightStride,
        rows,
        list + 4 * t,
        Math.min(BLOCK_TILES, n - t),
        acc,
        accStride,
        work,
      );
  }

  /** acc → the sums of the exact way, in place. work: (dim + sketch rows,) f32. */
  gather(acc: number, work: number): void {
    this.kernels.gatherSums(this.plan, acc, work);
    const { f32 } = this.kernels.arena;
    f32.copyWithin(acc >>> 2, work >>> 2, (work >>> 2) + this.dim + this.sketchRows);
  }
}
