/** Ids, plain pages, errors and counters: upstream tests about single values. */
import { describe, expect, it } from "vitest";
import {
  FragmentationStats,
  KvPage,
  PagedCacheStats,
  PageId,
  PrefixCacheStats,
  RealizarCacheError,
  SeqId,
} from "../../../src/compat/realizar/index.js";
import { upstream } from "./upstream.js";

const roundTrip = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe("SeqId", () => {
  upstream(
    [
      "inline_tests::test_seq_id_new",
      "inline_tests::test_seq_id_default",
      "inline_tests::test_seq_id_value",
      "tests_seq::test_seq_id_new",
      "tests_seq::test_seq_id_default",
      "tests_deep_pkcov::test_deep_pkcov_seq_id_value",
    ],
    () => {
      const value = new SeqId().value();
      expect(Number.isSafeInteger(value)).toBe(true);
      expect(new SeqId().value()).toBe(value + 1);
    },
  );

  upstream(
    [
      "inline_tests::test_seq_id_equality",
      "inline_tests::test_seq_id_clone",
      "tests::test_cov_seq_id_equality",
    ],
    () => {
      const id = new SeqId();
      expect(id.equals(id)).toBe(true);
      expect(id.equals(new SeqId(id.value()))).toBe(true);
      expect(id.equals(new SeqId())).toBe(false);
    },
  );

  upstream("inline_tests::test_seq_id_hash", () => {
    expect(new Set([new SeqId().value(), new SeqId().value()]).size).toBe(2);
  });

  upstream("tests_write::test_seq_id_monotonic", () => {
    let previous = new SeqId().value();
    for (let i = 0; i < 100; i++) {
      const current = new SeqId().value();
      expect(current).toBeGreaterThan(previous);
      previous = current;
    }
  });

  upstream("paged_kv_coverage::test_seq_id_uniqueness_across_many", () => {
    expect(new Set(Array.from({ length: 1000 }, () => new SeqId().value())).size).toBe(1000);
  });

  upstream("tests_write::test_seq_id_serialization", () => {
    const id = new SeqId();
    expect(JSON.stringify(id)).toBe(String(id.value()));
    expect(SeqId.fromJSON(roundTrip(id)).equals(id)).toBe(true);
    expect(new SeqId().value()).toBe(id.value() + 1); // reading one does not use one up
  });
});

describe("PageId", () => {
  upstream(
    ["inline_tests::test_page_id_new", "inline_tests::test_page_id_value", "tests_seq::test_page_id_new"],
    () => {
      expect(new PageId(42).value()).toBe(42);
      expect(new PageId(100).value()).toBe(100);
    },
  );

  upstream(
    [
      "inline_tests::test_page_id_equality",
      "inline_tests::test_page_id_clone",
      "tests::test_cov_page_id_equality",
      "paged_kv_coverage::test_page_id_equality",
    ],
    () => {
      expect(new PageId(42).equals(new PageId(42))).toBe(true);
      expect(new PageId(42).equals(new PageId(43))).toBe(false);
    },
  );

  upstream("inline_tests::test_page_id_hash", () => {
    expect(new Set([1, 2, 1].map((n) => new PageId(n).value())).size).toBe(2);
  });

  upstream("tests_write::test_page_id_serialization", () => {
    expect(JSON.stringify(new PageId(42))).toBe("42");
    expect(PageId.fromJSON(roundTrip(new PageId(42))).value()).toBe(42);
  });

  it("refuses what is no index", () => {
    for (const value of [-1, 1.5, Number.NaN, 2 ** 53]) expect(() => new PageId(value)).toThrow(RangeError);
    expect(() => PageId.fromJSON("42")).toThrow(TypeError);
    expect(() => SeqId.fromJSON(null)).toThrow(TypeError);
  });
});

