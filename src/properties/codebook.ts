/** Is a table Lloyd–Max, to its last bit, for the distribution that it is meant for? (Max 1960, Lloyd 1982) */
import { type Distribution, lloydMax } from "../core/lloyd-max.js";
import { insist, type Property, Suspicion, sampleProperty } from "./property.js";

/** A quantiser table of somebody's. */
export interface CodebookUnderTest {
  readonly bits: number;
  /** Ascending reconstruction levels: (2^bits,). */
  readonly centroids: ArrayLike<number>;
  /** Decision levels: (2^bits − 1,); left out, midpoints are taken. */
  readonly boundaries?: ArrayLike<number>;
  /** What it is for: N(0,1), or a coordinate of a unit vector of some dimension. */
  readonly distribution: Distribution;
}

const SUITE = "codebook";

/** digits: significant decimal digits that the table was written with; f32 holds 7. */
export function codebookSuite(book: CodebookUnderTest, digits = 6): readonly Property[] {
  const centroids = Array.from(book.centroids);
  const n = 2 ** book.bits;
  const exact = lloydMax({ bits: book.bits, distribution: book.distribution });
  const largest = exact.centroids[n - 1]!;
  const near = largest * 10 ** -digits;
  const once = (name: string, faults: readonly string[], check: () => void): Property =>
    sampleProperty(SUITE, name, faults, 1, check);
  return [
    once("has 2^bits centroids in ascending order", ["codebook-order", "codebook-truncated"], () => {
      insist(
        centroids.length === n,
        () => `has ${centroids.length} centroids, expected ${n} for ${book.bits} bits`,
      );
      for (let i = 1; i < n; i++)
        insist(
          centroids[i]! > centroids[i - 1]!,
          () => `centroid ${i} is ${centroids[i]}, not above ${centroids[i - 1]}`,
        );
    }),
    once("is odd-symmetric", ["codebook-order"], () => {
      for (let i = 0; i < n / 2; i++)
        insist(
          Math.abs(centroids[i]! + centroids[n - 1 - i]!) <= near,
          () => `centroids ${i} and ${n - 1 - i} are ${centroids[i]} and ${centroids[n - 1 - i]}`,
        );
    }),
    once("decides at midpoints", ["boundary-last-digit", "codebook-mismatch"], () => {
      if (!book.boundaries) return;
      const { boundaries } = book;
      insist(boundaries.length === n - 1, () => `has ${boundaries.length} boundaries, expected ${n - 1}`);
      for (let i = 0; i < n - 1; i++) {
        const middle = (centroids[i]! + centroids[i + 1]!) / 2;
        insist(
          Math.abs(boundaries[i]! - middle) <= near,
          () => `boundary ${i} is ${boundaries[i]}, the midpoint ${middle}`,
        );
      }
    }),
    once("is the fixed point of Lloyd's iteration", ["codebook-unconverged", "codebook-mismatch"], () => {
      const worst = exact.centroids.reduce(
        (at, c, i) =>
          Math.abs(centroids[i]! - c) > Math.abs(centroids[at]! - exact.centroids[at]!) ? i : at,
        0,
      );
      const off = Math.abs(centroids[worst]! - exact.centroids[worst]!);
      if (off <= near) return;
      const scale = bestScale(centroids, exact.centroids);
      const rescaled = Math.max(...centroids.map((c, i) => Math.abs(c / scale - exact.centroids[i]!)));
      const step = centroids[1]! - centroids[0]!;
      const uniform = centroids.every(
        (c, i) => i === 0 || Math.abs(c - centroids[i - 1]! - step) < step * 1e-4,
      );
      const faults =
        n > 2 && uniform
          ? ["codebook-uniform", "codebook-unconverged"]
          : rescaled < near * 10
            ? ["codebook-sigma"]
            : ["codebook-unconverged", "codebook-mismatch"];
      throw new Suspicion(
        `centroid ${worst} is ${centroids[worst]}, expected ${exact.centroids[worst]!.toPrecision(9)} (best common factor ${scale.toPrecision(4)})`,
        faults,
      );
    }),
  ];
}

/** The factor that brings `to` nearest to `from`. */
function bestScale(from: readonly number[], to: ArrayLike<number>): number {
  let over = 0;
  let under = 0;
  for (let i = 0; i < from.length; i++) {
    over += from[i]! * to[i]!;
    under += to[i]! * to[i]!;
  }
  return over / under;
}
