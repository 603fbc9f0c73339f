// Gaussian data of a seed, and errors.
import { randomStream } from "../dist/core/random.js";

export function normals(n, seed) {
  const stream = randomStream(seed, "bench");
  return Float32Array.from({ length: n }, () => stream.normal());
}

/** ‖got − want‖ / ‖want‖. */
export function relativeRms(got, want) {
  let difference = 0;
  let size = 0;
  for (let i = 0; i < want.length; i++) {
    difference += (got[i] - want[i]) ** 2;
    size += want[i] ** 2;
  }
  return Math.sqrt(difference / size);
}

/** @throws Error where something that is about to be timed does not compute what it should. */
export function verify(name, got, want, most) {
  const error = relativeRms(got, want);
  if (!(error <= most))
    throw new Error(`${name}: relative error ${error}, at most ${most}: no speed to report`);
}

/** Softmax attention of one query in f64. keys, values: (tokens, dim). */
export function attention64(query, keys, values, dim) {
  const tokens = keys.length / dim;
  const scores = Float64Array.from({ length: tokens }, (_, t) => {
    let sum = 0;
    for (let i = 0; i < dim; i++) sum += query[i] * keys[t * dim + i];
    return sum / Math.sqrt(dim);
  });
  const most = scores.reduce((a, b) => Math.max(a, b));
  const out = new Float64Array(dim);
  let total = 0;
  for (let t = 0; t < tokens; t++) {
    const weight = Math.exp(scores[t] - most);
    total += weight;
    for (let i = 0; i < dim; i++) out[i] += weight * values[t * dim + i];
  }
  return out.map((x) => x / total);
}
