/** Our own formats: turbo, with or without a sketch, and trellis. */
import { type Sketch, sharedSketch } from "../core/qjl.js";
import { type OwnShape, ownQuantizer } from "../formats/own-quantizer.js";
import type { Kernels } from "../kernels/kernels.js";
import { createPlan, type Plan, vectorLayout } from "../kernels/plan.js";
import { TILE_TOKENS, tiles } from "../kernels/tile.js";
import type { KeyReader, Precision, ValueReader } from "./readers.js";
import { RowReaders } from "./row-readers.js";
import type { SideCodec, SideOptions } from "./side-codec.js";
import { MOST_TILED_DIM } from "./tile-format.js";
import { TileReaders } from "./tile-readers.js";
import { RowStore, TileStore, type VectorStore } from "./vector-store.js";

/** Vectors are read in the rotated basis; those with a sketch are never decoded for it. */
export class OwnSide implements SideCodec {
  readonly format: string;
  readonly dim: number;
  readonly stride: number;
  readonly preparedFloats: number;
  readonly accumulatorFloats: number;
  readonly store: VectorStore;
  readonly readers: SideCodec["readers"];
  readonly #kernels: Kernels;
  readonly #sketch: Sketch | undefined;
  readonly #plan: Plan;
  readonly #rows: RowReaders;
  readonly #tiles: TileReaders | undefined;
  /** A row of working space. */
  readonly #row: number;

  constructor(shape: OwnShape, kernels: Kernels, options: SideOptions) {
    const { dim, seed, side, pageTokens } = options;
    const { bits, trellis } = shape;
    this.format = shape.name;
    this.#kernels = kernels;
    this.#sketch = shape.sketch ? sharedSketch("orthogonal", dim, seed) : undefined;
    const rows = this.#sketch?.rows ?? 0;
    this.#plan = createPlan(kernels.arena, ownQuantizer(shape, options), this.#sketch, trellis?.window);
    this.#row = kernels.arena.allocate(4 * dim);
    this.dim = dim;
    this.stride = vectorLayout(dim, bits, rows).stride;
    this.preparedFloats = dim + rows;
    this.accumulatorFloats = dim + rows;
    const tileable = !trellis && dim <= MOST_TILED_DIM && tiles(dim, bits, rows);
    const tiled = tileable && pageTokens % TILE_TOKENS === 0;
    const { stride } = this;
    const format = { kernels, plan: this.#plan.pointer, dim, bits, sketchRows: rows, stride, tiled };
    this.store = tiled ? new TileStore(format, side) : new RowStore(kernels.arena, stride);
    this.#rows = new RowReaders(kernels, this, shape.sketch ? Number.POSITIVE_INFINITY : 2);
    this.#tiles = tileable ? new TileReaders(format, this) : undefined;
    this.readers = [...this.#rows.all, ...(this.#tiles?.all ?? [])];
  }

  encode(x: number, rows: number, out: number): void {
    this.#kernels.encode(this.#plan.pointer, x, rows, out);
  }
  decode(bytes: number, rows: number, out: number): void {
    this.#kernels.decode(this.#plan.pointer, bytes, rows, out);
  }
  encodeHalves(x: number, rows: number, out: number): void {
    const { arena } = this.#kernels;
    for (let r = 0; r < rows; r++) {
      const from = (x >>> 2) + r * this.dim;
      arena.f32.copyWithin(this.#row >>> 2, from, from + this.dim);
      this.#kernels.rotate(this.#plan.pointer, this.#row, 1);
      this.#kernels.f32ToF16(this.#row, out + 2 * r * this.dim, this.dim);
    }
  }
  decodeHalves(bytes: number, rows: number, out: number): void {
    this.#kernels.f16ToF32(bytes, out, rows * this.dim);
    this.#kernels.unrotate(this.#plan.pointer, out, rows);
  }
  stage(bytes: number, rows: number, out: number): void {
    this.#kernels.decodeRotated(this.#plan.pointer, bytes, rows, out);
  }
  prepare(query: number, prepared: number): void {
    const { arena } = this.#kernels;
    arena.f32.copyWithin(prepared >>> 2, query >>> 2, (query >>> 2) + this.dim);
    if (this.#sketch) this.#kernels.project(this.#plan.pointer, query, 1, prepared + 4 * this.dim);
    this.#kernels.rotate(this.#plan.pointer, prepared, 1);
  }
  score(prepared: number, rows: number, count: number, out: number): void {
    this.#kernels.score(this.#plan.pointer, prepared, prepared + 4 * this.dim, 0, rows, count, out);
  }
  accumulate(weights: number, rows: number, count: number, acc: number): void {
    this.#kernels.accumulate(this.#plan.pointer, weights, rows, count, acc);
  }
  /** Inverse rotation; then factor · Sᵀ(sums of signs) in the original basis, row by row. */
  finish(acc: number): void {
    this.#kernels.unrotate(this.#plan.pointer, acc, 1);
    if (!this.#sketch) return;
    const { rows, matrix, factor } = this.#sketch;
    const { dim } = this;
    const { f32 } = this.#kernels.arena;
    const at = acc >>> 2;
    for (let j = 0; j < rows; j++) {
      const w = Math.fround(factor * f32[at + dim + j]!);
      for (let i = 0; i < dim; i++) f32[at + i]! += Math.fround(w * matrix[j * dim + i]!);
    }
  }
  keys(precision: Precision, group: number): KeyReader {
    return precision === "exact" || !this.#tiles
      ? this.#rows.keys(group)
      : this.#tiles.keys(precision, group);
  }
  values(precision: Precision, group: number): ValueReader {
    return precision === "exact" || !this.#tiles
      ? this.#rows.values(group)
      : this.#tiles.values(precision, group);
  }
  release(): void {
    this.store.release();
    this.#kernels.arena.release(this.#row);
    this.#plan.release();
  }
}