describe("KvPage", () => {
  const page = (heads = 8): KvPage => new KvPage(new PageId(0), 16, heads, 64);

  upstream(["inline_tests::test_kv_page_new", "tests_seq::test_kv_page_new"], () => {
    for (const [heads, size] of [
      [4, 4096],
      [8, 8192],
    ] as const) {
      const { id, numTokens, refCount, keys, values } = page(heads);
      expect([id.value(), numTokens, refCount]).toEqual([0, 0, 1]);
      expect(keys).toEqual(new Float32Array(size));
      expect(values).toEqual(new Float32Array(size));
    }
  });

  upstream(
    [
      "inline_tests::test_kv_page_is_full",
      "inline_tests::test_kv_page_remaining_capacity",
      "tests::test_cov_kv_page_full_and_capacity",
      "tests_seq::test_kv_page_is_full",
      "tests_seq::test_kv_page_remaining_capacity",
      "tests_deep_pkcov::test_deep_pkcov_kv_page_remaining_capacity_overflow",
      "paged_kv_coverage::test_kv_page_remaining_capacity_overflow_safe",
    ],
    () => {
      const p = page();
      for (let tokens = 0; tokens <= 20; tokens++) {
        p.numTokens = tokens;
        expect(p.isFull(16)).toBe(tokens >= 16);
        expect(p.remainingCapacity(16)).toBe(tokens >= 16 ? 0 : 16 - tokens);
      }
    },
  );

  upstream(["inline_tests::test_kv_page_is_shared", "tests_seq::test_kv_page_is_shared"], () => {
    const p = page();
    const shared = [1, 2, 1, 0].map((count) => {
      p.refCount = count;
      return p.isShared();
    });
    expect(shared).toEqual([false, true, false, false]);
  });

  upstream("tests_write::test_kv_page_data_clone", () => {
    const p = page();
    p.keys[0] = 1;
    p.values[0] = 2;
    p.numTokens = 5;
    p.refCount = 2;
    const copy = p.clone();
    p.keys[0] = 9;
    expect([copy.id.value(), copy.keys[0], copy.values[0], copy.numTokens, copy.refCount]).toEqual([
      0, 1, 2, 5, 2,
    ]);
    expect(copy.keys.length).toBe(8192);
  });
});

describe("RealizarCacheError", () => {
  upstream(["inline_tests::test_error_out_of_memory", "tests_seq::test_paged_cache_error_display"], () => {
    const error = new RealizarCacheError({ code: "OutOfMemory", needed: 10, available: 5 });
    expect(error).toMatchObject({ code: "OutOfMemory", message: "Out of memory: need 10 pages, have 5" });
  });
  upstream("tests_cov_fragmentation_should::test_cov_error_out_of_memory_fields", () => {
    const { message } = new RealizarCacheError({ code: "OutOfMemory", needed: 100, available: 5 });
    expect(message).toBe("Out of memory: need 100 pages, have 5");
  });
  upstream("inline_tests::test_error_sequence_not_found", () => {
    const { message } = new RealizarCacheError({ code: "SequenceNotFound", seqId: 42 });
    expect(message).toBe("Sequence not found: 42");
  });
  upstream(
    [
      "inline_tests::test_error_invalid_page_access",
      "tests_cov_fragmentation_should::test_cov_error_invalid_page_access_fields",
    ],
    () => {
      const { message } = new RealizarCacheError({ code: "InvalidPageAccess", pageId: 42, offset: 999 });
      expect(message).toBe("Invalid page access: page 42 at offset 999");
    },
  );
  upstream(
    [
      "inline_tests::test_error_page_table_corruption",
      "tests_cov_fragmentation_should::test_cov_error_page_table_corruption_field",
      "paged_kv_coverage::test_page_table_corruption_error",
    ],
    () => {
      const { message } = new RealizarCacheError({ code: "PageTableCorruption", seqId: 42 });
      expect(message).toBe("Page table corruption for sequence 42");
    },
  );
  it("says the three variants that only slot and allocateBlocks raise", () => {
    const of = (...args: ConstructorParameters<typeof RealizarCacheError>) =>
      new RealizarCacheError(...args).message;
    expect(of({ code: "UnknownSequence", seqId: 3 })).toBe("Unknown sequence: SeqId(3)");
    expect(of({ code: "OutOfBounds", seqId: 3, position: 70, allocated: 64 })).toBe(
      "Out of bounds: seq SeqId(3) pos 70, allocated 64",
    );
    expect(of({ code: "OutOfPages", requested: 5, available: 4 })).toBe("Out of pages: need 5, have 4");
  });
});

