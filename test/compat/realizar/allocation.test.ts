/** Allocating, extending, freeing, counting tokens, reaching pages, memory: upstream tests of `PagedKvCache`. */
import { describe, expect, it } from "vitest";
import { PagedKvCache, SeqId as Seq, type SeqId } from "../../../src/compat/realizar/index.js";
import { expectFailure, PAGE_BYTES, plain, upstream } from "./upstream.js";

/** A cache of so many pages with one sequence of so many tokens of capacity. */
function withSequence(capacity: number, pages = 100): { cache: PagedKvCache; seq: SeqId } {
  const cache = plain(pages);
  return { cache, seq: cache.allocateSequence(capacity) };
}

describe("allocateSequence", () => {
  upstream(
    [
      "inline_tests::test_paged_kv_cache_new",
      "inline_tests::test_paged_kv_cache_stats",
      "tests_seq::test_paged_kv_cache_new",
    ],
    () => {
      const cache = plain();
      expect(cache.freePageCount()).toBe(100);
      expect(Object.values(cache.stats())).toEqual(Array(9).fill(0));
    },
  );

  upstream(
    ["inline_tests::test_paged_kv_cache_allocate_sequence", "tests_seq::test_allocate_sequence"],
    () => {
      const { cache, seq } = withSequence(32);
      expect(cache.freePageCount()).toBe(98);
      expect(cache.stats()).toMatchObject({
        activeSequences: 1,
        pagesAllocated: 2,
        usedPages: 2,
        sequencesAllocated: 1,
      });
      expect(cache.pageTable(seq)!.map((id) => id.value())).toEqual([0, 1]);
      expect(cache.getSequenceTokens(seq)).toBe(0);
    },
  );

  upstream("inline_tests::test_paged_kv_cache_allocate_multiple", () => {
    const { cache, seq } = withSequence(16);
    const second = cache.allocateSequence(32);
    expect(second.value()).toBeGreaterThan(seq.value());
    expect(cache.stats().activeSequences).toBe(2);
    expect(cache.pageTable(second)!.map((id) => id.value())).toEqual([1, 2]);
  });

  const sizes: [string, number, number][] = [
    ["tests_quantized::test_deep_pkcov_allocate_zero_tokens", 0, 0],
    ["paged_kv_coverage::test_allocate_zero_tokens", 0, 0],
    ["tests_alloc_exact::test_alloc_single_token", 1, 1],
    ["tests_alloc_exact::test_alloc_exact_page_boundary", 16, 1],
    ["paged_kv_coverage::test_allocate_exactly_block_size_tokens", 16, 1],
    ["tests_alloc_exact::test_alloc_one_over_boundary", 17, 2],
    ["paged_kv_coverage::test_allocate_one_more_than_block_size", 17, 2],
    ["tests_alloc_exact::test_alloc_large_sequence_spanning_many_pages", 250, 16],
  ];
  for (const [name, tokens, pages] of sizes) {
    upstream(name, () => {
      const { cache, seq } = withSequence(tokens);
      expect(cache.pageTable(seq)).toHaveLength(pages);
      expect(cache.freePageCount()).toBe(100 - pages);
      expect(cache.stats()).toMatchObject({ pagesAllocated: pages, usedPages: pages, activeSequences: 1 });
      if (pages > 0) expect(cache.getPage(seq, 0).id.value()).toBe(0);
      cache.freeSequence(seq);
      expect(cache.freePageCount()).toBe(100);
    });
  }

  upstream("tests_cov_fragmentation_should::test_cov_tokens_to_pages_various_sizes", () => {
    const cache = plain();
    const free = [1, 16, 17, 32, 33].map((tokens) => {
      cache.allocateSequence(tokens);
      return cache.freePageCount();
    });
    expect(free).toEqual([99, 98, 96, 94, 91]);
  });

  upstream("tests_seq::test_allocate_sequence_out_of_memory", () => {
    const { cache } = withSequence(10, 1);
    expectFailure(() => cache.allocateSequence(20), { code: "OutOfMemory", needed: 2, available: 0 });
    expect(cache.stats()).toMatchObject({ sequencesAllocated: 1, usedPages: 1 });
  });

  upstream("tests_alloc_exact::test_oom_error_details", () => {
    const { cache } = withSequence(16, 2);
    expectFailure(() => cache.allocateSequence(32), { code: "OutOfMemory", needed: 2, available: 1 });
  });

  upstream("tests_alloc_exact::test_alloc_all_pages_then_free", () => {
    const cache = plain(5);
    const sequences = Array.from({ length: 5 }, () => cache.allocateSequence(16));
    expect(cache.freePageCount()).toBe(0);
    expect(cache.stats().pagesAllocated).toBe(5);
    expectFailure(() => cache.allocateSequence(1), { code: "OutOfMemory", needed: 1, available: 0 });
    for (const seq of sequences) cache.freeSequence(seq);
    expect(cache.freePageCount()).toBe(5);
    cache.allocateSequence(80);
    expect(cache.freePageCount()).toBe(0);
  });

  it("a failed allocation uses up no id", () => {
    const cache = plain(1);
    const before = new Seq().value();
    expect(() => cache.allocateSequence(17)).toThrow();
    expect(cache.allocateSequence(16).value()).toBe(before + 1);
  });
});

