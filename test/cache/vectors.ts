import { randomStream } from "../../src/core/random.js";

/** (n,) standard normal values, the same for the same seed. */
export function normals(n: number, seed: number): Float32Array {
  const stream = randomStream(seed, "data");
  return Float32Array.from({ length: n }, () => stream.normal());
}

export const bitsOf = (x: Float32Array): Uint32Array => new Uint32Array(x.buffer, x.byteOffset, x.length);

/** Softmax attention in f64 over decoded vectors. q: (n, heads, dim); k, v: (tokens, kvHeads, dim). */
export function exactAttention(
  q: Float32Array,
  k: Float32Array,
  v: Float32Array,
  heads: number,
  kvHeads: number,
  dim: number,
  sees: (position: number, query: number) => boolean = (position, query) => position <= query,
): Float64Array {
  const n = q.length / (heads * dim);
  const tokens = k.length / (kvHeads * dim);
  const out = new Float64Array(q.length);
  for (let i = 0; i < n; i++) {
    for (let h = 0; h < heads; h++) {
      const kv = Math.floor((h * kvHeads) / heads);
      const scores: number[] = [];
      for (let p = 0; p < tokens; p++) {
        let s = 0;
        for (let d = 0; d < dim; d++) s += q[(i * heads + h) * dim + d]! * k[(p * kvHeads + kv) * dim + d]!;
        scores.push(sees(p, tokens - n + i) ? s / Math.sqrt(dim) : Number.NEGATIVE_INFINITY);
      }
      const max = Math.max(...scores);
      const weights = scores.map((s) => Math.exp(s - max));
      const sum = weights.reduce((a, b) => a + b, 0);
      for (let p = 0; p < tokens; p++)
        for (let d = 0; d < dim; d++)
          out[(i * heads + h) * dim + d]! += (weights[p]! / sum) * v[(p * kvHeads + kv) * dim + d]!;
    }
  }
  return out;
}

/** ‖a − b‖ / ‖b‖. */
export function relativeRms(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let error = 0;
  let size = 0;
  for (let i = 0; i < b.length; i++) {
    error += (a[i]! - b[i]!) ** 2;
    size += b[i]! ** 2;
  }
  return Math.sqrt(error / size);
}