describe("counters", () => {
  const cacheStats = {
    sequencesAllocated: 10,
    sequencesFreed: 5,
    pagesAllocated: 100,
    pagesFreed: 50,
    activeSequences: 6,
    usedPages: 51,
    cowOperations: 3,
    defragOperations: 2,
    pagesMoved: 15,
  };
  const fragmentation = {
    holes: 5,
    wastedCapacity: 100,
    fragmentationRatio: 0.25,
    largestFreeRegion: 50,
    avgTokensPerPage: 12.5,
  };
  const prefix = { hits: 100, misses: 50, prefixesCached: 10, prefixesEvicted: 2, tokensSaved: 500 };

  upstream(
    [
      "inline_tests::test_paged_cache_stats_default",
      "tests_seq::test_paged_cache_stats_default",
      "tests_write::test_paged_cache_stats_default",
    ],
    () => {
      expect({ ...new PagedCacheStats() }).toEqual(
        Object.fromEntries(Object.keys(cacheStats).map((name) => [name, 0])),
      );
    },
  );

  upstream(
    ["inline_tests::test_paged_cache_stats_clone", "paged_kv_coverage::test_paged_cache_stats_clone"],
    () => {
      const stats = new PagedCacheStats(cacheStats);
      const copy = stats.clone();
      stats.usedPages = 0;
      expect({ ...copy }).toEqual(cacheStats);
    },
  );

  upstream("tests_seq::test_stats_serialization", () => {
    const json = roundTrip(new PagedCacheStats(cacheStats));
    expect(json).toEqual({
      sequences_allocated: 10,
      sequences_freed: 5,
      pages_allocated: 100,
      pages_freed: 50,
      active_sequences: 6,
      used_pages: 51,
      cow_operations: 3,
      defrag_operations: 2,
      pages_moved: 15,
    });
    expect({ ...PagedCacheStats.fromJSON(json) }).toEqual(cacheStats);
  });

  upstream(
    [
      "tests_deep_pkcov::test_deep_pkcov_fragmentation_stats_default",
      "tests_write::test_fragmentation_stats_default",
      "paged_kv_coverage::test_fragmentation_stats_default",
    ],
    () => {
      expect({ ...new FragmentationStats() }).toEqual(
        Object.fromEntries(Object.keys(fragmentation).map((name) => [name, 0])),
      );
    },
  );

  upstream("paged_kv_coverage::test_fragmentation_stats_clone", () => {
    const stats = new FragmentationStats(fragmentation);
    const copy = stats.clone();
    stats.holes = 0;
    expect({ ...copy }).toEqual(fragmentation);
  });

  upstream("tests_fragmentation_stats::test_fragmentation_stats_serialization", () => {
    const json = roundTrip(new FragmentationStats(fragmentation));
    expect(json).toEqual({
      holes: 5,
      wasted_capacity: 100,
      fragmentation_ratio: 0.25,
      largest_free_region: 50,
      avg_tokens_per_page: 12.5,
    });
    expect({ ...FragmentationStats.fromJSON(json) }).toEqual(fragmentation);
    // serde writes f32 with fewer digits: they are read as the same f32.
    const third = { ...(json as object), fragmentation_ratio: 0.33333334 };
    expect(FragmentationStats.fromJSON(third).fragmentationRatio).toBe(Math.fround(1 / 3));
  });

  upstream("paged_kv_coverage::test_prefix_cache_stats_clone", () => {
    const stats = new PrefixCacheStats(prefix);
    const copy = stats.clone();
    stats.hits = 0;
    expect({ ...copy }).toEqual(prefix);
  });

  upstream("tests_fragmentation_stats::test_prefix_cache_stats_serialization", () => {
    const json = roundTrip(new PrefixCacheStats(prefix));
    expect(json).toEqual({
      hits: 100,
      misses: 50,
      prefixes_cached: 10,
      prefixes_evicted: 2,
      tokens_saved: 500,
    });
    expect({ ...PrefixCacheStats.fromJSON(json) }).toEqual(prefix);
  });

  upstream(
    [
      "tests::test_cov_prefix_cache_stats_various_hit_rates",
      "tests_fragmentation_stats::test_prefix_cache_stats_hit_rate_zero",
    ],
    () => {
      const rate = (hits: number, misses: number) => new PrefixCacheStats({ hits, misses }).hitRate();
      expect([rate(100, 0), rate(50, 50), rate(0, 100), rate(0, 0), rate(1, 3)]).toEqual([
        1, 0.5, 0, 0, 0.25,
      ]);
    },
  );

  it("JSON with a field missing, of another type or no count is refused", () => {
    const json = roundTrip(new PrefixCacheStats(prefix)) as Record<string, unknown>;
    expect(() => PrefixCacheStats.fromJSON({ ...json, hits: undefined })).toThrow(TypeError);
    expect(() => PrefixCacheStats.fromJSON({ ...json, hits: "1" })).toThrow(TypeError);
    expect(() => PrefixCacheStats.fromJSON({ ...json, hits: -1 })).toThrow(RangeError);
    expect(() => PrefixCacheStats.fromJSON([])).toThrow(TypeError);
    expect(PrefixCacheStats.fromJSON({ ...json, more: 1 }).hits).toBe(100);
  });
});
