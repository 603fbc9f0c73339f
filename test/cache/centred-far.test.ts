/** Centred scores and attention at the far end of 131,072 tokens, for all pairings and scalings of RoPE. */
import { expect, test } from "vitest";
import { KvCache } from "../../src/cache/index.js";
import { turnMean } from "../../src/core/centring.js";
import { type Rope, type RopeScaling, Turns } from "../../src/core/rope.js";
import { loadWasmSync } from "../../src/kernels/wasm.js";
import { exactAttention, normals, relativeRms } from "./vectors.js";

const DIM = 64;
const TOKENS = 131_072;
/** Tokens at the end that are looked at; those before them are zeros. */
const LAST = 96;
const SCALINGS: readonly RopeScaling[] = [
  { type: "none" },
  { type: "linear", factor: 4 },
  { type: "llama3", factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 8192 },
  { type: "yarn", factor: 4, originalContext: 32_768, fast: 32, slow: 1 },
];
const ropes: readonly Rope[] = (["adjacent", "half-split"] as const).flatMap((pairing) =>
  SCALINGS.map((scaling, i) => ({ pairing, dimensions: i % 2 === 0 ? DIM : 48, theta: 100_000, scaling })),
);
const mean = normals(DIM, 9).map((v) => 3 * v);
const noise = normals(LAST * DIM, 1);
const values = normals(LAST * DIM, 2);
const queries = normals(4 * DIM, 3);
const backend = loadWasmSync();

test.each(ropes)("%o", (rope) => {
  const turns = new Turns(rope);
  const [turn, turned] = [new Float32Array(rope.dimensions), new Float32Array(DIM)];
  const keys = noise.map((v, i) => {
    if (i % DIM === 0) {
      turns.put(TOKENS - LAST + i / DIM, turn);
      turnMean(rope, mean, turn, turned);
    }
    return v + turned[i % DIM]!;
  });
  const cache = new KvCache({
    ...{ layers: 1, kvHeads: 1, heads: 4, headDim: DIM, pageTokens: 256, pages: TOKENS / 256 },
    ...{ key: "trellis3x", value: "turbo4", center: { means: mean, rope }, backend },
  });
  const seq = cache.create();
  const zeros = new Float32Array((TOKENS - LAST) * DIM);
  cache.append(seq, 0, zeros, zeros);
  cache.append(seq, 0, keys, values);
  const range = { from: TOKENS - LAST, to: TOKENS };
  const k = cache.read(seq, 0, "key", undefined, range);
  const v = cache.read(seq, 0, "value", undefined, range);

  // Half of the key's energy and more is its mean: without it, or turned for the wrong position, nothing would fit.
  const query = queries.subarray(0, DIM);
  const got = cache.score(seq, 0, 0, query, undefined, range);
  const due = Float64Array.from({ length: LAST }, (_, t) =>
    query.reduce((sum, q, i) => sum + q * k[t * DIM + i]!, 0),
  );
  const size = (x: Float32Array): number => Math.sqrt(x.reduce((sum, a) => sum + a * a, 0));
  for (let t = 0; t < LAST; t++)
    expect(Math.abs(got[t]! - due[t]!)).toBeLessThan(
      2e-6 * size(query) * size(k.subarray(t * DIM, (t + 1) * DIM)),
    );
  const shifted = cache.score(seq, 0, 0, query, undefined, { from: range.from - 1, to: TOKENS - 1 });
  expect(relativeRms(shifted, due)).toBeGreaterThan(0.1);
  // What is read is the key but for the codes' noise, so the mean did turn as far as the keys'.
  expect(relativeRms(k, keys)).toBeLessThan(0.1);

  const exact = exactAttention(queries, k, v, 4, 1, DIM, () => true);
  for (const [precision, bound] of [
    ["exact", 1e-5],
    ["precise", 4e-3],
    ["fast", 2e-2],
  ] as const) {
    const out = cache.attend(seq, 0, queries, undefined, { precision, window: LAST });
    expect(relativeRms(out, exact), precision).toBeLessThan(bound);
  }
  cache.dispose();
});
