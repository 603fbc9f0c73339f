import { describe, expect, test } from "vitest";
import { KvCache, type KvCacheOptions } from "../../src/cache/index.js";
import { bitsOf, exactAttention, normals, relativeRms } from "./vectors.js";

const BASE = { layers: 2, kvHeads: 2, headDim: 64, heads: 4, pageTokens: 4, pages: 200 };
const TOKENS = 300;
const PAIRS: [string, string][] = [
  ["turbo4", "turbo3"],
  ["turbo2+qjl", "turbo3+qjl"],
  ["f32", "f32"],
  ["f16", "turbo4"],
  ["ggml/q8_0", "ggml/q4_0"],
  ["llama/turbo3", "llama/turbo4"],
  ["vllm/k3v4_nc", "vllm/k3v4_nc"],
  ["turbo3.5", "polar3.875"],
];

function filled(options: Partial<KvCacheOptions>, chunk = TOKENS): { cache: KvCache; seq: number } {
  const cache = new KvCache({ ...BASE, key: "turbo4", value: "turbo3", seed: 7, ...options });
  const seq = cache.create();
  const row = BASE.kvHeads * BASE.headDim;
  for (let layer = 0; layer < BASE.layers; layer++) {
    const keys = normals(TOKENS * row, 10 + layer);
    const values = normals(TOKENS * row, 20 + layer);
    for (let t = 0; t < TOKENS; t += chunk) {
      const end = Math.min(TOKENS, t + chunk) * row;
      cache.append(seq, layer, keys.subarray(t * row, end), values.subarray(t * row, end));
    }
  }
  return { cache, seq };
}

const queries = normals(3 * BASE.heads * BASE.headDim, 30);

describe.each(PAIRS)("%s / %s", (key, value) => {
  const { cache, seq } = filled({ key, value, backend: "wasm" });
  const out = cache.attend(seq, 1, queries);

  test("attention is softmax over what the cache decodes", () => {
    const keys = cache.read(seq, 1, "key");
    const values = cache.read(seq, 1, "value");
    const want = exactAttention(queries, keys, values, BASE.heads, BASE.kvHeads, BASE.headDim);
    expect(relativeRms(out, want)).toBeLessThan(2e-6);
  });

  test("paged equals contiguous, whatever the size of a page and of an append, bit for bit", () => {
    for (const pageTokens of [1, 7, 16, 512]) {
      const other = filled({ key, value, backend: "wasm", pageTokens, pages: 400 }, 37);
      expect(bitsOf(other.cache.attend(other.seq, 1, queries))).toEqual(bitsOf(out));
      expect(bitsOf(other.cache.read(other.seq, 0, "key"))).toEqual(bitsOf(cache.read(seq, 0, "key")));
    }
  });

  test("the reference gives the same bits and the same snapshot", () => {
    const other = filled({ key, value, backend: "reference" });
    expect(other.cache.backend).toBe("reference");
    expect(bitsOf(other.cache.attend(other.seq, 1, queries))).toEqual(bitsOf(out));
    expect(other.cache.snapshot()).toEqual(cache.snapshot());
  });

  test("queries one by one see what they see together", () => {
    const row = BASE.heads * BASE.headDim;
    for (let i = 0; i < 3; i++) {
      const fork = cache.fork(seq);
      cache.truncate(fork, TOKENS - 2 + i);
      const one = cache.attend(fork, 1, queries.subarray(i * row, (i + 1) * row));
      expect(bitsOf(one)).toEqual(bitsOf(out.slice(i * row, (i + 1) * row)));
      cache.free(fork);
    }
  });

  test("scores are those of attention; a restored cache attends alike", () => {
    const query = queries.subarray(0, BASE.headDim);
    const keys = cache.read(seq, 1, "key");
    const scores = cache.score(seq, 1, 1, query);
    const want = Float64Array.from({ length: TOKENS }, (_, t) =>
      query.reduce((sum, q, d) => sum + q * keys[(t * BASE.kvHeads + 1) * BASE.headDim + d]!, 0),
    );
    expect(relativeRms(scores, want)).toBeLessThan(2e-6);
    const restored = KvCache.restore(cache.snapshot(), { backend: "reference" });
    expect(bitsOf(restored.attend(seq, 1, queries))).toEqual(bitsOf(out));
    expect(restored.snapshot()).toEqual(cache.snapshot());
    cache.audit();
  });
});

test("sliding window: attention over the window and the sinks, pages before it released", () => {
  const { cache, seq } = filled({ backend: "wasm" });
  const options = { window: 50, sinks: 6 };
  const before = cache.attend(seq, 0, queries, undefined, options);
  const keys = cache.read(seq, 0, "key");
  const values = cache.read(seq, 0, "value");
  const want = exactAttention(
    queries,
    keys,
    values,
    BASE.heads,
    BASE.kvHeads,
    BASE.headDim,
    (p, i) => p <= i && (p > i - 50 || p < 6),
  );
  expect(relativeRms(before, want)).toBeLessThan(2e-6);
  const fork = cache.fork(seq);
  const released = cache.slide(seq, 52, 6);
  expect(released).toBe(Math.floor((TOKENS - 52) / 4) - 2);
  expect(bitsOf(cache.attend(seq, 0, queries, undefined, options))).toEqual(bitsOf(before));
  expect(() => cache.read(seq, 0, "key")).toThrow(expect.objectContaining({ code: "INVALID_POSITION" }));
  expect(bitsOf(cache.read(fork, 0, "key"))).toEqual(bitsOf(keys)); // the fork needs them still
  cache.audit();
  const used = cache.stats().pages.used;
  cache.free(fork);
  expect(cache.stats().pages.used).toBe(used - released);
  cache.audit();
});

