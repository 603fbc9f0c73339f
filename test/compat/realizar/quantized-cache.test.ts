/** `QuantizedPagedKvCache`: upstream tests. */
import { describe, expect, it } from "vitest";
import { SeqId } from "../../../src/compat/realizar/index.js";
import { expectFailure, floats, PAGE_BYTES, quantized, TOKEN, upstream, worst } from "./upstream.js";

const TYPES = ["FP32", "Q8", "Q4"] as const;

describe("sequences", () => {
  upstream("tests_quantized::test_quantized_paged_kv_cache_new", () => {
    for (const type of TYPES) {
      const cache = quantized(type);
      expect([cache.quantType(), cache.freePageCount(), cache.totalPages()]).toEqual([type, 100, 100]);
      expect(Object.values(cache.stats())).toEqual(Array(9).fill(0));
    }
  });

  upstream("tests_quantized::test_quantized_paged_kv_cache_allocate", () => {
    const cache = quantized("Q8");
    const seq = cache.allocateSequence(32);
    expect(cache.freePageCount()).toBe(98);
    expect(cache.stats()).toMatchObject({
      activeSequences: 1,
      sequencesAllocated: 1,
      pagesAllocated: 2,
      usedPages: 2,
    });
    expect(cache.pageTable(seq)!.map((id) => id.value())).toEqual([0, 1]);
    expect(cache.allocateSequence(1).value()).toBe(seq.value() + 1);
  });

  upstream("tests_quantized::test_quantized_paged_kv_cache_free", () => {
    const cache = quantized("Q4");
    const seq = cache.allocateSequence(16);
    expect(cache.freePageCount()).toBe(99);
    cache.freeSequence(seq);
    cache.freeSequence(seq);
    expect(cache.freePageCount()).toBe(100);
    expect(cache.stats()).toMatchObject({ activeSequences: 0, sequencesFreed: 1 });
  });

  upstream("tests::test_cov_quantized_free_sequence_stats", () => {
    const cache = quantized("Q4");
    const seq = cache.allocateSequence(32);
    expect(cache.stats()).toMatchObject({ activeSequences: 1, usedPages: 2, pagesFreed: 0 });
    cache.freeSequence(seq);
    expect(cache.stats()).toMatchObject({ activeSequences: 0, usedPages: 0, pagesFreed: 2 });
  });

  upstream("tests_quantized::test_quantized_paged_kv_cache_oom", () => {
    const cache = quantized("Q8", 1);
    cache.allocateSequence(16);
    expectFailure(() => cache.allocateSequence(16), { code: "OutOfMemory", needed: 1, available: 0 });
    expect(cache.stats().sequencesAllocated).toBe(1);
  });

  upstream(
    [
      "tests_deep_pkcov::test_deep_pkcov_quantized_paged_cache_total_pages",
      "tests_write::test_quantized_cache_total_pages",
      "paged_kv_coverage::test_quantized_paged_cache_total_pages",
    ],
    () => expect([quantized("Q8", 50).totalPages(), quantized("Q4", 50).totalPages()]).toEqual([50, 50]),
  );
});