describe("extend", () => {
  upstream(
    [
      "tests_quantized::test_deep_pkcov_extend_sequence_not_found",
      "paged_kv_coverage::test_extend_sequence_not_found",
    ],
    () => {
      const unknown = new Seq();
      expectFailure(() => plain().extend(unknown, 32), { code: "SequenceNotFound", seqId: unknown.value() });
    },
  );

  // [capacity, tokens written, extended by, free pages of 100 afterwards]
  const growth: [string, number, number, number, number][] = [
    ["tests_quantized::test_deep_pkcov_extend_no_new_pages_needed", 16, 5, 5, 99],
    ["paged_kv_coverage::test_extend_no_new_pages_needed", 16, 5, 5, 99],
    ["tests_deep_pkcov::test_deep_pkcov_extend_sequence_exact_capacity", 16, 16, 16, 98],
    ["tests::test_cov_extend_fills_exactly_to_capacity", 16, 0, 16, 99],
    ["tests_seq::test_extend_sequence", 10, 0, 20, 98],
  ];
  for (const [name, capacity, written, more, free] of growth) {
    upstream(name, () => {
      const { cache, seq } = withSequence(capacity);
      cache.updateTokens(seq, written);
      cache.extend(seq, more);
      expect(cache.freePageCount()).toBe(free);
      expect(cache.stats()).toMatchObject({ pagesAllocated: 100 - free, usedPages: 100 - free });
      expect(cache.getSequenceTokens(seq)).toBe(written);
    });
  }

  // [pages, other sequences' tokens, written, extended by, needed, available]
  const failures: [string, number, number, number, number, number, number][] = [
    ["tests_quantized::test_deep_pkcov_extend_sequence_out_of_memory", 2, 0, 0, 48, 2, 1],
    ["paged_kv_coverage::test_extend_triggers_oom", 2, 16, 16, 16, 1, 0],
    ["tests_alloc_exact::test_extend_oom", 2, 16, 16, 32, 2, 0],
  ];
  for (const [name, pages, others, written, more, needed, available] of failures) {
    upstream(name, () => {
      const { cache, seq } = withSequence(16, pages);
      cache.updateTokens(seq, written);
      cache.allocateSequence(others);
      const before = cache.stats();
      expectFailure(() => cache.extend(seq, more), { code: "OutOfMemory", needed, available });
      expect(cache.stats()).toEqual(before);
      expect(cache.pageTable(seq)).toHaveLength(1);
    });
  }
});

describe("freeSequence", () => {
  upstream(["inline_tests::test_paged_kv_cache_free_sequence", "tests_seq::test_free_sequence"], () => {
    const { cache, seq } = withSequence(32);
    expect(cache.freePageCount()).toBe(98);
    cache.freeSequence(seq);
    expect(cache.freePageCount()).toBe(100);
    expect(cache.stats()).toMatchObject({
      activeSequences: 0,
      usedPages: 0,
      pagesFreed: 2,
      sequencesFreed: 1,
    });
  });

  upstream(
    [
      "tests_quantized::test_deep_pkcov_free_nonexistent_sequence",
      "paged_kv_coverage::test_free_sequence_non_existent",
    ],
    () => {
      const { cache, seq } = withSequence(32);
      cache.freeSequence(new Seq());
      expect(cache.freePageCount()).toBe(98);
      expect(cache.stats().sequencesFreed).toBe(0);
      cache.freeSequence(seq);
      cache.freeSequence(seq);
      expect(cache.stats().sequencesFreed).toBe(1);
    },
  );

  upstream("paged_kv_coverage::test_free_multiple_sequences_in_order", () => {
    const cache = plain();
    const [a, b, c] = [16, 16, 16].map((n) => cache.allocateSequence(n)) as [SeqId, SeqId, SeqId];
    const free = [b, a, c].map((seq) => {
      cache.freeSequence(seq);
      return cache.freePageCount();
    });
    expect(free).toEqual([98, 99, 100]);
  });

  upstream("tests::test_cov_free_sequence_stats_update", () => {
    const cache = plain();
    const [a, b] = [cache.allocateSequence(32), cache.allocateSequence(16)];
    expect(cache.stats()).toMatchObject({ sequencesAllocated: 2, activeSequences: 2, pagesAllocated: 3 });
    cache.freeSequence(a);
    expect(cache.stats()).toMatchObject({
      sequencesFreed: 1,
      activeSequences: 1,
      pagesFreed: 2,
      usedPages: 1,
    });
    cache.freeSequence(b);
    expect(cache.stats()).toMatchObject({
      sequencesFreed: 2,
      activeSequences: 0,
      pagesFreed: 3,
      usedPages: 0,
    });
  });

  upstream("tests_cov_fragmentation_should::test_cov_is_page_free_verification", () => {
    const { cache, seq } = withSequence(16, 10);
    cache.freeSequence(seq);
    expect(cache.freePageCount()).toBe(10);
    expect(cache.allocateBlocks(10).map((id) => id.value())).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 0]);
  });
});

