/** The last tokens in halves: what is read of them, what becomes of them, attention over them, and their bytes. */
import { describe, expect, test } from "vitest";
import { CacheError, KvCache, type KvCacheOptions } from "../../src/cache/index.js";
import { bitsOf, exactAttention, normals, relativeRms } from "./vectors.js";

const SHAPE = { layers: 1, kvHeads: 2, heads: 4, headDim: 64, pageTokens: 16, pages: 64, seed: 3 };
const ROW = SHAPE.kvHeads * SHAPE.headDim;
const TOKENS = 300;
const keys = normals(TOKENS * ROW, 1);
const values = normals(TOKENS * ROW, 2);
const queries = normals(3 * SHAPE.heads * SHAPE.headDim, 3);

function filled(options: Partial<KvCacheOptions> & { chunk?: number }) {
  const { chunk = TOKENS, ...rest } = options;
  const cache = new KvCache({ ...SHAPE, key: "trellis3", value: "turbo4", ...rest });
  const seq = cache.create();
  for (let t = 0; t < TOKENS; t += chunk) {
    const end = Math.min(TOKENS, t + chunk);
    cache.append(seq, 0, keys.subarray(t * ROW, end * ROW), values.subarray(t * ROW, end * ROW));
  }
  return { cache, seq };
}

describe.each([1, 40, 128, 150])("a window of %i tokens", (recent) => {
  test("its tokens are read as halves, the others as a cache without a window reads them", () => {
    const plain = filled({});
    for (const chunk of [TOKENS, 7]) {
      const { cache, seq } = filled({ recent, chunk });
      for (const [side, given] of [
        ["key", keys],
        ["value", values],
      ] as const) {
        const read = cache.read(seq, 0, side);
        const edge = (TOKENS - recent) * ROW;
        const packed = plain.cache.read(plain.seq, 0, side);
        expect(bitsOf(read.slice(0, edge))).toEqual(bitsOf(packed.slice(0, edge)));
        // Eleven bits each, rounded in another basis: 2^−12 · √(1/3) of their size, and a little more.
        expect(relativeRms(read.slice(edge), given.slice(edge))).toBeLessThan(4e-4);
        expect(relativeRms(packed.slice(edge), given.slice(edge))).toBeGreaterThan(0.05);
      }
    }
  });

  test("attention is that over what is read, at every precision; both backends the same; scores too", () => {
    for (const sinks of [0, 5]) {
      const { cache, seq } = filled({ recent, sinks });
      const other = filled({ recent, sinks, backend: "reference" });
      const k = cache.read(seq, 0, "key");
      const exact = exactAttention(queries, k, cache.read(seq, 0, "value"), 4, 2, 64);
      for (const [precision, bound] of [
        ["exact", 1e-5],
        ["precise", 5e-3],
        ["fast", 3e-2],
      ] as const) {
        const out = cache.attend(seq, 0, queries, undefined, { precision });
        expect(relativeRms(out, exact)).toBeLessThan(bound);
        expect(bitsOf(other.cache.attend(other.seq, 0, queries, undefined, { precision }))).toEqual(
          bitsOf(out),
        );
      }
      const query = queries.slice(0, 64);
      const scores = cache.score(seq, 0, 1, query);
      const expected = Float64Array.from({ length: TOKENS }, (_, t) =>
        query.reduce((sum, q, i) => sum + q * k[t * ROW + 64 + i]!, 0),
      );
      expect(relativeRms(scores, expected)).toBeLessThan(1e-5);
      const sparse = cache.attend(seq, 0, queries, undefined, { sparse: 1e-6 });
      expect(relativeRms(sparse, exact)).toBeLessThan(1e-3);
    }
  });
});

test("bytes: a block for each sequence that wrote, none for one that only shares", () => {
  const { cache, seq } = filled({ recent: 10 });
  const { bytes, pages } = cache.stats();
  expect(bytes.recent).toBe(10 * 2 * 2 * ROW);
  expect(bytes.physical).toBe(pages.used * bytes.page + bytes.recent);
  const child = cache.fork(seq);
  expect(cache.stats().bytes.physical).toBe(bytes.physical);
  cache.append(child, 0, keys.subarray(0, ROW), values.subarray(0, ROW));
  const after = cache.stats();
  expect(after.bytes.physical).toBe(after.pages.used * bytes.page + 2 * bytes.recent);
  cache.free(seq);
  cache.free(child);
  expect(cache.stats().bytes.physical).toBe(0);
  cache.dispose();
});

test("one sequence goes to a cache with the same window, and to no other", () => {
  const { cache, seq } = filled({ recent: 10 });
  const saved = cache.snapshot(seq);
  const same = new KvCache({ ...SHAPE, key: "trellis3", value: "turbo4", recent: 10 });
  const copy = same.adopt(saved);
  expect(bitsOf(same.read(copy, 0, "key"))).toEqual(bitsOf(cache.read(seq, 0, "key")));
  expect(same.snapshot(copy)).toEqual(saved);
  const other = filled({ recent: 11 }).cache;
  const before = other.snapshot();
  expect(() => other.adopt(saved)).toThrow(CacheError);
  expect(other.snapshot()).toEqual(before);
});

test("a vector that is too large for halves is refused, or clamped and counted once", () => {
  const huge = keys.slice(0, ROW);
  huge[3] = 6e4;
  huge[4] = 6e4; // 8.5e4 in one rotated coordinate at the most
  huge.fill(6e4, 0, 64);
  const strict = filled({ recent: 10 });
  const before = strict.cache.snapshot();
  expect(() => strict.cache.append(strict.seq, 0, huge, values.subarray(0, ROW))).toThrow(/too large/);
  expect(strict.cache.snapshot()).toEqual(before);
  const lenient = filled({ recent: 10, nonFinite: "sanitize" });
  lenient.cache.append(lenient.seq, 0, huge, values.subarray(0, ROW));
  expect(lenient.cache.sanitized).toEqual({ nonFinite: 0, overflow: 1 });
  const broken = keys.slice(0, ROW);
  broken[5] = Number.NaN;
  lenient.cache.append(lenient.seq, 0, broken, values.subarray(0, ROW));
  expect(lenient.cache.sanitized.nonFinite).toBe(1);
});

test.each([-1, 0.5, 65537, "3"])("recent %s is refused", (recent) => {
  expect(() => filled({ recent: recent as number })).toThrow(/"recent"/);
});
