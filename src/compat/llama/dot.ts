/** ggml_vec_dot of f32 and f16 rows as AVX2 with FMA does it: 4 accumulators of 8 lanes, joined in halves. */
const LANES = 8;
const ACCUMULATORS = 4;
const STEP = LANES * ACCUMULATORS;
const sums = new Float32Array(STEP);
const { fround } = Math;

/** Σ aᵢ·bᵢ over n values from `at` in b; n a multiple of 32. Products of halves are exact in f64, so one rounding is an FMA's. */
export function ggmlDot(a: Float32Array, b: Float32Array, at: number, n: number): number {
  sums.fill(0);
  for (let i = 0; i < n; i += STEP)
    for (let l = 0; l < STEP; l++) sums[l] = a[i + l]! * b[at + i + l]! + sums[l]!;
  for (let width = STEP / 2; width >= LANES / 2; width /= 2)
    for (let l = 0; l < width; l++) sums[l] = sums[l]! + sums[l + width]!;
  return fround(fround(sums[0]! + sums[1]!) + fround(sums[2]! + sums[3]!));
}
