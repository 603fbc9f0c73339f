/**
 * Codebooks of the llama.cpp fork, for a unit vector of 128 rotated values, as ggml-turbo-quant.c has them. The
 * index of a value is the number of boundaries b with !(value < b): a tie goes up, NaN to the top.
 *
 * They are the fork's numbers, not Lloyd–Max tables: `four` is far from optimal (relative error .018 where the
 * true table gives .0092), the boundaries are rounded midpoints.
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

export const LLAMA_TWO = symmetricCodebook([0.039994, 0.133462], [0.086728]);

export const LLAMA_THREE = symmetricCodebook(
  [0.02146, 0.065717, 0.117832, 0.190685],
  [0.043589, 0.091775, 0.154259],
);

export const LLAMA_FOUR = symmetricCodebook(
  [0.006938, 0.020989, 0.035597, 0.051262, 0.068756, 0.089527, 0.117195, 0.173926],
  [0.013963, 0.028293, 0.04343, 0.060009, 0.079142, 0.103361, 0.14556],
);

/** #{ b : !(value < b) }. */
export function nativeIndex(book: NativeCodebook, value: number): number {
  const { boundaries } = book;
  let index = 0;
  while (index < boundaries.length && !(value < boundaries[index]!)) index++;
  return index;
}
