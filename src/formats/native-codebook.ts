/**
 * Codebooks that engines define: tables of centroids and boundaries, f32. How a tie is broken is the engine's: here
 * the llama fork's rule, an index is the number of boundaries b with !(value < b), so a tie goes up and NaN to the top.
 */
import { type CellGuess, cellGuess, guessCell } from "../core/cell-guess.js";

export interface NativeCodebook {
  readonly bits: number;
  /** Ascending: (2^bits,). */
  readonly centroids: Float32Array;
  /** Ascending: (2^bits − 1,). */
  readonly boundaries: Float32Array;
  /** Each centroid's square, f32. */
  readonly squares: Float32Array;
  /** Where to begin counting boundaries. */
  readonly guess: CellGuess;
}

export const nativeCodebook = (centroids: Float32Array, boundaries: Float32Array): NativeCodebook => ({
  bits: Math.log2(centroids.length),
  centroids,
  boundaries,
  squares: centroids.map((c) => c * c),
  guess: cellGuess(boundaries),
});

/** The odd-symmetric codebook with these positive halves; 0 is the middle boundary. */
export function symmetricCodebook(
  centroids: readonly number[],
  boundaries: readonly number[],
): NativeCodebook {
  const negated = (half: readonly number[]): number[] => [...half].reverse().map((v) => -v);
  return nativeCodebook(
    Float32Array.from([...negated(centroids), ...centroids]),
    Float32Array.from([...negated(boundaries), 0, ...boundaries]),
  );
}

/** #{ b : !(value < b) }. */
export function nativeIndex(book: NativeCodebook, value: number): number {
  const { boundaries, guess } = book;
  let index = guessCell(guess, value);
  while (index < boundaries.length && !(value < boundaries[index]!)) index++;
  return index;
}
