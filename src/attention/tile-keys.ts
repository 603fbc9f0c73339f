/**
 * Keys read by lookups and integers: queries become tables of products, of bytes ("fast") or words ("precise"), or, for
 * several query heads per head of keys, integers that all of them share one decoding with.
 */
import { codesPerTable, tableBytes } from "../kernels/tables.js";
import { TILE_TOKENS } from "../kernels/tile.js";
import { type KeyReader, type Precision, type ReaderNeeds, ROWS, type Space, TILE } from "./readers.js";
import type { SideCodec } from "./side-codec.js";
import { listOwnTiles, listTiles, TILES, type TileFormat } from "./tile-format.js";

/** Query heads per head of keys from which on keys are decoded once for all of them. */
const INTEGERS_FROM = 4;
/** Relative rms error of scores up to which tables of bytes are used. */
const MOST_ERROR = 0.018;

export type KeyMethod = "tables8" | "tables16" | "integers";

export const keyMethod = (precision: Exclude<Precision, "exact">, group: number): KeyMethod =>
  group >= INTEGERS_FROM ? "integers" : precision === "fast" ? "tables8" : "tables16";

export class TileKeys implements KeyReader {
  readonly needs: ReaderNeeds;
  readonly format: TileFormat;
  readonly #codec: SideCodec;
  readonly #method: KeyMethod;
  /** How each row's query was prepared. */
  readonly #methods: KeyMethod[];
  readonly #tables: number;
  #count = 0;
  #space!: Space;

  constructor(format: TileFormat, codec: SideCodec, method: KeyMethod) {
    const { dim, bits, sketchRows, stride } = format;
    this.format = format;
    this.#codec = codec;
    this.#method = method;
    this.#methods = new Array<KeyMethod>(ROWS).fill(method);
    this.#tables = dim / codesPerTable(bits);
    const signs = sketchRows > 0 ? tableBytes(sketchRows, 1, 2) : 0;
    this.needs = {
      // Tables of words are what a query of the other methods may need at most.
      preparedFloats: (tableBytes(dim, bits, 2) + signs + 64) / 4,
      sumFloats: 0,
      tileBytes: TILES * TILE_TOKENS * stride,
      workBytes: Math.max(32 * dim, 4 * (dim + sketchRows)),
    };
  }

  open(space: Space): void {
    this.#space = space;
    listOwnTiles(this.format, space.keys, space.keyList);
  }

  begin(): void {
    this.#count = 0;
  }

  put(pointer: number, at: number, count: number): void {
    const { keys, keyList } = this.#space;
    listTiles(this.format, "key", pointer, at, count, keys, keyList);
    this.#count = Math.ceil((at + count) / TILE_TOKENS);
  }

  /** Words for a query with so large a coordinate that bytes would be too coarse. */
  prepare(row: number, query: number): void {
    const { kernels, plan, dim } = this.format;
    const turned = this.#space.work;
    const sketched = turned + 4 * dim;
    this.#codec.prepare(query, turned);
    const out = this.prepared(row);
    this.#methods[row] = this.#method;
    if (this.#method === "integers") {
      kernels.prepareIntegers(plan, turned, sketched, out);
      return;
    }
    if (this.#method === "tables8") {
      kernels.prepareTables8(plan, turned, sketched, out);
      const { f32, u32 } = kernels.arena;
      let squares = 0;
      for (let i = turned >>> 2; i < (turned >>> 2) + dim; i++) squares += f32[i]! * f32[i]!;
      // A rounding has step²/12, four times as much twice; the score of a key of random direction has squares/dim.
      const roundings = this.#tables + 3 * u32[(out >>> 2) + 2]!;
      const error = (f32[out >>> 2]! ** 2 * roundings * dim) / (12 * squares);
      if (!(error > MOST_ERROR ** 2)) return;
    }
    kernels.prepareTables16(plan, turned, sketched, out);
    this.#methods[row] = "tables16";
  }

  score(first: number, rows: number, _limits: Int32Array, scores: number): void {
    const { kernels, plan } = this.format;
    const { keyList, work } = this.#space;
    const n = this.#count;
    if (this.#method === "integers") {
      const stride = 4 * this.needs.preparedFloats;
      const out = scores + 4 * TILE * first;
      kernels.scoreIntegers(
        plan,
        this.prepared(first),
        stride,
        rows - first,
        keyList,
        n,
        out,
        4 * TILE,
        work,
      );
      return;
    }
    for (let r = first; r < rows; r++) {
      const out = scores + 4 * TILE * r;
      if (this.#methods[r] === "tables8") kernels.scoreTables8(plan, this.prepared(r), keyList, n, out);
      else kernels.scoreTables16(plan, this.prepared(r), keyList, n, out);
    }
  }

  /** Bytes of an entry of the tables of a row, if it has some. */
  entryBytes(row: number): 1 | 2 | undefined {
    const method = this.#methods[row];
    return method === "integers" ? undefined : method === "tables8" ? 1 : 2;
  }

  /** Where the query of a row is, prepared. */
  prepared(row: number): number {
    return this.#space.prepared + 4 * row * this.needs.preparedFloats;
  }
}
