/** Forks, shared pages and copies: upstream tests, and the counters of a whole life. */
import { describe, expect, it } from "vitest";
import { type PagedKvCache, SeqId } from "../../../src/compat/realizar/index.js";
import { expectFailure, plain, upstream } from "./upstream.js";

/** A parent of one page with `tokens` tokens, and its fork. */
function family(tokens: number, pages = 100): { cache: PagedKvCache; parent: SeqId; child: SeqId } {
  const cache = plain(pages);
  const parent = cache.allocateSequence(16);
  cache.updateTokens(parent, tokens);
  return { cache, parent, child: cache.forkSequence(parent) };
}

describe("fork", () => {
  upstream("tests_seq::test_fork_sequence", () => {
    const { cache, parent, child } = family(0);
    expect(cache.stats()).toMatchObject({
      activeSequences: 2,
      cowOperations: 1,
      pagesAllocated: 1,
      usedPages: 1,
    });
    expect(child.equals(parent)).toBe(false);
    expect(cache.getPage(child, 0)).toBe(cache.getPage(parent, 0));
    expect(cache.getPage(child, 0).refCount).toBe(2);
  });

  upstream(
    ["tests_quantized::test_deep_pkcov_fork_sequence_not_found", "paged_kv_coverage::test_fork_not_found"],
    () => {
      const cache = plain();
      const unknown = new SeqId();
      expectFailure(() => cache.forkSequence(unknown), { code: "SequenceNotFound", seqId: unknown.value() });
      expect(cache.stats().cowOperations).toBe(0);
    },
  );

  upstream("tests_quantized::test_deep_pkcov_free_shared_sequence", () => {
    const { cache, parent, child } = family(0);
    cache.freeSequence(parent);
    expect(cache.freePageCount()).toBe(99);
    cache.freeSequence(child);
    expect(cache.freePageCount()).toBe(100);
  });

  upstream("paged_kv_coverage::test_fork_then_free_parent", () => {
    const { cache, parent, child } = family(0);
    cache.freeSequence(parent);
    expect(cache.getPage(child, 0).id.value()).toBe(0);
    expect(cache.getPage(child, 0).refCount).toBe(1);
  });

  upstream(
    ["paged_kv_coverage::test_fork_then_free_child", "tests_alloc_exact::test_cow_ref_count_after_free"],
    () => {
      const { cache, parent, child } = family(16);
      cache.freeSequence(child);
      expect(cache.stats().activeSequences).toBe(1);
      expect(cache.getPage(parent, 0).refCount).toBe(1);
      expect(cache.getSequenceTokens(parent)).toBe(16);
    },
  );

  it("of a sequence without pages counts as a copy-on-write operation too", () => {
    const cache = plain();
    cache.forkSequence(cache.allocateSequence(0));
    expect(cache.stats()).toMatchObject({ cowOperations: 1, usedPages: 0, sequencesAllocated: 2 });
  });
});

