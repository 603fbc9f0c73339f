/**
 * Randomised rotation: R x = s₂ ⊙ H (s₁ ⊙ x) / √g, block by block; s₁, s₂ ∈ {±1}ᵈ from the seed. The inverse
 * swaps s₁ and s₂. H is the Sylvester Hadamard matrix in natural order.
 *
 * DEVIATION from TurboQuant (arXiv 2504.19874, Alg. 1), which draws a dense Haar rotation: one signed WHT costs
 * O(d log d), is orthogonal up to f32 rounding, and makes coordinates only approximately Gaussian. The signs
 * before H are what makes it random (signs after it are inert for a symmetric codebook, and are there because
 * two diagonals make forward and inverse the same code). Cost measured in test/theory: none on Gaussian, heavy-
 * tailed and real vectors, nor on constant vectors and Walsh rows, for which seeded-rotation.ts chooses s₁; a one-hot
 * vector becomes equal magnitudes and has the distortion of that point.
 *
 * The dimension is any multiple of 32: H is block-diagonal with blocks of the largest power of two that divides
 * it (128 = 1 × 128, 96 = 3 × 32, 576 = 9 × 64). Nothing is padded and nothing is cropped.
 */
import { assertInteger } from "./check.js";

const { fround } = Math;

/** Largest dimension that any part of the library accepts. */
export const MAX_DIM = 65536;

/** True for dimensions that rotate: multiples of 32. */
export const rotates = (dim: number): boolean =>
  Number.isInteger(dim) && dim >= 32 && dim % 32 === 0 && dim <= MAX_DIM;

/** @throws TypeError, or a RangeError that says which dimensions are allowed and the nearest one above. */
export function assertRotates(dim: unknown, name = "dim"): asserts dim is number {
  assertInteger(dim, name, 1, MAX_DIM);
  if (rotates(dim)) return;
  const nearest = Math.ceil(dim / 32) * 32;
  throw new RangeError(
    `"${name}" expected a multiple of 32 (32, 64, 96, 128, …, ${MAX_DIM}), got ${dim}; zero-pad to ${nearest} yourself if that is meant`,
  );
}

/** The largest power of two that divides dim: the size of the Hadamard blocks. */
export const hadamardBlock = (dim: number): number => dim & -dim;

/**
 * Unnormalised Walsh–Hadamard transform in place, on each run of `block` values: butterflies
 * (a, b) → (a + b, a − b) for h = 1, 2, 4, …, block/2. x: (n·block,). H·H = block·I. Two levels h and 2h are done in one
 * pass over the values, each sum and difference rounded to f32 as if they were stored between.
 */
export function wht(x: Float32Array, block: number): void {
  let h = 1;
  for (; h << 1 < block; h <<= 2) {
    for (let i = 0; i < x.length; i += h << 2) {
      for (let j = i; j < i + h; j++) {
        const a = x[j]!;
        const b = x[j + h]!;
        const c = x[j + 2 * h]!;
        const d = x[j + 3 * h]!;
        const sum0 = fround(a + b);
        const sum1 = fround(c + d);
        const difference0 = fround(a - b);
        const difference1 = fround(c - d);
        x[j] = sum0 + sum1;
        x[j + h] = difference0 + difference1;
        x[j + 2 * h] = sum0 - sum1;
        x[j + 3 * h] = difference0 - difference1;
      }
    }
  }
  if (h >= block) return;
  for (let i = 0; i < x.length; i += h << 1) {
    for (let j = i; j < i + h; j++) {
      const a = x[j]!;
      const b = x[j + h]!;
      x[j] = a + b;
      x[j + h] = a - b;
    }
  }
}

/** The two diagonals of R, and the sizes that go with them. */
export interface Rotation {
  readonly dim: number;
  /** Size of the Hadamard blocks, a power of two that divides dim. */
  readonly block: number;
  /** s₁, ±1: (dim,). */
  readonly before: Float32Array;
  /** s₂, ±1: (dim,). */
  readonly after: Float32Array;
  /** fround(1/√block). */
  readonly unit: number;
}

/** A rotation with given diagonals; `block` must be a power of two that divides dim. */
export function rotationFrom(before: Float32Array, after: Float32Array, block: number): Rotation {
  return { dim: before.length, block, before, after, unit: fround(1 / Math.sqrt(block)) };
}

/** x ← R x. x: (dim,). */
export function rotate(r: Rotation, x: Float32Array): void {
  transform(r, x, r.before, r.after);
}

/** x ← R⁻¹ x. x: (dim,). */
export function unrotate(r: Rotation, x: Float32Array): void {
  transform(r, x, r.after, r.before);
}

function transform(r: Rotation, x: Float32Array, first: Float32Array, second: Float32Array): void {
  for (let i = 0; i < x.length; i++) x[i]! *= first[i]!;
  wht(x, r.block);
  for (let i = 0; i < x.length; i++) x[i] = fround(x[i]! * r.unit) * second[i]!;
}
