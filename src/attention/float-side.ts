/** Formats that are numbers: f32, read where it is, and halves. */
import type { Kernels } from "../kernels/kernels.js";
import type { KeyReader, Precision, ValueReader } from "./readers.js";
import { RowReaders } from "./row-readers.js";
import type { SideCodec } from "./side-codec.js";
import { RowStore } from "./vector-store.js";

/** Rows of f32, read where they are. */
export class FloatSide implements SideCodec {
  readonly stride: number;
  readonly preparedFloats: number;
  readonly accumulatorFloats: number;
  readonly store: RowStore;
  readonly #rows: RowReaders;

  constructor(
    readonly format: string,
    protected readonly kernels: Kernels,
    readonly dim: number,
    stride = 4 * dim,
    stageFrom = Number.POSITIVE_INFINITY,
  ) {
    this.stride = stride;
    this.preparedFloats = dim;
    this.accumulatorFloats = dim;
    this.store = new RowStore(kernels.arena, stride);
    this.#rows = new RowReaders(kernels, this, stageFrom);
  }

  encode(x: number, rows: number, out: number): void {
    this.kernels.arena.u8.copyWithin(out, x, x + 4 * rows * this.dim);
  }
  decode(bytes: number, rows: number, out: number): void {
    this.kernels.arena.u8.copyWithin(out, bytes, bytes + 4 * rows * this.dim);
  }
  encodeHalves(x: number, rows: number, out: number): void {
    this.kernels.f32ToF16(x, out, rows * this.dim);
  }
  decodeHalves(bytes: number, rows: number, out: number): void {
    this.kernels.f16ToF32(bytes, out, rows * this.dim);
  }
  stage(bytes: number, rows: number, out: number): void {
    this.decode(bytes, rows, out);
  }
  prepare(query: number, prepared: number): void {
    this.kernels.arena.f32.copyWithin(prepared >>> 2, query >>> 2, (query >>> 2) + this.dim);
  }
  score(prepared: number, rows: number, count: number, out: number): void {
    this.kernels.dotF32(prepared, rows, count, this.dim, out);
  }
  accumulate(weights: number, rows: number, count: number, acc: number): void {
    this.kernels.accumulateF32(weights, rows, count, this.dim, acc);
  }
  finish(_acc: number): void {}
  keys(_precision: Precision, group: number): KeyReader {
    return this.#rows.keys(group);
  }
  values(_precision: Precision, group: number): ValueReader {
    return this.#rows.values(group);
  }
  get readers(): SideCodec["readers"] {
    return this.#rows.all;
  }
  release(): void {}
}

/** Rows of halves, widened a tile at a time by the backend. */
export class HalfSide extends FloatSide {
  constructor(format: string, kernels: Kernels, dim: number) {
    super(format, kernels, dim, 2 * dim, 1);
  }
  override encode(x: number, rows: number, out: number): void {
    this.kernels.f32ToF16(x, out, rows * this.dim);
  }
  override decode(bytes: number, rows: number, out: number): void {
    this.kernels.f16ToF32(bytes, out, rows * this.dim);
  }
}
