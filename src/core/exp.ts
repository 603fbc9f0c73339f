/**
 * e^x for softmax weights: f32, + and × only, so that every engine gives the same bits (Math.exp is left to the
 * engine). x = n ln 2 + r with |r| ≤ ln 2 / 2, and the polynomial of Cephes' expf for e^r.
 *
 * Arguments are differences to a maximum, so x ≤ 0. Relative error at most 1.2e-7 (about one unit in the last place)
 * for −87 ≤ x ≤ 0, exactly 1 at 0; below −87 the result is 0 (e^−87 is 1.6e-38, where halves and floats end).
 */

const { fround } = Math;

/** Arguments below this give 0. */
export const EXP_LEAST = -87;

const LOG2_E = fround(Math.LOG2E);
/** 1.5 · 2²³: adding it rounds a small f32 to an integer, ties to even. */
const ROUNDER = 12582912;
/** ln 2 in two parts; the first has few bits, so that n times it is exact. */
const LN2_HIGH = 0.693359375;
const LN2_LOW = fround(-2.1219444e-4);
const C0 = fround(1.98756915e-4);
const C1 = fround(1.3981999507e-3);
const C2 = fround(8.3334519073e-3);
const C3 = fround(4.1665795894e-2);
const C4 = fround(1.6666665459e-1);
const C5 = fround(5.0000001201e-1);

/** 2^−n for n = 0 … 126, exact. */
const HALVINGS = Float32Array.from({ length: 127 }, (_, n) => 2 ** -n);

/** e^x, x: an f32 ≤ 0 (NaN gives NaN). */
export function expNegative(x: number): number {
  if (x < EXP_LEAST) return 0;
  const n = fround(fround(fround(x * LOG2_E) + ROUNDER) - ROUNDER);
  const r = fround(fround(x - fround(n * LN2_HIGH)) - fround(n * LN2_LOW));
  let p = fround(fround(C0 * r) + C1);
  p = fround(fround(p * r) + C2);
  p = fround(fround(p * r) + C3);
  p = fround(fround(p * r) + C4);
  p = fround(fround(p * r) + C5);
  p = fround(fround(p * fround(r * r)) + fround(r + 1));
  return fround(p * HALVINGS[-n]!);
}
