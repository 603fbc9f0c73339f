/**
 * A uniformly random orthogonal matrix (Haar measure): Gram–Schmidt on a Gaussian matrix, in f64, twice over each
 * row so that orthogonality holds to 1e-15. The dense rotation that TurboQuant's Algorithm 1 draws; here it serves
 * statistics and the orthogonal QJL sketch, not the codec.
 */
import type { RandomStream } from "./random.js";

/** (dim, dim) row-major, f64. */
export function haarRotation(dim: number, stream: RandomStream): Float64Array {
  const m = Float64Array.from({ length: dim * dim }, () => stream.normal());
  for (let row = 0; row < dim; row++) {
    const v = m.subarray(row * dim, (row + 1) * dim);
    for (let pass = 0; pass < 2; pass++) {
      for (let k = 0; k < row; k++) {
        const u = m.subarray(k * dim, (k + 1) * dim);
        let along = 0;
        for (let i = 0; i < dim; i++) along += v[i]! * u[i]!;
        for (let i = 0; i < dim; i++) v[i]! -= along * u[i]!;
      }
    }
    let square = 0;
    for (let i = 0; i < dim; i++) square += v[i]! * v[i]!;
    const inverse = 1 / Math.sqrt(square);
    for (let i = 0; i < dim; i++) v[i]! *= inverse;
  }
  return m;
}
