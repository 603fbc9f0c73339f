/** Fragmentation as the crate measures it, and its advice when to defragment. Arithmetic is f32. */
import type { PagePool, PooledPage } from "./page-pool.js";
import { FragmentationStats } from "./stats.js";

const { fround } = Math;

/** Counted over the page tables; pages of `allocateBlocks` are in none and look free (QUIRK). */
export function measureFragmentation(pool: PagePool<PooledPage>): FragmentationStats {
  const used = new Set<number>();
  let tokens = 0;
  let entriesWithTokens = 0;
  for (const table of pool.tables.values()) {
    for (const index of table) {
      const { numTokens } = pool.pages[index]!;
      used.add(index);
      tokens += numTokens; // QUIRK: once per table that has the page
      if (numTokens > 0) entriesWithTokens++;
    }
  }

  let holes = 0;
  let largestFreeRegion = 0;
  let run = 0;
  let seenUsed = false;
  for (let index = 0; index < pool.pages.length; index++) {
    if (used.has(index)) {
      if (seenUsed && run > 0) holes++;
      seenUsed = true;
      run = 0;
    } else {
      run++;
      largestFreeRegion = Math.max(largestFreeRegion, run);
    }
  }

  const { usedPages } = pool.stats;
  return new FragmentationStats({
    holes,
    wastedCapacity: Math.max(0, usedPages * pool.blockSize - tokens),
    fragmentationRatio: usedPages > 0 ? Math.min(1, quotient(holes, usedPages)) : 0,
    largestFreeRegion,
    avgTokensPerPage: entriesWithTokens > 0 ? quotient(tokens, entriesWithTokens) : 0,
  });
}

/** True for many holes, or waste with holes, or few free pages with holes. threshold: of the ratio of holes. */
export function advisesDefragmentation(pool: PagePool<PooledPage>, threshold: number): boolean {
  const { holes, wastedCapacity, fragmentationRatio } = measureFragmentation(pool);
  if (fragmentationRatio > fround(threshold)) return true;
  const { usedPages } = pool.stats;
  if (usedPages > 0 && holes > 2 && quotient(wastedCapacity, usedPages * pool.blockSize) > fround(0.25))
    return true;
  // No pages at all: 0/0 is NaN, and NaN is not below 0.1.
  return quotient(pool.free.length, pool.pages.length) < fround(0.1) && holes > 0;
}

/** a/b in f32, both rounded first. */
export const quotient = (a: number, b: number): number => fround(fround(a) / fround(b));
