/** Hashes, entries and the prefix cache: upstream tests. */
import { describe, expect, it } from "vitest";
import {
  CachedPrefix,
  computePrefixHash,
  findLongestPrefix,
  PageId,
  PrefixCache,
} from "../../../src/compat/realizar/index.js";
import { upstream } from "./upstream.js";

/** An entry of as many tokens as its hash says, with so many references. */
const entry = (hash: bigint, refCount = 1): CachedPrefix =>
  Object.assign(new CachedPrefix(hash, Number(hash), []), { refCount });
/** A cache with these entries. */
function holding(maxEntries: number, ...entries: CachedPrefix[]): PrefixCache {
  const cache = new PrefixCache(maxEntries);
  for (const e of entries) expect(cache.insert(e)).toBe(true);
  return cache;
}
const MISSING = 99_999n;

describe("computePrefixHash", () => {
  upstream("tests_fragmentation_stats::test_compute_prefix_hash", () => {
    expect(computePrefixHash([1, 2, 3])).toBe(0xd0aa6218672cf5abn);
    expect(computePrefixHash(Uint32Array.of(1, 2, 3))).toBe(0xd0aa6218672cf5abn);
    expect(computePrefixHash([1, 2, 4])).toBe(0xd0aa6718672cfe2an);
  });
  upstream("tests_fragmentation_stats::test_compute_prefix_hash_empty", () => {
    expect(computePrefixHash([])).toBe(0xcbf29ce484222325n);
  });
  upstream("paged_kv_coverage::test_compute_prefix_hash_order_matters", () => {
    expect(computePrefixHash([3, 2, 1])).toBe(0xe1efc21870f169c3n);
  });
  upstream(
    [
      "paged_kv_coverage::test_compute_prefix_hash_single_token",
      "tests_write::test_prefix_hash_single_token",
    ],
    () => {
      expect([0, 1, 2, 2 ** 32 - 1].map((token) => computePrefixHash([token]))).toEqual([
        0xaf63bd4c8601b7dfn,
        0xaf63bc4c8601b62cn,
        0xaf63bf4c8601bb45n,
        0x6b1d723e79fe466en,
      ]);
    },
  );
  upstream("tests_cov_fragmentation_should::test_cov_compute_prefix_hash_collision_resistance", () => {
    const hashes = Array.from({ length: 100 }, (_, i) =>
      computePrefixHash(Array.from({ length: i + 1 }, (_, j) => j)),
    );
    expect(new Set(hashes).size).toBe(100);
  });

  it("collides for tokens of a vocabulary, and the cache then serves the wrong prefix", () => {
    const [a, b] = [
      [17118, 93198, 51246, 7],
      [3416, 38942, 119551, 44386],
    ] as const;
    expect(computePrefixHash(a)).toBe(0xc0dd502d0290e84an);
    const cache = holding(10, new CachedPrefix(computePrefixHash(a), 4, [new PageId(1)]));
    expect(cache.lookupTokens(b)!.pageIds[0]!.value()).toBe(1);
  });

  it("refuses tokens that are no u32", () => {
    for (const token of [-1, 0.5, 2 ** 32]) expect(() => computePrefixHash([token])).toThrow(RangeError);
    expect(() => computePrefixHash(["1" as unknown as number])).toThrow(TypeError);
  });
});

