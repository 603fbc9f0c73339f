/**
 * One side (keys or values) of one format as attention sees it: vectors in the backend's memory, by pointer.
 *
 * Rows are read as they are, packed, or decoded to f32 a tile at a time (`stage`) and then go the way of f32: dot
 * products in lane order. Formats of others are always staged; ours, in the rotated basis, where several query heads
 * share a head of keys, so that a row is unpacked once for all of them; those with a sketch never. Both backends give
 * the same bits.
 *
 * Keys may be centred before they come here; the mean's share of scores is added by attention (key-offset.ts).
 */

import { gaussianCodebook } from "../core/codebook.js";
import { type Sketch, sharedSketch } from "../core/qjl.js";
import { createQuantizer } from "../core/quantizer.js";
import type { Seed } from "../core/random.js";
import { defaultScaleRule, type ScaleRule } from "../core/scale.js";
import { seededRotation } from "../core/seeded-rotation.js";
import type { Side, VectorCodec } from "../formats/format.js";
import { findFormat } from "../formats/registry.js";
import type { Kernels } from "../kernels/kernels.js";
import { createPlan, type Plan, vectorLayout } from "../kernels/plan.js";
import { tiles } from "../kernels/tile.js";
import { MOST_TILED_DIM, TileReader } from "./tile-reader.js";

export interface SideOptions {
  readonly dim: number;
  readonly side: Side;
  readonly seed: Seed;
  readonly scale?: ScaleRule;
}

export interface SideCodec {
  readonly format: string;
  readonly dim: number;
  /** Bytes per stored vector. */
  readonly stride: number;
  /** f32 values of a prepared query, and of an accumulator. */
  readonly preparedFloats: number;
  readonly accumulatorFloats: number;

  /** x: (rows, dim) f32 → out: (rows, stride). Finite x only. */
  encode(x: number, rows: number, out: number): void;
  /** bytes: (rows, stride) → out: (rows, dim), original basis. */
  decode(bytes: number, rows: number, out: number): void;
  /** x: (rows, dim) → out: (rows, dim) halves in the basis of prepared queries and accumulators. */
  encodeHalves(x: number, rows: number, out: number): void;
  /** bytes: (rows, dim) halves of encodeHalves → out: (rows, dim), original basis. */
  decodeHalves(bytes: number, rows: number, out: number): void;
  /** Query heads per head of keys from which on rows are staged; never: Infinity. */
  readonly stageFrom: number;
  /** bytes: (rows, stride) → out: (rows, dim) f32, in the basis of prepared queries and accumulators. */
  stage(bytes: number, rows: number, out: number): void;

  /** query: (dim,) → prepared: (preparedFloats,). */
  prepare(query: number, prepared: number): void;
  /** out: (rows,) ← ⟨query, key⟩ of packed rows. */
  score(prepared: number, rows: number, count: number, out: number): void;
  /** acc += Σ weight · value of packed rows. weights: (count,), acc: (accumulatorFloats,). */
  accumulate(weights: number, rows: number, count: number, acc: number): void;
  /** acc → its first dim values in the original basis, before the division by Σ weight. */
  finish(acc: number): void;
  /** How the format is read at precisions below exact; undefined where it is always read exactly. */
  readonly tiles: TileReader | undefined;
  /** Gives back what it took from the arena. */
  release(): void;
}

/** @throws FormatError UNKNOWN_FORMAT; RangeError for a dimension the format does not take. */
export function openSide(name: string, kernels: Kernels, options: SideOptions): SideCodec {
  const format = findFormat(name);
  const { dim, side, seed, scale } = options;
  if (!format.supports(dim))
    throw new RangeError(`"headDim" expected ${format.dims} for ${name}, got ${dim}`);
  const own = /^turbo([1-8])(\+qjl)?$/.exec(name);
  if (own) return new TurboSide(name, kernels, options, Number(own[1]), own[2] !== undefined);
  if (name === "f32") return new FloatSide(name, kernels, dim);
  if (name === "f16" || name === "ggml/f16") return new HalfSide(name, kernels, dim);
  const codec = format.open({ dim, seed, side, kernels, ...(scale ? { scale } : {}) });
  return new DecodedSide(name, kernels, codec);
}

