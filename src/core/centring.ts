/**
 * Position-aware key centring. RoPE turns the constant part of a key into R_p μ, a vector that depends on the position p
 * alone; the quantiser need not spend bits on it:
 *
 *   encode   k_p − R_p μ        decode   k̂_p + R_p μ        score   ⟨q, k̂_p⟩ + ⟨q, R_p μ⟩
 *
 * μ is the mean of un-rotated keys R_{−p} k_p over some stretch of tokens but the first few, which are attention sinks
 * and unlike the others. Without RoPE (or with keys as they are before it) R_p = 1: plain centring.
 *
 * Where a model lengthens its keys besides turning them (YaRN), the length is part of μ.
 */
import { assertFloat32, assertInteger } from "./check.js";
import { type Rope, Turns } from "./rope.js";

const { fround } = Math;

/** Tokens that a mean leaves out. */
export const SKIPPED_TOKENS = 4;

/** out ← R_p μ, in f32. mean, out: (dim,); turn: (dimensions/2, 2) cos, sin of p. */
export function turnMean(rope: Rope, mean: Float32Array, turn: Float32Array, out: Float32Array): void {
  const { dimensions, pairing } = rope;
  const step = pairing === "adjacent" ? 2 : 1;
  const apart = pairing === "adjacent" ? 1 : dimensions / 2;
  for (let i = 0, a = 0; i < dimensions; i += 2, a += step) {
    const c = turn[i]!;
    const s = turn[i + 1]!;
    const x = mean[a]!;
    const y = mean[a + apart]!;
    out[a] = fround(x * c) - fround(y * s);
    out[a + apart] = fround(x * s) + fround(y * c);
  }
  for (let a = dimensions; a < mean.length; a++) out[a] = mean[a]!;
}

/** Means of keys, one for each of `vectors` (layers, KV heads), as they come. */
export class MeanEstimator {
  readonly #dim: number;
  readonly #sums: Float64Array;
  readonly #squares: Float64Array;
  readonly #counts: Float64Array;
  readonly #turns: Turns | undefined;
  readonly #turn: Float32Array;
  #position = -1;

  /** rope: of the keys; undefined where they do not turn. */
  constructor(vectors: number, dim: number, rope: Rope | undefined) {
    assertInteger(vectors, "vectors", 1);
    assertInteger(dim, "dim", 1);
    this.#dim = dim;
    this.#sums = new Float64Array(vectors * dim);
    this.#squares = new Float64Array(vectors);
    this.#counts = new Float64Array(vectors);
    this.#turns = rope && new Turns(rope);
    this.#turn = new Float32Array(rope?.dimensions ?? 0);
  }

  /** key: (dim,), the key of token `position`, turned. Tokens below SKIPPED_TOKENS do not count. */
  add(vector: number, position: number, key: Float32Array): void {
    if (position < SKIPPED_TOKENS) return;
    const sums = this.#sums.subarray(vector * this.#dim, (vector + 1) * this.#dim);
    this.#counts[vector]!++;
    for (const x of key) this.#squares[vector]! += x * x;
    if (!this.#turns) {
      for (let a = 0; a < sums.length; a++) sums[a]! += key[a]!;
      return;
    }
    if (this.#position !== position) {
      this.#position = position;
      this.#turns.put(position, this.#turn);
    }
    const { dimensions, pairing } = this.#turns.rope;
    const step = pairing === "adjacent" ? 2 : 1;
    const apart = pairing === "adjacent" ? 1 : dimensions / 2;
    for (let i = 0, a = 0; i < dimensions; i += 2, a += step) {
      const c = this.#turn[i]!;
      const s = this.#turn[i + 1]!;
      sums[a]! += key[a]! * c + key[a + apart]! * s;
      sums[a + apart]! += key[a + apart]! * c - key[a]! * s;
    }
    for (let a = dimensions; a < sums.length; a++) sums[a]! += key[a]!;
  }

  /** (vectors, dim). @throws RangeError where a vector has no token that counts. */
  means(): Float32Array {
    this.#counts.forEach((count, vector) => {
      if (count === 0)
        throw new RangeError(
          `"keys" expected tokens beyond the first ${SKIPPED_TOKENS}, got none for vector ${vector}`,
        );
    });
    return Float32Array.from(this.#sums, (sum, i) => sum / this.#counts[Math.floor(i / this.#dim)]!);
  }

  /** (vectors,): the share of the keys' energy that their mean holds. */
  shares(): Float64Array {
    return this.#squares.map((squares, vector) => {
      const sums = this.#sums.subarray(vector * this.#dim, (vector + 1) * this.#dim);
      return sums.reduce((sum, x) => sum + x * x, 0) / (this.#counts[vector]! * squares);
    });
  }
}

/**
 * What a cache is centred by: means (layers, kvHeads, headDim), fixed before the first token that uses them is encoded,
 * and how they turn.
 */
export interface Center {
  readonly means: Float32Array;
  readonly rope: Rope | undefined;
}

/** @throws TypeError, RangeError unless `length` finite means. */
export function assertMeans(means: unknown, length: number): asserts means is Float32Array {
  assertFloat32(means, "center.means");
  if (means.length !== length)
    throw new RangeError(
      `"center.means" expected ${length} values (layers, kvHeads, headDim), got ${means.length}`,
    );
  const bad = means.findIndex((value) => !Number.isFinite(value));
  if (bad >= 0) throw new RangeError(`"center.means" expected finite values, got ${means[bad]} at ${bad}`);
}
