/** Scales known up to one common factor, of which is known that they are halves: the factor. */
import { fromF16, toF16 } from "../../core/float.js";

/** What f32 products leave of a scale. */
const NEAR = 1e-6;
/** Fewer scales than these prove nothing. */
const LEAST = 8;

const isHalf = (v: number): boolean => Math.abs(fromF16(toF16(v)) - v) <= NEAR * v;
const telling = (v: number): boolean => v > 1e-3 && v < 6e4;

/** The factor nearest to 1, no further off than `range`, that makes halves of the scales; undefined where none does. */
export function halfUnit(scales: readonly number[], range: number): number | undefined {
  const all = scales.map(Math.abs).filter(telling);
  if (all.length < LEAST) return undefined;
  const first = all[0]!;
  const low = toF16(first * (1 - range));
  const high = toF16(first * (1 + range));
  let best: number | undefined;
  for (let h = low; h <= high; h++) {
    const factor = fromF16(h) / first;
    let misses = 0;
    for (let i = 0; i < all.length && misses <= all.length / 12; i++) if (!isHalf(all[i]! * factor)) misses++;
    if (misses <= all.length / 12 && (best === undefined || Math.abs(factor - 1) < Math.abs(best - 1)))
      best = factor;
  }
  return best;
}