test("sparse V skips what is light, and the sum still counts it", () => {
  const { cache, seq } = filled({ backend: "wasm" });
  const all = cache.attend(seq, 0, queries);
  expect(bitsOf(cache.attend(seq, 0, queries, undefined, { sparse: 1e-30 }))).toEqual(bitsOf(all));
  const sparse = cache.attend(seq, 0, queries, undefined, { sparse: 1e-2 });
  const error = relativeRms(sparse, all);
  expect(error).toBeGreaterThan(1e-5);
  expect(error).toBeLessThan(0.1);
});

describe("refusals change nothing", () => {
  const { cache, seq } = filled({ pages: 76 });
  const row = BASE.kvHeads * BASE.headDim;
  const good = normals(9 * row, 1);
  const before = cache.snapshot();
  const refused = (code: string, call: () => unknown): void => {
    expect(call).toThrow(expect.objectContaining({ name: "CacheError", code }));
    expect(cache.snapshot()).toEqual(before);
    cache.audit();
  };

  test("out of pages says how many are needed and available", () => {
    refused("OUT_OF_PAGES", () => cache.append(seq, 0, good, good));
    expect(() => cache.append(seq, 0, good, good)).toThrow(
      expect.objectContaining({ needed: 3, available: 1 }),
    );
    expect(cache.pagesNeeded(seq, 9)).toBe(3);
  });

  test("values that cannot be stored", () => {
    for (const [value, code] of [
      [Number.NaN, "NON_FINITE"],
      [Number.POSITIVE_INFINITY, "NON_FINITE"],
      [3e38, "SCALE_OVERFLOW"],
    ] as const) {
      const bad = normals(2 * row, 2);
      bad[row + 5] = value;
      refused(code, () => cache.append(seq, 1, bad, good.subarray(0, 2 * row)));
      refused(code, () => cache.append(seq, 1, good.subarray(0, 2 * row), bad));
    }
  });

  test("sequences and positions that are not there", () => {
    refused("UNKNOWN_SEQUENCE", () => cache.length(12345));
    refused("INVALID_POSITION", () => cache.truncate(seq, TOKENS + 1));
    refused("INVALID_POSITION", () => cache.read(seq, 0, "key", undefined, { to: TOKENS + 1 }));
    refused("INVALID_ARGUMENT", () => {
      cache.attend(seq, 0, new Float32Array((TOKENS + 1) * BASE.heads * BASE.headDim));
    });
  });

  test("arguments of a wrong type or value", () => {
    expect(() => cache.append(seq, 0, [1] as never, good)).toThrow(TypeError);
    expect(() => cache.append(seq, 0, good.subarray(1), good)).toThrow(RangeError);
    expect(() => cache.append(seq, 2, good, good)).toThrow(RangeError);
    expect(() => cache.length("0" as never)).toThrow(TypeError);
    expect(() => new KvCache({ ...BASE, key: "turbo4", value: "nonsense" })).toThrow(/nonsense/);
    expect(() => new KvCache({ ...BASE, headDim: 40, key: "turbo4", value: "f32" })).toThrow(RangeError);
    expect(cache.snapshot()).toEqual(before);
  });
});

test("sanitize mends and counts", () => {
  const cache = new KvCache({ ...BASE, key: "turbo4", value: "ggml/q8_0", nonFinite: "sanitize" });
  const seq = cache.create();
  const row = BASE.kvHeads * BASE.headDim;
  const bad = normals(row, 3);
  bad[3] = Number.NaN;
  bad[BASE.headDim] = 3e38;
  cache.append(seq, 0, bad, bad);
  expect(cache.read(seq, 0, "key", undefined, { to: 1 }).every(Number.isFinite)).toBe(true);
  expect(cache.read(seq, 0, "value", undefined, { to: 1 }).every(Number.isFinite)).toBe(true);
  expect(cache.sanitized).toEqual({ nonFinite: 2, overflow: 2 });
});

test("freed handles stay dead when their slot lives again; handles are the same everywhere", () => {
  const make = (): number[] => {
    const cache = new KvCache({ ...BASE, key: "turbo4", value: "turbo4" });
    const a = cache.create();
    const b = cache.create();
    cache.free(a);
    const c = cache.create();
    expect(() => cache.length(a)).toThrow(expect.objectContaining({ code: "UNKNOWN_SEQUENCE" }));
    expect(() => cache.free(a)).toThrow(expect.objectContaining({ code: "UNKNOWN_SEQUENCE" }));
    expect([...cache]).toEqual([c, b]);
    return [a, b, c];
  };
  expect(make()).toEqual(make());
});