describe("CachedPrefix", () => {
  upstream("tests_fragmentation_stats::test_cached_prefix_new", () => {
    const prefix = new CachedPrefix(12345n, 10, [new PageId(0), new PageId(1)]);
    expect(prefix).toMatchObject({ hash: 12345n, numTokens: 10, refCount: 1, lastAccess: 0 });
    expect(prefix.pageIds.map((id) => id.value())).toEqual([0, 1]);
  });

  upstream("tests_fragmentation_stats::test_cached_prefix_ref_counting", () => {
    const prefix = entry(1n);
    prefix.addRef();
    expect(prefix.refCount).toBe(2);
    expect([prefix.removeRef(), prefix.refCount]).toEqual([false, 1]);
    expect([prefix.removeRef(), prefix.refCount]).toEqual([true, 0]);
  });

  upstream(
    [
      "tests_deep_pkcov::test_deep_pkcov_cached_prefix_remove_ref_underflow",
      "paged_kv_coverage::test_cached_prefix_remove_ref_saturating",
    ],
    () => {
      const prefix = entry(1n, 0);
      expect([prefix.removeRef(), prefix.refCount]).toEqual([true, 0]);
    },
  );

  upstream("tests_cov_fragmentation_should::test_cov_cached_prefix_serialization", () => {
    const prefix = new CachedPrefix(12345n, 10, [new PageId(0), new PageId(1)]);
    const text = '{"hash":12345,"num_tokens":10,"page_ids":[0,1],"ref_count":1,"last_access":0}';
    expect(JSON.stringify(prefix)).toBe(text);
    expect(CachedPrefix.fromJSON(JSON.parse(text))).toEqual(prefix);
  });

  it("keeps all 64 bits of a hash in JSON", () => {
    const prefix = new CachedPrefix(0xd0aa6218672cf5abn, 3, [new PageId(7)]);
    const text = '{"hash":15035938162879559083,"num_tokens":3,"page_ids":[7],"ref_count":1,"last_access":0}';
    expect(prefix.toSerdeJson()).toBe(text);
    expect(CachedPrefix.fromSerdeJson(prefix.toSerdeJson())).toEqual(prefix);
    expect(CachedPrefix.fromJSON(JSON.parse(JSON.stringify(prefix)))).toEqual(prefix);
    // Parsed as a plain number the digits are gone: refused, not rounded.
    expect(() => CachedPrefix.fromJSON(JSON.parse(prefix.toSerdeJson()))).toThrow(RangeError);
    expect(() =>
      CachedPrefix.fromSerdeJson(text.replace("15035938162879559083", "18446744073709551616")),
    ).toThrow(RangeError);
  });

  upstream("tests_write::test_cached_prefix_clone", () => {
    const prefix = new CachedPrefix(12345n, 100, [new PageId(0), new PageId(1)]);
    prefix.addRef();
    const copy = prefix.clone();
    prefix.pageIds.pop();
    expect(copy).toMatchObject({ hash: 12345n, numTokens: 100, refCount: 2 });
    expect(copy.pageIds).toHaveLength(2);
  });
});

