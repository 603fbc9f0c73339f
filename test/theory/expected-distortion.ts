/** What theory says of D, in f64, from the solver's codebook and not from the frozen tables. */
import { lloydMax } from "../../src/core/lloyd-max.js";

const cellOf = (boundaries: ArrayLike<number>, value: number): number => {
  let code = 0;
  while (code < boundaries.length && value >= boundaries[code]!) code++;
  return code;
};

/** D of N(0,1)'s codebook on √dim · (a coordinate of a uniform unit vector): midpoint rule in the angle. */
export function sphereDistortion(dim: number, bits: number): number {
  const { centroids, boundaries } = lloydMax({ bits, distribution: "gaussian" });
  const n = 400_000;
  let mass = 0;
  let error = 0;
  for (let i = 0; i < n; i++) {
    const angle = ((i + 0.5) / n - 0.5) * Math.PI;
    const weight = Math.cos(angle) ** (dim - 2);
    const z = Math.sin(angle) * Math.sqrt(dim);
    mass += weight;
    error += weight * (z - centroids[cellOf(boundaries, z)]!) ** 2;
  }
  return error / mass;
}

/** D on a constant vector or a Walsh row: z = (2k − g)/√g with k ~ Binomial(g, ½), g the Hadamard block. */
export function signSumDistortion(block: number, bits: number): number {
  const { centroids, boundaries } = lloydMax({ bits, distribution: "gaussian" });
  let probability = 2 ** -block;
  let error = 0;
  for (let k = 0; k <= block; k++) {
    const z = (2 * k - block) / Math.sqrt(block);
    error += probability * (z - centroids[cellOf(boundaries, z)]!) ** 2;
    probability *= (block - k) / (k + 1);
  }
  return error;
}
