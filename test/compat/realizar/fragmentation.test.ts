/** Fragmentation, the advice, compaction and contiguity: upstream tests, with the numbers where they had none. */
import { describe, expect, it } from "vitest";
import { type PagedKvCache, SeqId } from "../../../src/compat/realizar/index.js";
import { expectFailure, plain, upstream } from "./upstream.js";

/** A cache with sequences of one page each. */
function singles(pages: number, count: number): { cache: PagedKvCache; sequences: SeqId[] } {
  const cache = plain(pages);
  return { cache, sequences: Array.from({ length: count }, () => cache.allocateSequence(16)) };
}
const table = (cache: PagedKvCache, seq: SeqId): number[] => cache.pageTable(seq)!.map((id) => id.value());
const measured = (cache: PagedKvCache): Record<string, number> => ({ ...cache.fragmentationStats() });

const EMPTY = {
  holes: 0,
  wastedCapacity: 0,
  fragmentationRatio: 0,
  largestFreeRegion: 100,
  avgTokensPerPage: 0,
};

describe("fragmentationStats", () => {
  upstream("tests_seq::test_fragmentation_stats_empty_cache", () => expect(measured(plain())).toEqual(EMPTY));

  upstream("tests_alloc_exact::test_fragmentation_with_zero_pages", () => {
    expect(measured(plain(0))).toEqual({ ...EMPTY, largestFreeRegion: 0 });
  });

  upstream("tests_seq::test_fragmentation_stats_single_sequence", () => {
    const cache = plain();
    cache.updateTokens(cache.allocateSequence(32), 32);
    expect(measured(cache)).toEqual({ ...EMPTY, largestFreeRegion: 98, avgTokensPerPage: 16 });
  });

  upstream("tests_seq::test_fragmentation_stats_wasted_capacity", () => {
    const cache = plain();
    cache.updateTokens(cache.allocateSequence(32), 10);
    expect(measured(cache)).toEqual({
      ...EMPTY,
      wastedCapacity: 22,
      largestFreeRegion: 98,
      avgTokensPerPage: 10,
    });
  });

  upstream("tests_seq::test_fragmentation_stats_with_holes", () => {
    const { cache, sequences } = singles(10, 3);
    cache.freeSequence(sequences[1]!);
    expect(measured(cache)).toEqual({
      holes: 1,
      wastedCapacity: 32,
      fragmentationRatio: 0.5,
      largestFreeRegion: 7,
      avgTokensPerPage: 0,
    });
    expect(cache.getSequenceTokens(sequences[0]!)).toBe(0);
  });

  upstream(
    [
      "tests_quantized::test_deep_pkcov_fragmentation_stats_large_free_region",
      "paged_kv_coverage::test_is_page_free_check",
      "tests_cov_fragmentation_should::test_cov_fragmentation_stats_trailing_free_region",
    ],
    () => expect(singles(100, 1).cache.fragmentationStats().largestFreeRegion).toBe(99),
  );

  upstream("tests_deep_pkcov::test_cov_fragmentation_stats_all_pages_used", () => {
    const { cache, sequences } = singles(5, 5);
    for (const seq of sequences) cache.updateTokens(seq, 16);
    expect(measured(cache)).toEqual({ ...EMPTY, largestFreeRegion: 0, avgTokensPerPage: 16 });
  });

  upstream("tests_deep_pkcov::test_cov_fragmentation_stats_alternating_pattern", () => {
    const { cache, sequences } = singles(10, 10);
    for (const [i, seq] of sequences.entries()) if (i % 2 === 1) cache.freeSequence(seq);
    expect(measured(cache)).toEqual({
      holes: 4, // page 9 is free too, but at the end
      wastedCapacity: 80,
      fragmentationRatio: Math.fround(0.8),
      largestFreeRegion: 1,
      avgTokensPerPage: 0,
    });
  });

  upstream("tests_cov_fragmentation_should::test_cov_fragmentation_ratio_max_one", () => {
    const { cache, sequences } = singles(5, 3);
    cache.freeSequence(sequences[1]!);
    expect(cache.fragmentationStats().fragmentationRatio).toBe(0.5);
    cache.freeSequence(sequences[0]!);
    expect(cache.fragmentationStats()).toMatchObject({
      fragmentationRatio: 0,
      holes: 0,
      largestFreeRegion: 2,
    });
    cache.freeSequence(sequences[2]!);
    expect(cache.fragmentationStats()).toMatchObject({ fragmentationRatio: 0, largestFreeRegion: 5 });
  });

  it("counts a shared page's tokens once per table, so that forks make waste vanish", () => {
    const { cache, sequences } = singles(10, 1);
    cache.updateTokens(sequences[0]!, 4);
    const waste = [cache.fragmentationStats().wastedCapacity];
    for (let i = 0; i < 3; i++) {
      cache.forkSequence(sequences[0]!);
      waste.push(cache.fragmentationStats().wastedCapacity);
    }
    expect(waste).toEqual([12, 8, 4, 0]);
    expect(cache.stats().usedPages).toBe(1);
  });
});

