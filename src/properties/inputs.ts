/** Vectors that properties look at: random ones from a stream of their own, and those that show a bad rotation. */
import { type RandomStream, randomStream } from "../core/random.js";

/** Streams of the suites: no implementation draws from this label, so its rotation cannot know the data. */
export const dataStream = (seed: number): RandomStream => randomStream(seed, "suite");

export const normals = (stream: RandomStream, n: number): Float32Array =>
  Float32Array.from({ length: n }, () => stream.normal());

/** Row `row` of the Sylvester matrix, times a value: what an unsigned Hadamard matrix turns into one spike. */
export const walshRow = (dim: number, row: number, value = 1): Float32Array =>
  Float32Array.from({ length: dim }, (_, i) => {
    let ones = 0;
    for (let both = i & row; both; both >>= 1) ones += both & 1;
    return ones % 2 ? -value : value;
  });

export function oneHot(dim: number, at: number, value = 1): Float32Array {
  const x = new Float32Array(dim);
  x[at] = value;
  return x;
}

/** Named vectors that every rotation must spread. */
export function structured(dim: number): readonly (readonly [string, Float32Array])[] {
  return [
    ["a one-hot vector", oneHot(dim, Math.floor(dim / 3), 2)],
    ["a constant vector", new Float32Array(dim).fill(-0.5)],
    ["an alternating vector", walshRow(dim, 1, 3)],
    ["a Walsh row", walshRow(dim, (dim & -dim) - 1, 0.25)],
  ];
}