describe("copy on write", () => {
  upstream("tests_seq::test_cow_on_write", () => {
    const { cache, parent, child } = family(16);
    const page = cache.getPageMut(child, 0);
    expect(cache.stats()).toMatchObject({ cowOperations: 2, pagesAllocated: 2, usedPages: 2 });
    expect([page.id.value(), page.numTokens, page.refCount]).toEqual([1, 16, 1]);
    expect(cache.getPage(parent, 0)).toMatchObject({ refCount: 1, numTokens: 16 });
  });

  upstream(
    [
      "paged_kv_coverage::test_cow_triggers_on_shared_page_write",
      "tests_deep_pkcov::test_cov_cow_actual_data_copy",
      "tests_alloc_exact::test_cow_preserves_data",
    ],
    () => {
      const cache = plain();
      const parent = cache.allocateSequence(16);
      cache.updateTokens(parent, 10);
      const page = cache.getPageMut(parent, 0);
      page.keys[0] = 123;
      page.values[0] = 456;
      const child = cache.forkSequence(parent);
      const before = cache.stats().cowOperations;
      cache.getPageMut(child, 0).keys[0] = 789;
      expect(cache.stats().cowOperations).toBe(before + 1);
      expect([cache.getPage(parent, 0).keys[0], cache.getPage(parent, 0).values[0]]).toEqual([123, 456]);
      expect([cache.getPage(child, 0).keys[0], cache.getPage(child, 0).values[0]]).toEqual([789, 456]);
    },
  );

  upstream("tests_deep_pkcov::test_cov_cow_non_shared_page", () => {
    const cache = plain();
    const seq = cache.allocateSequence(16);
    const before = cache.stats();
    cache.getPageMut(seq, 0).keys[0] = 42;
    expect(cache.stats()).toEqual(before);
    expect(cache.getPage(seq, 0).keys[0]).toBe(42);
  });

  upstream("tests_quantized::test_deep_pkcov_cow_multiple_forks", () => {
    const { cache, parent, child } = family(16);
    const second = cache.forkSequence(parent);
    expect(cache.stats().cowOperations).toBe(2);
    cache.getPageMut(child, 0);
    expect(cache.stats().cowOperations).toBe(3);
    expect([parent, child, second].map((seq) => cache.getPage(seq, 0).refCount)).toEqual([2, 1, 2]);
  });

  upstream("tests_alloc_exact::test_cow_multiple_forks", () => {
    const { cache, parent, child } = family(8, 10);
    const second = cache.forkSequence(parent);
    const grandchild = cache.forkSequence(child);
    expect(cache.stats()).toMatchObject({ activeSequences: 4, cowOperations: 3, usedPages: 1 });
    expect(new Set([parent, child, second, grandchild].map((seq) => seq.value())).size).toBe(4);
    cache.getPageMut(second, 0);
    expect(cache.stats()).toMatchObject({ cowOperations: 4, usedPages: 2 });
    expect([parent, child, second, grandchild].map((seq) => cache.getPage(seq, 0).refCount)).toEqual([
      3, 3, 1, 3,
    ]);
  });

  upstream(
    [
      "tests_quantized::test_deep_pkcov_cow_out_of_memory",
      "paged_kv_coverage::test_cow_oom_during_write",
      "tests_alloc_exact::test_cow_oom_during_get_page_mut",
    ],
    () => {
      const { cache, parent, child } = family(16, 2);
      cache.allocateSequence(16);
      const before = cache.stats();
      for (const seq of [child, parent])
        expectFailure(() => cache.getPageMut(seq, 0), { code: "OutOfMemory", needed: 1, available: 0 });
      expect(cache.stats()).toEqual(before);
      expect(cache.getPage(child, 0)).toBe(cache.getPage(parent, 0));
      expect(cache.getPage(parent, 0).refCount).toBe(2);
    },
  );

  it("the writer has the copy, also when it is the parent", () => {
    const { cache, parent, child } = family(16);
    cache.getPageMut(parent, 0).keys[0] = 5;
    expect([cache.getPage(parent, 0).id.value(), cache.getPage(child, 0).id.value()]).toEqual([1, 0]);
    expect(cache.getPage(child, 0).keys[0]).toBe(0);
  });

  it("updateTokens writes through to all who share the page", () => {
    const { cache, parent, child } = family(4);
    cache.updateTokens(child, 9);
    expect(cache.getSequenceTokens(parent)).toBe(9);
  });

  it("counters of a whole life, and the order in which pages come back", () => {
    const cache = plain(10);
    const counters = (): number[] => {
      const s = cache.stats();
      return [
        s.sequencesAllocated,
        s.sequencesFreed,
        s.pagesAllocated,
        s.pagesFreed,
        s.activeSequences,
        s.usedPages,
        s.cowOperations,
      ];
    };
    const parent = cache.allocateSequence(40);
    expect(counters()).toEqual([1, 0, 3, 0, 1, 3, 0]);
    const child = cache.forkSequence(parent);
    expect(counters()).toEqual([2, 0, 3, 0, 2, 3, 1]);
    cache.getPageMut(child, 39);
    expect(counters()).toEqual([2, 0, 4, 0, 2, 4, 2]);
    cache.freeSequence(parent);
    expect(counters()).toEqual([2, 1, 4, 1, 1, 3, 2]);
    expect(cache.freePageCount()).toBe(7);
    cache.freeSequence(child);
    expect(counters()).toEqual([2, 2, 4, 4, 0, 0, 2]);
    expect(cache.allocateBlocks(10).map((id) => id.value())).toEqual([4, 5, 6, 7, 8, 9, 2, 0, 1, 3]);
  });
});
