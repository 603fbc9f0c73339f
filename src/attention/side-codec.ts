/**
 * One side (keys or values) of one format as attention sees it: vectors in the backend's memory, by pointer, and the
 * readers (readers.ts) that score or sum them at each precision. Both backends give the same bits.
 *
 * Keys may be centred before they come here; the mean's share of scores is added by attention (key-offset.ts).
 */
import type { Seed } from "../core/random.js";
import type { ScaleRule } from "../core/scale.js";
import type { Side } from "../formats/format.js";
import type { KeyReader, Precision, ReaderNeeds, ValueReader } from "./readers.js";
import type { VectorStore } from "./vector-store.js";

export interface SideOptions {
  readonly dim: number;
  readonly side: Side;
  readonly seed: Seed;
  readonly scale?: ScaleRule;
  /** Tokens of a page; a multiple of 16 lets formats that have tiles keep them there. */
  readonly pageTokens: number;
}

/** Rows of packed vectors, and what is exact about them. */
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

  /** How vectors lie in a page, where readers are handed them. */
  readonly store: VectorStore;
  /** How keys are read at a precision for `group` query heads per head of keys; a format without a choice: exactly. */
  keys(precision: Precision, group: number): KeyReader;
  /** The same of values. */
  values(precision: Precision, group: number): ValueReader;
  /** All the readers that those two may give. */
  readonly readers: readonly { readonly needs: ReaderNeeds }[];
  /** Gives back what it took from the arena. */
  release(): void;
}
