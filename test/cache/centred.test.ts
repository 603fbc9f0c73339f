/** Centred keys and first tokens in halves: attention and scores against the definition in f64, on both backends. */
import { describe, expect, test } from "vitest";
import { type CacheStats, KvCache } from "../../src/cache/index.js";
import { turnMean } from "../../src/core/centring.js";
import { type Rope, type RopeScaling, Turns } from "../../src/core/rope.js";
import { bitsOf, exactAttention, normals, relativeRms } from "./vectors.js";

const SHAPE = { layers: 2, kvHeads: 2, heads: 4, headDim: 64, pageTokens: 16, pages: 64, seed: 3 };
const ROW = SHAPE.kvHeads * SHAPE.headDim;
const SCALINGS: readonly RopeScaling[] = [
  { type: "none" },
  { type: "linear", factor: 4 },
  { type: "llama3", factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 8192 },
  { type: "yarn", factor: 4, originalContext: 4096, fast: 32, slow: 1 },
];
const ropes: readonly Rope[] = (["adjacent", "half-split"] as const).flatMap((pairing) =>
  SCALINGS.map((scaling) => ({
    pairing,
    dimensions: pairing === "adjacent" ? 64 : 48,
    theta: 10_000,
    scaling,
  })),
);
const means = normals(SHAPE.layers * ROW, 9).map((v) => 3 * v);

/** Keys with the mean in them, as a model gives them. */
function keysWith(rope: Rope | undefined, layer: number, tokens: number): Float32Array {
  const keys = normals(tokens * ROW, 20 + layer);
  const turns = rope && new Turns(rope);
  const turn = new Float32Array(rope?.dimensions ?? 0);
  const turned = new Float32Array(SHAPE.headDim);
  for (let t = 0; t < tokens; t++) {
    turns?.put(t, turn);
    for (let head = 0; head < SHAPE.kvHeads; head++) {
      const mean = means.subarray(layer * ROW + head * 64, layer * ROW + (head + 1) * 64);
      if (rope) turnMean(rope, mean, turn, turned);
      else turned.set(mean);
      for (let i = 0; i < 64; i++) keys[t * ROW + head * 64 + i]! += turned[i]!;
    }
  }
  return keys;
}

const filled = (options: object, keys: Float32Array, values: Float32Array, layer = 1) => {
  const cache = new KvCache({ ...SHAPE, key: "turbo3", value: "turbo4", ...options });
  const seq = cache.create();
  cache.append(seq, layer, keys, values);
  return { cache, seq };
};

describe.each([undefined, ...ropes])("rope %j", (rope) => {
  const tokens = 300;
  const keys = keysWith(rope, 1, tokens);
  const values = normals(tokens * ROW, 31);
  const queries = normals(2 * 4 * 64, 32);
  const center = { means, rope };

  test("attention is that over decoded keys: 1e-5 exactly, within the modes' bounds besides; backends agree by bits", () => {
    for (const sinks of [0, 5]) {
      const { cache, seq } = filled({ center, sinks }, keys, values);
      const k = cache.read(seq, 1, "key", undefined, { to: tokens });
      const v = cache.read(seq, 1, "value", undefined, { to: tokens });
      const due = exactAttention(queries, k, v, 4, 2, 64);
      const limits = { exact: 1e-5, precise: 3e-3, fast: 2e-2 } as const;
      for (const precision of ["exact", "precise", "fast"] as const) {
        const out = cache.attend(seq, 1, queries, undefined, { precision });
        expect(relativeRms(out, due), `${precision}, ${sinks} in halves`).toBeLessThan(limits[precision]);
        const other = filled({ center, sinks, backend: "reference" }, keys, values);
        expect(bitsOf(other.cache.attend(other.seq, 1, queries, undefined, { precision }))).toEqual(
          bitsOf(out),
        );
      }
      const scores = cache.score(seq, 1, 1, queries.subarray(0, 64), undefined, { to: tokens });
      for (const t of [0, 4, 5, 127, 128, 299]) {
        const row = k.subarray(t * ROW + 64, t * ROW + 128);
        const exact = row.reduce((sum, x, i) => sum + x * queries[i]!, 0);
        expect(Math.abs(scores[t]! - exact)).toBeLessThan(2e-4);
      }
    }
  });

  test("what centring takes off costs nothing: keys as precise as without the mean", () => {
    const plain = filled({}, normals(tokens * ROW, 21), values);
    const centred = filled({ center }, keys, values);
    const error = ({ cache, seq }: typeof plain, of: Float32Array): number => {
      const k = cache.read(seq, 1, "key", undefined, { to: tokens });
      return of.reduce((sum, x, i) => sum + (x - k[i]!) ** 2, 0);
    };
    expect(error(centred, keys) / error(plain, normals(tokens * ROW, 21))).toBeCloseTo(1, 2);
    expect(error(filled({}, keys, values), keys)).toBeGreaterThan(4 * error(centred, keys));
  });
});

test("first tokens are halves, and their bytes are counted", () => {
  const tokens = 20;
  const keys = normals(tokens * ROW, 1);
  const { cache, seq } = filled({ sinks: 4, key: "turbo2", value: "turbo2" }, keys, keys);
  cache.append(seq, 0, keys, keys);
  const errorOf = (t: number): number => {
    const k = cache.read(seq, 1, "key", undefined, { from: t, to: t + 1 });
    return relativeRms(k, keys.subarray(t * ROW, (t + 1) * ROW));
  };
  for (let t = 0; t < tokens; t++) {
    if (t < 4) expect(errorOf(t)).toBeLessThan(1e-3);
    else expect(errorOf(t)).toBeGreaterThan(0.2);
  }
  const { bytes, pages }: CacheStats = cache.stats();
  expect(bytes.sinks).toBe(2 * SHAPE.layers * 4 * ROW * 2);
  expect(bytes.physical).toBe(pages.used * bytes.page + bytes.sinks);
  const fork = cache.fork(seq);
  expect(cache.stats().bytes.physical).toBe(bytes.physical);
  cache.truncate(fork, 2);
  cache.append(fork, 1, keys.subarray(0, ROW), keys.subarray(0, ROW));
  cache.audit();
  expect(cache.stats().bytes.physical).toBe(bytes.physical + bytes.page + bytes.sinks);
});

test("bad centres and sinks are refused", () => {
  const make = (options: object) => () => filled(options, new Float32Array(0), new Float32Array(0));
  expect(make({ sinks: 17 })).toThrow(/"sinks" expected an integer in 0..16, got 17/);
  expect(make({ center: { means: means.subarray(1) } })).toThrow(/"center.means" expected 256 values/);
  expect(make({ center: { means: means.map(() => Number.NaN) } })).toThrow(/finite/);
  expect(make({ center: { means, rope: { pairing: "diagonal" } } })).toThrow(/"rope.pairing"/);
  expect(make({ center: 3 })).toThrow(TypeError);
});

test("a cache with another centre shares no prefix and adopts no snapshot", () => {
  const { cache, seq } = filled(
    { center: { means, rope: undefined } },
    normals(16 * ROW, 1),
    normals(16 * ROW, 2),
  );
  const bytes = cache.snapshot(seq);
  expect(KvCache.restore(bytes).snapshot([...KvCache.restore(bytes)][0]!)).toEqual(bytes);
  const other = new KvCache({ ...SHAPE, key: "turbo3", value: "turbo4" });
  expect(() => other.adopt(bytes)).toThrow(/other formats/);
});