/** turbo1 … turbo8, with or without a sketch. */
class TurboSide implements SideCodec {
  readonly dim: number;
  readonly stride: number;
  readonly preparedFloats: number;
  readonly accumulatorFloats: number;
  readonly stageFrom: number;
  readonly #kernels: Kernels;
  readonly #sketch: Sketch | undefined;
  readonly #plan: Plan;
  readonly tiles: TileReader | undefined;
  /** A row of working space. */
  readonly #row: number;

  constructor(
    readonly format: string,
    kernels: Kernels,
    { dim, side, seed, scale }: SideOptions,
    bits: number,
    sketched: boolean,
  ) {
    const rule = scale ?? (sketched ? "least-squares" : defaultScaleRule(side));
    this.#kernels = kernels;
    this.#sketch = sketched ? sharedSketch("orthogonal", dim, seed) : undefined;
    const rows = this.#sketch?.rows ?? 0;
    this.#plan = createPlan(
      kernels.arena,
      createQuantizer(seededRotation(dim, seed, { codebook: gaussianCodebook(bits) }), bits, rule),
      this.#sketch,
    );
    this.#row = kernels.arena.allocate(4 * dim);
    this.dim = dim;
    this.stride = vectorLayout(dim, bits, rows).stride;
    this.stageFrom = sketched ? Number.POSITIVE_INFINITY : 2;
    this.preparedFloats = dim + rows;
    this.accumulatorFloats = dim + rows;
    this.tiles =
      dim <= MOST_TILED_DIM && tiles(dim, bits, rows)
        ? new TileReader(kernels, this.#plan.pointer, dim, bits, rows, this.stride)
        : undefined;
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
  release(): void {
    this.#kernels.arena.release(this.#row);
    this.#plan.release();
  }
}

/** Rows of f32, read where they are. */
class FloatSide implements SideCodec {
  readonly stride: number;
  readonly preparedFloats: number;
  readonly accumulatorFloats: number;
  readonly stageFrom: number = Number.POSITIVE_INFINITY;
  readonly tiles = undefined;

  constructor(
    readonly format: string,
    protected readonly kernels: Kernels,
    readonly dim: number,
    stride = 4 * dim,
  ) {
    this.stride = stride;
    this.preparedFloats = dim;
    this.accumulatorFloats = dim;
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
  release(): void {}
}

/** Rows of halves, widened a tile at a time by the backend. */
class HalfSide extends FloatSide {
  override readonly stageFrom = 1;

  constructor(format: string, kernels: Kernels, dim: number) {
    super(format, kernels, dim, 2 * dim);
  }
  override encode(x: number, rows: number, out: number): void {
    this.kernels.f32ToF16(x, out, rows * this.dim);
  }
  override decode(bytes: number, rows: number, out: number): void {
    this.kernels.f16ToF32(bytes, out, rows * this.dim);
  }
}

/** Any other format through its own codec. Spans of the arena are copied: a codec may make it grow. */
class DecodedSide extends FloatSide {
  override readonly stageFrom = 1;
  readonly #codec: VectorCodec;
  #x = new Float32Array(0);
  #bytes = new Uint8Array(0);

  constructor(format: string, kernels: Kernels, codec: VectorCodec) {
    super(format, kernels, codec.dim, codec.bytesPerVector);
    this.#codec = codec;
  }

  override decode(bytes: number, rows: number, out: number): void {
    this.#fit(rows);
    const { arena } = this.kernels;
    const packed = this.#bytes.subarray(0, rows * this.stride);
    const x = this.#x.subarray(0, rows * this.dim);
    packed.set(arena.bytes(bytes, rows * this.stride));
    this.#codec.decode(packed, x);
    arena.f32.set(x, out >>> 2);
  }

  override encode(x: number, rows: number, out: number): void {
    this.#fit(rows);
    const { arena } = this.kernels;
    const packed = this.#bytes.subarray(0, rows * this.stride);
    const values = this.#x.subarray(0, rows * this.dim);
    values.set(arena.floats(x, rows * this.dim));
    this.#codec.encode(values, packed);
    arena.u8.set(packed, out);
  }

  #fit(rows: number): void {
    if (this.#x.length >= rows * this.dim) return;
    this.#x = new Float32Array(rows * this.dim);
    this.#bytes = new Uint8Array(rows * this.stride);
  }
}