describe("PrefixCache", () => {
  upstream(
    [
      "tests_fragmentation_stats::test_prefix_cache_new",
      "tests_fragmentation_stats::test_prefix_cache_default",
    ],
    () => {
      const cache = new PrefixCache();
      expect([cache.isEmpty(), cache.len(), cache.utilization()]).toEqual([true, 0, 0]);
      cache.insert(entry(1n));
      expect(cache.utilization()).toBe(0.01); // 100 by default
    },
  );

  upstream("tests_fragmentation_stats::test_prefix_cache_insert_lookup", () => {
    const cache = holding(100, new CachedPrefix(computePrefixHash([1, 2, 3]), 3, [new PageId(0)]));
    expect(cache.len()).toBe(1);
    expect(cache.lookup(computePrefixHash([1, 2, 3]))).toMatchObject({ numTokens: 3, lastAccess: 1 });
  });

  upstream("tests_fragmentation_stats::test_prefix_cache_lookup_tokens", () => {
    const cache = holding(100, new CachedPrefix(computePrefixHash([10, 20, 30]), 3, [new PageId(0)]));
    expect(cache.lookupTokens([10, 20, 30])!.hash).toBe(0x2fa7f2189ce5742fn);
    expect(cache.lookupTokens([10, 20])).toBeUndefined();
  });

  upstream("tests_fragmentation_stats::test_prefix_cache_miss", () => {
    const cache = new PrefixCache(100);
    expect(cache.lookup(12345n)).toBeUndefined();
    expect(cache.stats()).toMatchObject({ hits: 0, misses: 1 });
  });

  upstream("tests_fragmentation_stats::test_prefix_cache_stats", () => {
    const cache = holding(100, entry(3n));
    cache.lookup(MISSING);
    cache.lookup(3n);
    expect({ ...cache.stats() }).toEqual({
      hits: 1,
      misses: 1,
      prefixesCached: 1,
      prefixesEvicted: 0,
      tokensSaved: 3,
    });
    expect(cache.stats().hitRate()).toBe(0.5);
  });

  upstream("paged_kv_coverage::test_prefix_cache_stats_hit_rate_all_hits", () => {
    const cache = holding(100, entry(3n));
    for (let i = 0; i < 10; i++) cache.lookup(3n);
    expect(cache.stats()).toMatchObject({ hits: 10, misses: 0 });
    expect(cache.stats().hitRate()).toBe(1);
  });

  upstream("paged_kv_coverage::test_prefix_cache_stats_hit_rate_all_misses", () => {
    const cache = new PrefixCache(100);
    for (let i = 0n; i < 10n; i++) cache.lookup(i);
    expect(cache.stats()).toMatchObject({ hits: 0, misses: 10 });
    expect(cache.stats().hitRate()).toBe(0);
  });

  upstream("tests_write::test_prefix_cache_update_access_time", () => {
    const cache = holding(10, entry(1n), entry(2n));
    expect([1n, 1n, 1n, 2n, 1n].map((hash) => cache.lookup(hash)!.lastAccess)).toEqual([1, 2, 3, 4, 5]);
    expect(cache.stats().hits).toBe(5);
  });

  upstream("tests_fragmentation_stats::test_prefix_cache_add_remove_ref", () => {
    const cache = holding(100, entry(3n));
    expect(cache.addRef(3n)).toBe(true);
    expect([cache.removeRef(3n), cache.removeRef(3n), cache.isEmpty()]).toEqual([false, true, true]);
  });

  upstream(
    [
      "tests_deep_pkcov::test_deep_pkcov_prefix_cache_add_ref_not_found",
      "tests_write::test_prefix_cache_add_ref_nonexistent",
      "paged_kv_coverage::test_prefix_cache_add_ref_not_found",
    ],
    () => expect(holding(10, entry(1n)).addRef(MISSING)).toBe(false),
  );

  upstream(
    [
      "tests_deep_pkcov::test_deep_pkcov_prefix_cache_remove_ref_not_found",
      "tests_write::test_prefix_cache_remove_ref_nonexistent",
      "paged_kv_coverage::test_prefix_cache_remove_ref_not_found",
    ],
    () => expect(holding(10, entry(1n)).removeRef(MISSING)).toBe(false),
  );

  upstream("tests_fragmentation_stats::test_prefix_cache_contains", () => {
    const cache = new PrefixCache(100);
    expect(cache.contains(3n)).toBe(false);
    cache.insert(entry(3n));
    expect(cache.contains(3n)).toBe(true);
    expect(cache.stats()).toMatchObject({ hits: 0, misses: 0 });
  });

  upstream(
    [
      "tests_fragmentation_stats::test_prefix_cache_capacity",
      "tests_cov_fragmentation_should::test_cov_prefix_cache_evict_lru_all_referenced",
    ],
    () => {
      const cache = holding(2, entry(1n), entry(2n));
      expect([cache.insert(entry(3n)), cache.len(), cache.contains(3n)]).toEqual([false, 2, false]);
      expect(cache.stats()).toMatchObject({ prefixesCached: 2, prefixesEvicted: 0, tokensSaved: 3 });
      cache.removeRef(1n);
      expect(cache.len()).toBe(1);
      expect([cache.insert(entry(3n)), cache.len()]).toEqual([true, 2]);
    },
  );

  upstream("paged_kv_coverage::test_prefix_cache_eviction_with_references", () => {
    const cache = holding(2, entry(1n), entry(2n));
    cache.addRef(1n);
    cache.addRef(1n);
    expect(cache.removeRef(2n)).toBe(true);
    expect(cache.insert(entry(3n))).toBe(true);
    expect(cache.lookup(1n)!.refCount).toBe(3);
    expect(cache.stats().prefixesEvicted).toBe(0); // deleted at zero, not evicted
  });

  upstream("paged_kv_coverage::test_prefix_cache_eviction_lru_order", () => {
    const cache = holding(3, entry(1n), entry(2n), entry(3n));
    expect([cache.removeRef(1n), cache.removeRef(2n), cache.len()]).toEqual([true, true, 1]);
    expect(cache.contains(3n)).toBe(true);
  });

  upstream("tests_deep_pkcov::test_deep_pkcov_prefix_cache_lru_eviction", () => {
    const cache = holding(3, entry(1n, 0), entry(2n, 0), entry(3n, 0));
    cache.lookup(2n);
    cache.lookup(3n);
    expect(cache.insert(entry(4n, 0))).toBe(true);
    expect([1n, 2n, 3n, 4n].map((hash) => cache.contains(hash))).toEqual([false, true, true, true]);
    expect(cache.stats().prefixesEvicted).toBe(1);
    cache.lookup(4n);
    expect(cache.insert(entry(5n, 0))).toBe(true);
    expect([2n, 3n, 4n, 5n].map((hash) => cache.contains(hash))).toEqual([false, true, true, true]);
  });

  // Ignored upstream, where the order of a hash map decides between equally old entries; here the first inserted goes.
  upstream("tests_write::test_prefix_cache_eviction_with_zero_ref_count", () => {
    const cache = holding(2, entry(1n, 0), entry(2n, 0));
    expect([cache.insert(entry(3n)), cache.len()]).toEqual([true, 2]);
    expect([1n, 2n, 3n].map((hash) => cache.contains(hash))).toEqual([false, true, true]);
  });

  upstream("tests_cov_fragmentation_should::test_cov_prefix_cache_insert_existing_hash", () => {
    const cache = holding(10, new CachedPrefix(42n, 5, []), new CachedPrefix(42n, 10, [new PageId(0)]));
    expect(cache.len()).toBe(1);
    expect(cache.lookup(42n)).toMatchObject({ numTokens: 10, lastAccess: 1 });
    expect(cache.stats()).toMatchObject({ prefixesCached: 2, tokensSaved: 15 }); // overwriting counts twice
  });

  it("a hash that is there already is refused when the cache is full", () => {
    const cache = holding(1, entry(5n, 0));
    expect(cache.insert(entry(5n))).toBe(false);
    expect(cache.lookup(5n)!.refCount).toBe(0);
  });

  upstream("tests_fragmentation_stats::test_prefix_cache_clear", () => {
    const cache = holding(100, entry(1n), entry(2n));
    cache.lookup(1n);
    cache.clear();
    expect(cache.isEmpty()).toBe(true);
    expect(cache.stats()).toMatchObject({ hits: 1, prefixesCached: 2 }); // counters stay,
    cache.insert(entry(1n));
    expect(cache.lookup(1n)!.lastAccess).toBe(1); // the clock restarts
  });

  upstream("tests_fragmentation_stats::test_prefix_cache_utilization", () => {
    const cache = new PrefixCache(4);
    const share = [cache.utilization()];
    for (const hash of [1n, 2n]) {
      cache.insert(entry(hash));
      share.push(cache.utilization());
    }
    expect(share).toEqual([0, 0.25, 0.5]);
  });

  upstream(
    [
      "tests_deep_pkcov::test_deep_pkcov_prefix_cache_utilization_zero_capacity",
      "tests_write::test_prefix_cache_zero_capacity",
      "paged_kv_coverage::test_prefix_cache_utilization_zero_max",
    ],
    () => {
      const cache = new PrefixCache(0);
      expect([cache.utilization(), cache.insert(entry(1n)), cache.len()]).toEqual([0, false, 0]);
    },
  );

  it("a stored entry is not the caller's object", () => {
    const mine = entry(1n);
    const cache = holding(10, mine);
    mine.refCount = 9;
    expect(cache.lookup(1n)!.refCount).toBe(1);
  });

  it("refuses hashes that are no u64", () => {
    const cache = new PrefixCache();
    expect(() => cache.lookup(1 as unknown as bigint)).toThrow(TypeError);
    expect(() => cache.contains(2n ** 64n)).toThrow(RangeError);
    expect(() => new CachedPrefix(-1n, 0, [])).toThrow(RangeError);
    expect(() => new PrefixCache(-1)).toThrow(RangeError);
  });
});