describe("pages", () => {
  upstream("tests_quantized::test_quantized_paged_kv_cache_get_page", () => {
    const cache = quantized("Q8");
    const seq = cache.allocateSequence(32);
    const pages = [0, 15, 16, 31].map((position) => cache.getPage(seq, position));
    expect(pages.map((page) => page.id.value())).toEqual([0, 0, 1, 1]);
    expect(pages.every((page) => page.quantType() === "Q8" && page.refCount === 1)).toBe(true);
  });

  upstream("tests_quantized::test_quantized_paged_kv_cache_get_page_mut", () => {
    const cache = quantized("Q8");
    const seq = cache.allocateSequence(16);
    cache.getPageMut(seq, 0).numTokens = 8;
    expect(cache.getPage(seq, 0).numTokens).toBe(8);
  });

  upstream(
    [
      "tests_deep_pkcov::test_deep_pkcov_quantized_paged_cache_sequence_not_found",
      "tests_cov_fragmentation_should::test_cov_quantized_cache_get_page_mut_not_found",
      "tests_alloc_exact::test_quantized_cache_sequence_not_found",
      "paged_kv_coverage::test_quantized_paged_cache_get_page_not_found",
    ],
    () => {
      const cache = quantized("Q4");
      const unknown = new SeqId();
      const failure = { code: "SequenceNotFound", seqId: unknown.value() } as const;
      expectFailure(() => cache.getPage(unknown, 0), failure);
      expectFailure(() => cache.getPageMut(unknown, 0), failure);
    },
  );

  const outside: [string, number, number][] = [
    ["tests_deep_pkcov::test_deep_pkcov_quantized_paged_cache_invalid_page", 100, 6],
    ["tests_deep_pkcov::test_deep_pkcov_quantized_paged_cache_get_page_mut_invalid", 50, 3],
    ["tests_alloc_exact::test_quantized_cache_invalid_page_access", 100, 6],
    ["paged_kv_coverage::test_quantized_paged_cache_get_page_invalid_offset", 100, 6],
  ];
  for (const [name, offset, pageId] of outside) {
    upstream(name, () => {
      const cache = quantized("Q8");
      const seq = cache.allocateSequence(16);
      expectFailure(() => cache.getPage(seq, offset), { code: "InvalidPageAccess", pageId, offset });
      expectFailure(() => cache.getPageMut(seq, offset), { code: "InvalidPageAccess", pageId, offset });
    });
  }

  upstream("tests_cov_fragmentation_should::test_cov_quantized_cache_fp32_operations", () => {
    const cache = quantized("FP32");
    const seq = cache.allocateSequence(32);
    const keys = floats(TOKEN, (i) => i);
    cache.getPageMut(seq, 0).writeKeys(0, keys);
    expect(cache.getPage(seq, 0).readKeys(0)).toEqual(keys);
    expect(cache.getPage(seq, 16).readKeys(0)).toEqual(new Float32Array(TOKEN));
  });

  upstream("tests_cov_fragmentation_should::test_cov_quantized_cache_q4_operations", () => {
    const cache = quantized("Q4");
    const seq = cache.allocateSequence(16);
    const values = floats(TOKEN, (i) => (i - 256) * 0.01);
    cache.getPageMut(seq, 0).writeValues(0, values);
    const error = worst(values, cache.getPage(seq, 0).readValues(0));
    expect(error).toBeLessThan(2.56 / 14 + 1e-6); // half a step of the largest block
    expect(error).toBeGreaterThan(0.15);
  });

  it("a former owner's values take part in the scale", () => {
    for (const type of ["Q8", "Q4"] as const) {
      const cache = quantized(type, 1);
      const first = cache.allocateSequence(16);
      cache.getPageMut(first, 0).writeKeys(
        0,
        floats(TOKEN, () => 1000),
      );
      cache.freeSequence(first);
      const page = cache.getPageMut(cache.allocateSequence(16), 0);
      page.writeKeys(0, [0.5]);
      expect(Array.from(page.readKeys(0).subarray(0, 2), Math.round)).toEqual([0, 1000]);
    }
  });
});

describe("memory", () => {
  upstream("tests_quantized::test_quantized_paged_kv_cache_memory_savings", () => {
    const cache = quantized("Q8");
    cache.allocateSequence(16);
    expect(cache.memorySavings()).toBe(0.28125);
  });

  upstream("tests_quantized::test_quantized_paged_kv_cache_q4_savings", () => {
    const cache = quantized("Q4");
    cache.allocateSequence(16);
    expect(cache.memorySavings()).toBe(0.15625);
  });

  upstream(
    [
      "tests_deep_pkcov::test_deep_pkcov_quantized_paged_cache_memory_savings_empty",
      "tests_alloc_exact::test_memory_savings_empty_cache",
      "paged_kv_coverage::test_quantized_paged_cache_memory_savings_empty",
    ],
    () => expect(TYPES.map((type) => quantized(type).memorySavings())).toEqual([1, 1, 1]),
  );

  upstream("tests_alloc_exact::test_fp32_equivalent_memory_calculation", () => {
    const cache = quantized("Q8");
    cache.allocateSequence(32);
    expect([cache.fp32EquivalentMemory(), cache.memoryUsage()]).toEqual([2 * PAGE_BYTES, 2 * 18_432]);
  });

  upstream("tests_cov_fragmentation_should::test_cov_quantized_memory_usage_after_free", () => {
    const cache = quantized("Q8");
    const sequences = [cache.allocateSequence(16), cache.allocateSequence(16)];
    const usage = [cache.memoryUsage()];
    for (const seq of sequences) {
      cache.freeSequence(seq);
      usage.push(cache.memoryUsage());
    }
    expect(usage).toEqual([36_864, 18_432, 0]);
  });
});