describe("tokens", () => {
  upstream(
    [
      "tests_quantized::test_deep_pkcov_update_tokens_not_found",
      "paged_kv_coverage::test_update_tokens_not_found",
      "tests_seq::test_sequence_not_found",
      "tests_alloc_exact::test_sequence_not_found_in_get_tokens",
    ],
    () => {
      const unknown = new Seq();
      const failure = { code: "SequenceNotFound", seqId: unknown.value() } as const;
      expectFailure(() => plain().updateTokens(unknown, 10), failure);
      expectFailure(() => plain().getSequenceTokens(unknown), failure);
    },
  );

  // [capacity, then each update and what it reports]
  const updates: [string, number, [number, number][]][] = [
    ["tests_quantized::test_deep_pkcov_update_tokens_spans_multiple_pages", 48, [[48, 48]]],
    ["paged_kv_coverage::test_update_tokens_multiple_pages", 48, [[48, 48]]],
    ["tests_quantized::test_deep_pkcov_update_tokens_partial_fill", 32, [[5, 5]]],
    ["tests_seq::test_get_sequence_tokens", 10, [[10, 10]]],
    [
      "tests_cov_fragmentation_should::test_cov_update_tokens_exact_block_boundary",
      32,
      [
        [16, 16],
        [32, 32],
      ],
    ],
  ];
  for (const [name, capacity, steps] of updates) {
    upstream(name, () => {
      const { cache, seq } = withSequence(capacity);
      for (const [tokens, reported] of steps) {
        cache.updateTokens(seq, tokens);
        expect(cache.getSequenceTokens(seq)).toBe(reported);
      }
    });
  }
});

describe("pages", () => {
  upstream(
    [
      "tests_quantized::test_deep_pkcov_get_page_sequence_not_found",
      "tests_quantized::test_deep_pkcov_get_page_mut_sequence_not_found",
      "paged_kv_coverage::test_get_page_mut_sequence_not_found",
    ],
    () => {
      const unknown = new Seq();
      const failure = { code: "SequenceNotFound", seqId: unknown.value() } as const;
      expectFailure(() => plain().getPage(unknown, 0), failure);
      expectFailure(() => plain().getPageMut(unknown, 0), failure);
    },
  );

  const outside: [string, number, number][] = [
    ["tests_quantized::test_deep_pkcov_get_page_mut_invalid_page_access", 100, 6],
    ["tests_seq::test_get_page_invalid", 100, 6],
    ["paged_kv_coverage::test_get_page_mut_invalid_offset", 32, 2],
    ["tests_alloc_exact::test_invalid_page_access_deep_position", 1000, 62],
  ];
  for (const [name, offset, pageId] of outside) {
    upstream(name, () => {
      const { cache, seq } = withSequence(16);
      expectFailure(() => cache.getPage(seq, offset), { code: "InvalidPageAccess", pageId, offset });
      expectFailure(() => cache.getPageMut(seq, offset), { code: "InvalidPageAccess", pageId, offset });
    });
  }

  upstream("tests_seq::test_get_page", () => {
    const { cache, seq } = withSequence(32);
    const [first, second] = cache.pageTable(seq)!;
    expect(cache.getPage(seq, 0).id.equals(first!)).toBe(true);
    expect(cache.getPage(seq, 15).id.equals(first!)).toBe(true);
    expect(cache.getPage(seq, 16).id.equals(second!)).toBe(true);
  });
});