describe("findLongestPrefix", () => {
  /** A cache that has these prefixes of 1, 2, 3, …. */
  const withLengths = (...lengths: number[]): PrefixCache =>
    holding(
      100,
      ...lengths.map((length) => {
        const tokens = Array.from({ length }, (_, i) => i + 1);
        return new CachedPrefix(computePrefixHash(tokens), length, []);
      }),
    );

  upstream("tests_fragmentation_stats::test_find_longest_prefix", () => {
    const cache = withLengths(3, 5);
    expect(findLongestPrefix(cache, [1, 2, 3, 4, 5, 6, 7])).toEqual({ hash: 0x0f66dcbf4f6b7d88n, length: 5 });
    expect(cache.stats()).toMatchObject({ hits: 1, misses: 0 });
  });

  upstream("tests_fragmentation_stats::test_find_longest_prefix_no_match", () => {
    const cache = withLengths(3);
    expect(findLongestPrefix(cache, [4, 5, 6])).toBeUndefined();
    expect(cache.stats()).toMatchObject({ hits: 0, misses: 0 }); // not even a miss
  });

  upstream(
    [
      "tests_deep_pkcov::test_deep_pkcov_find_longest_prefix_partial_match",
      "paged_kv_coverage::test_find_longest_prefix_partial_match",
    ],
    () => {
      const cache = withLengths(3);
      expect(findLongestPrefix(cache, [1, 2, 3, 4, 5])).toEqual({ hash: 0xd0aa6218672cf5abn, length: 3 });
      expect(cache.lookup(0xd0aa6218672cf5abn)!.lastAccess).toBe(2);
    },
  );

  upstream(
    [
      "tests_cov_fragmentation_should::test_cov_find_longest_prefix_empty_tokens",
      "paged_kv_coverage::test_find_longest_prefix_empty_tokens",
    ],
    () => {
      const cache = holding(10, new CachedPrefix(computePrefixHash([]), 0, []));
      expect(findLongestPrefix(cache, [])).toBeUndefined(); // the empty prefix is never looked for
    },
  );

  upstream("tests_cov_fragmentation_should::test_cov_find_longest_prefix_single_token", () => {
    const cache = holding(100, new CachedPrefix(computePrefixHash([42]), 1, []));
    expect(findLongestPrefix(cache, [42, 43, 44])).toEqual({ hash: 0xaf63a74c8601927dn, length: 1 });
  });
});