describe("shouldDefragment", () => {
  upstream("tests_seq::test_should_defragment_empty", () => {
    expect(plain().shouldDefragment()).toBe(false);
    expect(plain(0).shouldDefragment()).toBe(false); // 0/0 is not below 0.1
  });

  upstream("tests_seq::test_should_defragment_no_fragmentation", () => {
    const cache = plain();
    cache.updateTokens(cache.allocateSequence(32), 32);
    expect(cache.shouldDefragment()).toBe(false);
  });

  upstream("tests_seq::test_should_defragment_with_threshold", () => {
    const { cache, sequences } = singles(10, 3);
    const advice = () => [0, 0.49, 0.5, 1].map((t) => cache.shouldDefragmentWithThreshold(t));
    expect(advice()).toEqual([false, false, false, false]);
    cache.freeSequence(sequences[1]!);
    expect(advice()).toEqual([true, true, false, false]); // ratio 0.5, compared strictly
  });

  upstream("tests_quantized::test_deep_pkcov_should_defragment_low_free_ratio", () => {
    const { cache, sequences } = singles(10, 10);
    cache.freeSequence(sequences[9]!);
    expect(cache.fragmentationStats().holes).toBe(0);
    expect(cache.shouldDefragment()).toBe(false); // one page of ten is free: not less than a tenth, and no hole
  });

  upstream("tests_cov_fragmentation_should::test_cov_should_defragment_low_free_with_holes", () => {
    const { cache, sequences } = singles(10, 9);
    cache.freeSequence(sequences[4]!);
    expect(cache.fragmentationStats()).toMatchObject({ holes: 1, fragmentationRatio: 0.125 });
    expect(cache.shouldDefragment()).toBe(false); // a fifth of the pages is free
  });

  it("is true for fewer than a tenth of the pages free and a hole", () => {
    const { cache, sequences } = singles(11, 11);
    cache.freeSequence(sequences[4]!);
    expect(cache.fragmentationStats()).toMatchObject({ holes: 1, fragmentationRatio: Math.fround(0.1) });
    expect(cache.shouldDefragment()).toBe(true);
    const tenth = singles(10, 10);
    tenth.cache.freeSequence(tenth.sequences[4]!);
    expect(tenth.cache.fragmentationStats().holes).toBe(1);
    expect(tenth.cache.shouldDefragment()).toBe(false); // a tenth is not fewer
  });

  upstream("tests_quantized::test_deep_pkcov_should_defragment_high_waste", () => {
    const cache = plain();
    const [a, b, c] = [32, 32, 32].map((n) => cache.allocateSequence(n)) as [SeqId, SeqId, SeqId];
    cache.freeSequence(b);
    cache.updateTokens(a, 1);
    cache.updateTokens(c, 1);
    expect(cache.fragmentationStats()).toMatchObject({
      holes: 1,
      wastedCapacity: 62,
      fragmentationRatio: 0.25,
    });
    expect(cache.shouldDefragment()).toBe(false); // waste counts only with more than two holes
  });

  upstream("tests_cov_fragmentation_should::test_cov_should_defragment_waste_ratio_trigger", () => {
    const cache = plain();
    for (let i = 0; i < 10; i++) cache.updateTokens(cache.allocateSequence(32), 1);
    expect(cache.fragmentationStats()).toMatchObject({ holes: 0, wastedCapacity: 310, avgTokensPerPage: 1 });
    expect(cache.shouldDefragment()).toBe(false);
  });

  it("is true for waste above a quarter with three holes, and false at a quarter", () => {
    // 13 sequences of one page; three freed apart: 10 used, ratio 0.3, which is not above 0.3.
    const { cache, sequences } = singles(100, 13);
    for (const i of [3, 6, 9]) cache.freeSequence(sequences[i]!);
    const live = sequences.filter((_, i) => ![3, 6, 9].includes(i));
    for (const seq of live) cache.updateTokens(seq, 12);
    expect(cache.fragmentationStats()).toMatchObject({ holes: 3, wastedCapacity: 40, avgTokensPerPage: 12 });
    expect(cache.shouldDefragment()).toBe(false);
    cache.updateTokens(live[0]!, 11);
    expect(cache.shouldDefragment()).toBe(true);
    const twoHoles = singles(100, 13);
    for (const i of [3, 6]) twoHoles.cache.freeSequence(twoHoles.sequences[i]!);
    expect(twoHoles.cache.fragmentationStats()).toMatchObject({ holes: 2, wastedCapacity: 176 });
    expect(twoHoles.cache.shouldDefragment()).toBe(false);
  });

  upstream("tests_alloc_exact::test_should_defrag_low_free_ratio", () => {
    const cache = plain(10);
    cache.updateTokens(cache.allocateSequence(144), 100);
    expect(cache.fragmentationStats()).toMatchObject({ holes: 0, wastedCapacity: 44 });
    expect(cache.shouldDefragment()).toBe(false);
  });

  upstream("paged_kv_coverage::test_should_defragment_low_free_pages_with_holes", () => {
    expect(singles(10, 10).cache.shouldDefragment()).toBe(false);
  });
});

