/**
 * Attention over a `KvCache` in the arithmetic of llama.cpp's CPU (ggml_compute_forward_flash_attn_ext_f16, one row at a
 * time), for comparing a fork's outputs closer than different orders of sums allow.
 *
 * Two things in it are not in `KvCache.attend`, because they only lose: the query is rounded as the key's type is
 * multiplied, and the weighted sum of f16 values is kept in halves, which costs 1e-3 of the output.
 */
import type { KvCache } from "../../cache/index.js";
import { assertFloat32, assertInteger } from "../../core/check.js";
import { fromF16, toF16 } from "../../core/float.js";
import { ggmlDot } from "./dot.js";
import { roundQueries } from "./query-rounding.js";

const { exp, fround, sqrt } = Math;

/** What the engine's graph says of an attention. */
export interface LlamaAttentionOptions {
  /** Query heads, a multiple of the cache's kvHeads. Default: the cache's. */
  readonly heads?: number;
  /** Default 1/√headDim. */
  readonly scale?: number;
}

const inHalves = (value: number): number => fromF16(toF16(value));

/** acc ← acc · factor, and acc ← acc + row · weight, in the accumulator's own precision. */
interface Accumulator {
  scale(acc: Float32Array, factor: number): void;
  add(acc: Float32Array, rows: Float32Array, at: number, weight: number): void;
}

/** ggml_vec_scale_* and ggml_vec_mad_*; the multiplication and addition of `mad` round once (FMA). */
const accumulator = (round: (value: number) => number): Accumulator => ({
  scale(acc, factor) {
    for (let i = 0; i < acc.length; i++) acc[i] = round(fround(acc[i]! * factor));
  },
  add(acc, rows, at, weight) {
    for (let i = 0; i < acc.length; i++) acc[i] = round(fround(rows[at + i]! * weight + acc[i]!));
  },
});
const HALVES = accumulator(inHalves);
const FLOATS = accumulator(fround);

/**
 * queries: (n, heads, headDim), the last n tokens of the layer → outputs of the same shape, original basis.
 * The exponential is the host's, rounded to f32: not of the bit path, and equal to the C library's to an ulp.
 * @throws TypeError, RangeError for sizes.
 */
export function llamaAttend(
  cache: KvCache,
  seq: number,
  layer: number,
  queries: Float32Array,
  options: LlamaAttentionOptions = {},
): Float32Array {
  const { kvHeads, headDim: dim, key, value } = cache.config;
  const heads = options.heads ?? cache.config.heads ?? kvHeads;
  assertInteger(heads, "heads", kvHeads);
  if (heads % kvHeads !== 0) throw new RangeError(`"heads" expected a multiple of ${kvHeads}, got ${heads}`);
  assertFloat32(queries, "queries", heads * dim);
  const scale = fround(options.scale ?? 1 / sqrt(dim));
  const keys = cache.read(seq, layer, "key");
  const values = cache.read(seq, layer, "value");
  const tokens = keys.length / (kvHeads * dim);
  const count = queries.length / (heads * dim);
  if (count > tokens) throw new RangeError(`"queries" expected at most ${tokens}, got ${count}`);
  const rounded = roundQueries(queries, key[layer]!, dim);
  const sums = value[layer] === "ggml/f16" ? HALVES : FLOATS;
  const out = new Float32Array(queries.length);
  for (let row = 0; row < count * heads; row++) {
    const sees = tokens - count + Math.floor(row / heads) + 1;
    const head = Math.floor(((row % heads) * kvHeads) / heads);
    const query = rounded.subarray(row * dim, (row + 1) * dim);
    const acc = out.subarray(row * dim, (row + 1) * dim);
    let max = Number.NEGATIVE_INFINITY;
    let sum = 0;
    for (let token = 0; token < sees; token++) {
      const at = (token * kvHeads + head) * dim;
      const score = fround(ggmlDot(query, keys, at, dim) * scale);
      let kept = 1;
      let weight = 1;
      if (score > max) {
        kept = fround(exp(fround(max - score)));
        max = score;
        sums.scale(acc, kept);
      } else weight = fround(exp(fround(score - max)));
      sums.add(acc, values, at, weight);
      sum = fround(fround(sum * kept) + weight);
    }
    FLOATS.scale(acc, fround(1 / sum));
  }
  return out;
}
