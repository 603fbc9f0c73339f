/**
 * Codebooks that engines define: tables of centroids and boundaries, f32. How a tie is broken is the engine's: here
 * the llama fork's rule, an index is the number of boundaries b with !(value < b), so a tie goes up and NaN to the top.
 */
export interface NativeCodebook {
  readonly bits: number;
  /** Ascending: (2^bits,). */
  readonly centroids: Float32Array;
  /** Ascending: (2^bits − 1,). */
  readonly boundaries: Float32Array;
}

/** The odd-symmetric codebook with these positive halves; 0 is the middle boundary. */
export function symmetricCodebook(
  centroids: readonly number[],
  boundaries: readonly number[],
): NativeCodebook {
  const negated = (half: readonly number[]): number[] => [...half].reverse().map((v) => -v);
  return {
    bits: Math.log2(2 * centroids.length),
    centroids: Float32Array.from([...negated(centroids), ...centroids]),
    boundaries: Float32Array.from([...negated(boundaries), 0, ...boundaries]),
  };
}

/** #{ b : !(value < b) }. */
export function nativeIndex(book: NativeCodebook, value: number): number {
  const { boundaries } = book;
  let index = 0;
  while (index < boundaries.length && !(value < boundaries[index]!)) index++;
  return index;
}
