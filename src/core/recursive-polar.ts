/**
 * The codec of the PolarQuant paper (arXiv 2502.02617): recursive polar coordinates of a rotated vector. Not to be
 * confused with what engines call PolarQuant (norm + Lloyd–Max on Cartesian coordinates, quantizer.ts).
 *
 * Sixteen coordinates become 8 + 4 + 2 + 1 angles and one radius: level 1 turns neighbours (a, b) into a radius
 * √(a² + b²) and an angle uniform on [0, 2π); level l ≥ 2 turns neighbouring radii into a radius and an angle on
 * [0, π/2] of density ∝ sin^(2^(l−1)−1)(2ψ). Angles take 4 + 2 + 2 + 2 bits, the radius an fp16: 62 bits for 16
 * values, 3.875 each. Bits go LSB first, level after level, then the radius.
 *
 * An angle's code is the number of boundary directions it has passed, decided by the sign of a cross product: no
 * atan2 on the bit path. Boundaries and centroids are frozen (cos, sin) pairs.
 */
import { fromF16, toF16 } from "./float.js";
import { POLAR_TABLES } from "./recursive-polar-tables.js";

const { fround } = Math;

/** Values per group, bytes per group × 4 (62 bits: four groups fill 31 bytes). */
export const POLAR_GROUP = 16;
export const POLAR_GROUP_BITS = 62;
const LEVELS = 4;

/** Bits of each angle, by level. */
export const POLAR_BITS: readonly number[] = [4, 2, 2, 2];

/** x: (16,), rotated → codes: (15,) level after level; returns the radius as fp16 bits. x is overwritten. */
export function toPolar(x: Float32Array, codes: Uint8Array): number {
  let at = 0;
  for (let level = 0, n = POLAR_GROUP / 2; level < LEVELS; level++, n >>= 1) {
    for (let i = 0; i < n; i++) {
      const a = x[2 * i]!;
      const b = x[2 * i + 1]!;
      codes[at++] = level === 0 ? circleSector(a, b) : sector(a, b, POLAR_TABLES[level]!.boundaries);
      x[i] = Math.sqrt(fround(fround(a * a) + fround(b * b)));
    }
  }
  return toF16(x[0]!);
}

/** codes: (15,), radius: fp16 bits → x: (16,). */
export function fromPolar(codes: Uint8Array, radius: number, x: Float32Array): void {
  x[0] = fromF16(radius);
  for (let level = LEVELS - 1, n = 1, at = 14; level >= 0; level--, n <<= 1, at -= n) {
    const { centroids } = POLAR_TABLES[level]!;
    for (let i = n - 1; i >= 0; i--) {
      const code = codes[at + i]!;
      const r = x[i]!;
      x[2 * i] = r * centroids[2 * code]!;
      x[2 * i + 1] = r * centroids[2 * code + 1]!;
    }
  }
}

/** Number of boundary directions (cos, sin) that (a, b) has reached; b, a ≥ 0 or in the upper half plane. */
function sector(a: number, b: number, boundaries: Float32Array): number {
  let code = 0;
  for (let k = 0; k < boundaries.length; k += 2)
    if (fround(fround(boundaries[k]! * b) - fround(boundaries[k + 1]! * a)) >= 0) code++;
  return code;
}

/** Sector of the full circle: the lower half plane is the upper one turned by π. */
function circleSector(a: number, b: number): number {
  const { boundaries } = POLAR_TABLES[0]!;
  const lower = b < 0 || (b === 0 && a < 0);
  return lower ? boundaries.length / 2 + 1 + sector(-a, -b, boundaries) : sector(a, b, boundaries);
}
