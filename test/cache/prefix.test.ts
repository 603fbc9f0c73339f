import { sha256 } from "@noble/hashes/sha2.js";
import { describe, expect, test } from "vitest";
import { KvCache } from "../../src/cache/index.js";
import { Pages } from "../../src/cache/pages.js";
import { PrefixIndex } from "../../src/cache/prefix.js";
import { createReferenceKernels } from "../../src/kernels/reference.js";
import { normals } from "./vectors.js";

const SHAPE = { layers: 1, kvHeads: 1, headDim: 32, pageTokens: 2, pages: 6, key: "turbo2", value: "turbo2" };
const cacheWith = (options: object = {}): KvCache => new KvCache({ ...SHAPE, ...options });
const grow = (cache: KvCache, tokens: number): number => {
  const seq = cache.create();
  cache.append(seq, 0, normals(tokens * 32, tokens), normals(tokens * 32, 1));
  return seq;
};

describe("prefixes", () => {
  test("hits are whole pages, leave one token on request, and keep tenants apart", () => {
    const cache = cacheWith();
    const seq = grow(cache, 5);
    expect(cache.storePrefix(seq, [7, 8, 9, 10, 11])).toBe(4);
    const hit = (tokens: number[], options = {}): number => {
      const found = cache.matchPrefix(tokens, options);
      cache.free(found.seq);
      return found.tokens;
    };
    expect(hit([7, 8, 9, 10, 11])).toBe(4);
    expect(hit([7, 8, 9, 10])).toBe(4);
    expect(hit([7, 8, 9, 10], { leaveOne: true })).toBe(2);
    expect(hit([7, 8, 9, 99])).toBe(2);
    expect(hit([8, 7, 9, 10])).toBe(0);
    expect(hit([7, 8], { salt: "someone else" })).toBe(0);
    expect(cache.stats().counters).toMatchObject({ prefixHits: 4, prefixMisses: 2, prefixes: 2 });
    cache.audit();
  });

  test("pages of a kept prefix outlive their sequence, and go by age when pages are needed", () => {
    const cache = cacheWith();
    for (const first of [10, 20]) {
      const seq = grow(cache, 4);
      cache.storePrefix(seq, [first, 1, 2, 3]);
      cache.free(seq);
    }
    expect(cache.stats().pages).toMatchObject({ free: 2, idle: 4 });
    cache.free(cache.matchPrefix([10, 1, 2, 3]).seq); // now 20 is the older one
    const seq = grow(cache, 5); // three pages: one of 20's goes, its last
    const tokensOf = (first: number): number => {
      const found = cache.matchPrefix([first, 1, 2, 3]);
      cache.free(found.seq);
      return found.tokens;
    };
    expect(tokensOf(20)).toBe(2);
    expect(tokensOf(10)).toBe(4);
    expect(cache.stats().counters.evictions).toBe(1);
    cache.audit();
    cache.free(seq);
    cache.dropPrefixes();
    expect(cache.stats().pages.free).toBe(6);
  });

  test("pages in use are never evicted", () => {
    const cache = cacheWith();
    const seq = grow(cache, 4);
    cache.storePrefix(seq, [1, 2, 3, 4]);
    expect(() => grow(cache, 10)).toThrow(
      expect.objectContaining({ code: "OUT_OF_PAGES", needed: 5, available: 4 }),
    );
    expect(cache.stats().counters).toMatchObject({ evictions: 0, prefixes: 2 });
  });

  test("tokens decide, not the hash: with a hash that always collides nothing false is served", () => {
    const pages = new Pages(createReferenceKernels().arena, 4, 16);
    const index = new PrefixIndex(2, (bytes) => sha256(bytes.subarray(0, 0)));
    index.bind(pages);
    const identity = new Uint8Array(1);
    const [a, b] = [pages.take(), pages.take()];
    expect(index.store(identity, Uint32Array.of(1, 2), [a])).toBe(1);
    expect(index.match(identity, Uint32Array.of(3, 4), 1)).toEqual([]);
    expect(index.store(identity, Uint32Array.of(3, 4), [b])).toBe(0);
    expect(index.match(identity, Uint32Array.of(1, 2), 1)).toEqual([a]);
  });

  test("another format, seed or geometry is another prefix", async () => {
    const { identityOf } = await import("../../src/cache/prefix.js");
    const identities = [
      {},
      { key: "turbo3" },
      { value: "turbo3" },
      { seed: 1 },
      { pageTokens: 4 },
      { keyScale: "unbiased" },
      { layers: 2 },
    ].map((options) => identityOf(cacheWith(options).config).join());
    expect(new Set(identities).size).toBe(identities.length);
  });
});