describe("memory", () => {
  upstream(["inline_tests::test_paged_kv_cache_memory_usage_empty", "tests_seq::test_memory_usage"], () => {
    const cache = plain();
    expect(cache.memoryUsage()).toBe(0);
    cache.allocateSequence(16);
    expect(cache.memoryUsage()).toBe(PAGE_BYTES);
  });

  upstream("tests_alloc_exact::test_memory_usage_increases_with_allocation", () => {
    const { cache } = withSequence(16);
    cache.allocateSequence(32);
    expect(cache.memoryUsage()).toBe(3 * PAGE_BYTES);
  });

  upstream("tests_seq::test_total_capacity", () => expect(plain().totalCapacity()).toBe(6_553_600));

  upstream("tests_cov_fragmentation_should::test_cov_memory_usage_multiple_sequences", () => {
    const cache = plain();
    for (let i = 0; i < 5; i++) cache.allocateSequence(32);
    expect(cache.memoryUsage() * 10).toBe(cache.totalCapacity());
  });

  upstream(["tests_seq::test_utilization", "tests_alloc_exact::test_utilization_percentage"], () => {
    const cache = plain(10);
    const percent = [cache.utilization()];
    for (const tokens of [16, 32, 112]) {
      cache.allocateSequence(tokens);
      percent.push(cache.utilization());
    }
    expect(percent).toEqual([0, 10, Math.fround(Math.fround(0.3) * 100), 100]);
    const { cache: hundred } = withSequence(160);
    expect(hundred.utilization()).toBe(10);
  });

  upstream(
    [
      "tests_quantized::test_deep_pkcov_utilization_zero_pages",
      "paged_kv_coverage::test_utilization_zero_pages",
    ],
    () => {
      expect(plain(0).utilization()).toBe(0);
      expect(plain(0).freePageCount()).toBe(0);
    },
  );

  upstream("paged_kv_coverage::test_utilization_full_cache", () => {
    const cache = plain(10);
    for (let i = 0; i < 10; i++) cache.allocateSequence(16);
    expect(cache.utilization()).toBe(100);
  });
});

describe("what the upstream tests leave out", () => {
  it("slot and its two errors", () => {
    const { cache, seq } = withSequence(16);
    const other = cache.allocateSequence(32);
    expect([cache.slot(seq, 0), cache.slot(seq, 15), cache.slot(other, 17)]).toEqual([0, 15, 33]);
    const [seqId, unknown] = [seq.value(), new Seq()];
    expectFailure(() => cache.slot(seq, 16), { code: "OutOfBounds", seqId, position: 16, allocated: 16 });
    expectFailure(() => cache.slot(unknown, 0), { code: "UnknownSequence", seqId: unknown.value() });
  });

  it("allocateBlocks takes pages that nothing counts as allocated and nothing gives back", () => {
    const cache = plain(4);
    expect(cache.allocateBlocks(2).map((id) => id.value())).toEqual([0, 1]);
    expect(cache.stats()).toMatchObject({ usedPages: 2, pagesAllocated: 0 });
    expect(cache.fragmentationStats().largestFreeRegion).toBe(4);
    expectFailure(() => cache.allocateBlocks(3), { code: "OutOfPages", requested: 3, available: 2 });
  });

  it("shrinking reports too many tokens, and tokens beyond the capacity vanish", () => {
    const { cache, seq } = withSequence(48);
    const report = [48, 5, 48, 0].map((tokens) => {
      cache.updateTokens(seq, tokens);
      return cache.getSequenceTokens(seq);
    });
    expect(report).toEqual([48, 37, 48, 32]);
    const small = withSequence(16);
    small.cache.updateTokens(small.seq, 100);
    expect(small.cache.getSequenceTokens(small.seq)).toBe(16);
  });

  it("a page's new owner reads what the former one wrote", () => {
    const { cache, seq } = withSequence(16, 1);
    cache.getPageMut(seq, 0).keys[3] = 7;
    cache.freeSequence(seq);
    expect(cache.getPage(cache.allocateSequence(16), 0).keys[3]).toBe(7);
  });

  it("pages of no tokens: a RangeError where the crate panics", () => {
    const cache = new PagedKvCache(2, 0, 1, 2);
    expect(() => cache.allocateSequence(0)).toThrow(RangeError);
    expect(() => cache.slot(new Seq(), 0)).toThrow(RangeError);
    expect(cache.stats().sequencesAllocated).toBe(0);
  });

  it("refuses arguments of a wrong type or value", () => {
    const { cache, seq } = withSequence(16);
    expect(() => cache.allocateSequence(-1)).toThrow(RangeError);
    expect(() => cache.extend(seq, 1.5)).toThrow(RangeError);
    expect(() => cache.getPage(seq, "0" as unknown as number)).toThrow(TypeError);
    expect(() => cache.freeSequence(seq.value() as unknown as SeqId)).toThrow(TypeError);
    expect(() => new PagedKvCache(1, 16, -8, 64)).toThrow(RangeError);
  });
});
