/**
 * How the vectors of one head lie in a page: one behind the other as on the wire, or in tiles of sixteen tokens
 * (kernels/tile.ts) that attention's faster kernels read in place. Either way a page has the same bytes per vector, what
 * comes out is what went in, and zeros are zeros.
 */
import type { Arena } from "../kernels/arena.js";
import { TILE_TOKENS } from "../kernels/tile.js";
import { putInTiles, type TileFormat } from "./tile-format.js";

/** `base` is where a head's vectors begin; rows are wire bytes. */
export interface VectorStore {
  /** Vectors lie one behind the other, as on the wire. */
  readonly inRows: boolean;
  /** rows: count vectors, `step` bytes apart → tokens at … at + count − 1. */
  put(rows: number, step: number, at: number, count: number, base: number): void;
  /** The inverse; rows: (count, stride). */
  take(base: number, at: number, count: number, rows: number): void;
  /** Zeros for tokens at … end − 1. */
  wipe(base: number, at: number, end: number): void;
  /** The first `count` tokens to another page, which has zeros. */
  copy(from: number, to: number, count: number): void;
  release(): void;
}

/** One vector behind the other. */
export class RowStore implements VectorStore {
  readonly inRows = true;
  constructor(
    private readonly arena: Arena,
    private readonly stride: number,
  ) {}

  put(rows: number, step: number, at: number, count: number, base: number): void {
    const { u8 } = this.arena;
    for (let i = 0; i < count; i++)
      u8.copyWithin(base + (at + i) * this.stride, rows + i * step, rows + i * step + this.stride);
  }
  take(base: number, at: number, count: number, rows: number): void {
    const from = base + at * this.stride;
    this.arena.u8.copyWithin(rows, from, from + count * this.stride);
  }
  wipe(base: number, at: number, end: number): void {
    this.arena.u8.fill(0, base + at * this.stride, base + end * this.stride);
  }
  copy(from: number, to: number, count: number): void {
    this.arena.u8.copyWithin(to, from, from + count * this.stride);
  }
  release(): void {}
}

/** Tiles; a page has a whole number of them. */
export class TileStore implements VectorStore {
  readonly inRows = false;
  readonly #format: TileFormat;
  readonly #side: "key" | "value";
  /** A vector of zeros. */
  readonly #zeros: number;

  constructor(format: TileFormat, side: "key" | "value") {
    const { arena } = format.kernels;
    this.#format = format;
    this.#side = side;
    this.#zeros = arena.allocate(format.stride);
    arena.u8.fill(0, this.#zeros, this.#zeros + format.stride);
  }

  put(rows: number, step: number, at: number, count: number, base: number): void {
    putInTiles(this.#format, this.#side, rows, step, at, count, base);
  }
  take(base: number, at: number, count: number, rows: number): void {
    const { kernels, plan, stride } = this.#format;
    for (let i = 0; i < count; ) {
      const first = (at + i) % TILE_TOKENS;
      const n = Math.min(TILE_TOKENS - first, count - i);
      const tile = base + (at + i - first) * stride;
      if (this.#side === "key") kernels.untileKeys(plan, tile, first, n, rows + i * stride, stride);
      else kernels.untileValues(plan, tile, first, n, rows + i * stride, stride);
      i += n;
    }
  }
  wipe(base: number, at: number, end: number): void {
    this.put(this.#zeros, 0, at, end - at, base);
  }
  copy(from: number, to: number, count: number): void {
    const tokens = Math.ceil(count / TILE_TOKENS) * TILE_TOKENS;
    this.#format.kernels.arena.u8.copyWithin(to, from, from + tokens * this.#format.stride);
    this.wipe(to, count, tokens);
  }
  release(): void {
    this.#format.kernels.arena.release(this.#zeros);
  }
}