describe("compactSequence and defragment", () => {
  upstream(
    ["tests_seq::test_defragment_empty_cache", "tests_fragmentation_stats::test_defrag_stats_tracking"],
    () => {
      const cache = plain();
      expect(cache.defragment()).toBe(0);
      expect(cache.stats()).toMatchObject({ defragOperations: 0, pagesMoved: 0 });
    },
  );

  upstream(
    [
      "tests_seq::test_defragment_single_sequence",
      "tests_seq::test_compact_sequence_already_contiguous",
      "tests_alloc_exact::test_defrag_increments_stats_only_when_pages_moved",
    ],
    () => {
      const cache = plain(10);
      const seq = cache.allocateSequence(32);
      cache.updateTokens(seq, 32);
      expect([cache.compactSequence(seq), cache.defragment()]).toEqual([0, 0]);
      expect(cache.stats()).toMatchObject({ defragOperations: 0, pagesMoved: 0 });
      expect(table(cache, seq)).toEqual([0, 1]);
    },
  );

  upstream(
    ["tests_seq::test_compact_sequence_not_found", "tests_alloc_exact::test_compact_empty_page_list"],
    () => expect(plain().compactSequence(new SeqId())).toBe(0),
  );

  upstream(
    [
      "tests_quantized::test_deep_pkcov_compact_empty_page_list",
      "paged_kv_coverage::test_compact_sequence_empty_pages",
      "tests_cov_fragmentation_should::test_cov_compact_single_page_sequence",
    ],
    () => {
      const cache = plain();
      expect(cache.compactSequence(cache.allocateSequence(0))).toBe(0);
      expect(cache.compactSequence(cache.allocateSequence(10))).toBe(0);
    },
  );

  upstream("tests_deep_pkcov::test_cov_compact_sequence_target_page_not_free", () => {
    expect(singles(10, 10).cache.defragment()).toBe(0);
  });

  upstream("tests_fragmentation_stats::test_defragment_preserves_data", () => {
    const { cache, sequences } = singles(10, 3);
    const seq = sequences[0]!;
    cache.updateTokens(seq, 16);
    cache.freeSequence(sequences[1]!);
    cache.extend(seq, 16); // [0, 3]
    cache.updateTokens(seq, 20);
    for (const position of [0, 16]) {
      cache.getPageMut(seq, position).keys[0] = 42 + position;
      cache.getPageMut(seq, position).values[0] = 99 + position;
    }
    const source = cache.getPage(seq, 16);
    expect(cache.defragment()).toBe(1);
    expect(table(cache, seq)).toEqual([0, 1]);
    expect(cache.getPage(seq, 16)).toMatchObject({ refCount: 1, numTokens: 4 });
    expect(source).toMatchObject({ refCount: 0, numTokens: 0 });
    for (const position of [0, 16]) {
      expect(cache.getPage(seq, position).keys[0]).toBe(42 + position);
      expect(cache.getPage(seq, position).values[0]).toBe(99 + position);
    }
    expect(cache.getSequenceTokens(seq)).toBe(20);
  });

  upstream("tests_fragmentation_stats::test_cow_prevents_compact", () => {
    const { cache, sequences } = singles(10, 3);
    const parent = sequences[0]!;
    cache.updateTokens(parent, 16);
    cache.freeSequence(sequences[1]!);
    cache.extend(parent, 16); // [0, 3], and page 1 is free
    const child = cache.forkSequence(parent);
    expect([cache.compactSequence(parent), cache.defragment()]).toEqual([0, 0]);
    expect(table(cache, parent)).toEqual([0, 3]);
    cache.freeSequence(child);
    expect(cache.compactSequence(parent)).toBe(1); // only sharing had kept it
  });

  upstream("tests_deep_pkcov::test_cov_defragment_with_actual_fragmentation", () => {
    const { cache, sequences } = singles(10, 3);
    for (const seq of sequences) cache.updateTokens(seq, 16);
    const first = sequences[0]!;
    cache.freeSequence(sequences[1]!);
    cache.extend(first, 32);
    const state = () => [cache.fragmentationStats().holes, cache.sequenceContiguity(first)];
    expect(table(cache, first)).toEqual([0, 3, 4]);
    expect(state()).toEqual([1, 0.5]);
    expect(cache.defragment()).toBe(1);
    expect(table(cache, first)).toEqual([0, 1, 4]);
    expect(state()).toEqual([1, 0.5]); // a page moved, nothing gained
    expect(cache.stats()).toMatchObject({ defragOperations: 1, pagesMoved: 1, usedPages: 4 });
    expect(cache.allocateBlocks(6).map((id) => id.value())).toEqual([5, 6, 7, 8, 9, 3]);
  });

  upstream("tests_deep_pkcov::test_cov_compact_sequence_with_non_contiguous_pages", () => {
    const { cache, sequences } = singles(20, 4);
    cache.freeSequence(sequences[1]!);
    cache.extend(sequences[2]!, 32);
    expect(table(cache, sequences[2]!)).toEqual([2, 4]); // the free list is a queue: page 1 is its last
    expect(cache.sequenceContiguity(sequences[2]!)).toBe(0);
    expect(cache.compactSequence(sequences[2]!)).toBe(0); // page 3 is in use
  });

  it("follows a page that has moved: the next one goes behind its new place", () => {
    const { cache, sequences } = singles(10, 4); // 0 1 2 3
    const seq = sequences[0]!;
    cache.updateTokens(seq, 16);
    cache.extend(seq, 32); // [0, 4, 5]
    cache.freeSequence(sequences[1]!);
    cache.freeSequence(sequences[2]!);
    expect(cache.compactSequence(seq)).toBe(2);
    expect(table(cache, seq)).toEqual([0, 1, 2]);
    expect(cache.stats()).toMatchObject({ defragOperations: 0, pagesMoved: 0 }); // only defragment counts
    expect(cache.allocateBlocks(6).map((id) => id.value())).toEqual([6, 7, 8, 9, 4, 5]);
  });

  it("can advise defragmentation for ever", () => {
    const { cache, sequences } = singles(10, 10);
    for (const [i, seq] of sequences.entries()) if (i % 2 === 1) cache.freeSequence(seq);
    for (let i = 0; i < 3; i++) {
      expect(cache.shouldDefragment()).toBe(true);
      expect(cache.defragment()).toBe(0);
    }
  });
});

describe("sequenceContiguity", () => {
  upstream(["tests_seq::test_sequence_contiguity_single_page"], () => {
    const cache = plain();
    expect(cache.sequenceContiguity(cache.allocateSequence(10))).toBe(1);
    expect(cache.sequenceContiguity(cache.allocateSequence(0))).toBe(1);
  });

  upstream("tests_seq::test_sequence_contiguity_multiple_pages", () => {
    const { cache, sequences } = singles(10, 2);
    expect(cache.sequenceContiguity(cache.allocateSequence(32))).toBe(1);
    cache.extend(sequences[0]!, 64); // [0, 4, 5, 6]
    expect(cache.sequenceContiguity(sequences[0]!)).toBe(Math.fround(2 / 3));
  });

  upstream("tests_seq::test_sequence_contiguity_not_found", () => {
    const unknown = new SeqId();
    expectFailure(() => plain().sequenceContiguity(unknown), {
      code: "SequenceNotFound",
      seqId: unknown.value(),
    });
  });
});
