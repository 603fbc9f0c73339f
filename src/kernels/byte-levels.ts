/**
 * Levels of a code as integers of one byte, so that one lookup finds them: 256 · n_j, n_j from −127 to 127, times a unit.
 *
 *   n_j = round(level_j · t / max|level|)      unit = Σ level n / Σ n²      t in 64, 64 + 1/8, … 127, the one with the
 *                                                                           least Σ (level − unit · n)², of equals the last
 *
 * Relative rms error over N(0,1): 3.5e-3 at 4 bits, 1.2e-3 at 3, 3e-4 at 2, none at 1. What is chosen is chosen in f64, when
 * a plan is made; kernels only read it.
 */
const { fround } = Math;

/** What integer levels of one byte are multiples of, so that they can lie in the upper byte of sixteen bits. */
export const BYTE_STEP = 256;

export interface ByteLevels {
  readonly values: Int8Array;
  /** What 256 · values are multiples of. */
  readonly unit: number;
}

/** levels: (2^bits,), at most 16. */
export function byteLevels(levels: Float32Array): ByteLevels {
  const most = levels.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
  if (!(most > 0)) return { values: new Int8Array(levels.length), unit: 0 };
  let best = { values: new Int8Array(0), unit: 0 };
  let least = Number.POSITIVE_INFINITY;
  for (let t = 64; t <= 127; t += 1 / 8) {
    const values = Int8Array.from(levels, (x) => Math.round((x * t) / most));
    let [product, squares] = [0, 0];
    levels.forEach((x, j) => {
      product += x * values[j]!;
      squares += values[j]! ** 2;
    });
    const unit = product / squares;
    let error = 0;
    levels.forEach((x, j) => {
      error += (x - unit * values[j]!) ** 2;
    });
    if (error <= least) [least, best] = [error, { values, unit: fround(unit / BYTE_STEP) }];
  }
  return best;
}
