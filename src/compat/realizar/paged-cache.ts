/**
 * `PagedKvCache`: f32 pages with copy-on-write, as the Rust crate behaves.
 *
 * One cache is one layer. Capacity (pages) and tokens (`updateTokens`) are apart: allocating gives pages, and only
 * `updateTokens` says how many tokens they hold. The quirks are kept on purpose; docs/compat-realizar.md lists them
 * with what `turboquant-kv/cache` does instead.
 *
 * DEVIATION: where the crate panics, a RangeError is thrown and nothing has changed. `defragment` visits sequences
 * in the order of their allocation, where the crate's order is that of a randomly seeded hash map.
 */
import { assertInteger } from "../../core/check.js";
import { RealizarCacheError } from "./error.js";
import { advisesDefragmentation, measureFragmentation, quotient } from "./fragmentation.js";
import { PageId, type SeqId } from "./ids.js";
import { KvPage, pageValues } from "./page.js";
import { PagePool, sequenceValue } from "./page-pool.js";
import type { FragmentationStats, PagedCacheStats } from "./stats.js";

const { fround } = Math;

/** The crate's cache of f32 pages. */
export class PagedKvCache {
  readonly #pool: PagePool<KvPage>;
  /** f32 keys and values of a page, in bytes. */
  readonly #pageBytes: number;

  /** All pages are allocated here: totalPages × [blockSize, numHeads, headDim], keys and values. */
  constructor(totalPages: number, blockSize: number, numHeads: number, headDim: number) {
    assertInteger(totalPages, "totalPages", 0);
    this.#pageBytes = pageValues(blockSize, numHeads, headDim) * 4 * 2;
    const pages = Array.from(
      { length: totalPages },
      (_, index) => new KvPage(new PageId(index), blockSize, numHeads, headDim),
    );
    this.#pool = new PagePool(pages, blockSize);
  }

  /**
   * A sequence with capacity for `numTokens`, holding none. The pages keep what their former owner wrote (QUIRK).
   * @throws RealizarCacheError OutOfMemory (needed: all its pages); no id is used up.
   */
  allocateSequence(numTokens: number): SeqId {
    return this.#pool.allocate(numTokens);
  }

  /**
   * Capacity for `numTokens` more than the sequence holds (not more than it has capacity for: QUIRK).
   * @throws RealizarCacheError SequenceNotFound, OutOfMemory (needed: the additional pages).
   */
  extend(seq: SeqId, numTokens: number): void {
    const pool = this.#pool;
    const table = pool.table(seq);
    assertInteger(numTokens, "numTokens", 0);
    const more = pool.pagesFor(this.getSequenceTokens(seq) + numTokens) - table.length;
    if (more <= 0) return;
    table.push(...pool.take(more));
    pool.stats.pagesAllocated += more;
    pool.stats.usedPages += more;
  }

  /** Returns the pages that no other sequence shares. An unknown sequence is ignored (QUIRK). */
  freeSequence(seq: SeqId): void {
    this.#pool.release(seq);
  }

  /** A sequence that shares all pages of `parent`. Counts as a copy-on-write operation (QUIRK). */
  forkSequence(parent: SeqId): SeqId {
    const table = [...this.#pool.table(parent)];
    for (const index of table) this.#pool.pages[index]!.refCount++;
    this.#pool.stats.cowOperations++;
    return this.#pool.register(table);
  }

  /** Tokens that the sequence's pages say they hold. @throws RealizarCacheError SequenceNotFound. */
  getSequenceTokens(seq: SeqId): number {
    return this.#pool.table(seq).reduce((sum, index) => sum + this.#pool.pages[index]!.numTokens, 0);
  }

  /**
   * Says that the sequence holds `numTokens`: fills pages from the front and stops where the tokens end.
   * QUIRKS: shared pages change for all who share them; pages beyond the end keep their count, so shrinking reports
   * too many; tokens beyond the capacity are dropped without an error.
   * @throws RealizarCacheError SequenceNotFound.
   */
  updateTokens(seq: SeqId, numTokens: number): void {
    const { pages, blockSize } = this.#pool;
    const table = this.#pool.table(seq);
    assertInteger(numTokens, "numTokens", 0);
    let left = numTokens;
    for (const index of table) {
      pages[index]!.numTokens = Math.min(left, blockSize);
      left = Math.max(0, left - blockSize);
      if (left === 0) return;
    }
  }

  /** The page of a token, to read. @throws RealizarCacheError SequenceNotFound, InvalidPageAccess. */
  getPage(seq: SeqId, position: number): Readonly<KvPage> {
    return this.#pool.pageAt(seq, position);
  }

  /**
   * The page of a token, to write: a shared page is copied first, and the writer has the copy.
   * @throws RealizarCacheError SequenceNotFound, InvalidPageAccess, OutOfMemory (needed 1, available 0).
   */
  getPageMut(seq: SeqId, position: number): KvPage {
    const { table, entry } = this.#pool.locate(seq, position);
    const page = this.#pool.pages[table[entry]!]!;
    if (!page.isShared()) return page;
    const [index] = this.#pool.take(1) as [number];
    this.#copyPage(page, index);
    page.refCount--;
    table[entry] = index;
    this.#pool.stats.cowOperations++;
    this.#pool.stats.pagesAllocated++;
    this.#pool.stats.usedPages++;
    return this.#pool.pages[index]!;
  }

  /** Flat slot of a token: physical page · blockSize + offset. @throws RealizarCacheError UnknownSequence, OutOfBounds. */
  slot(seq: SeqId, position: number): number {
    const { tables, blockSize } = this.#pool;
    assertInteger(position, "position", 0);
    assertInteger(blockSize, "blockSize", 1);
    const seqId = sequenceValue(seq);
    const table = tables.get(seqId);
    if (table === undefined) throw new RealizarCacheError({ code: "UnknownSequence", seqId });
    const index = table[Math.floor(position / blockSize)];
    if (index === undefined) {
      const allocated = table.length * blockSize;
      throw new RealizarCacheError({ code: "OutOfBounds", seqId, position, allocated });
    }
    return index * blockSize + (position % blockSize);
  }

  /**
   * Takes pages off the free list. QUIRKS: they belong to no sequence, nothing gives them back, their counts are not
   * reset, `pagesAllocated` does not count them, and they need not be contiguous.
   * @throws RealizarCacheError OutOfPages.
   */
  allocateBlocks(numBlocks: number): PageId[] {
    const { free, stats } = this.#pool;
    assertInteger(numBlocks, "numBlocks", 0);
    if (free.length < numBlocks)
      throw new RealizarCacheError({ code: "OutOfPages", requested: numBlocks, available: free.length });
    stats.usedPages += numBlocks;
    return free.splice(0, numBlocks).map((index) => new PageId(index));
  }

  /** The sequence's pages in logical order, a copy; undefined when it is unknown. */
  pageTable(seq: SeqId): PageId[] | undefined {
    return this.#pool.tables.get(sequenceValue(seq))?.map((index) => new PageId(index));
  }

  /** A copy of the counters. */
  stats(): PagedCacheStats {
    return this.#pool.stats.clone();
  }

  /** Bytes of the used pages. */
  memoryUsage(): number {
    return this.#pool.stats.usedPages * this.#pageBytes;
  }

  /** Bytes of all pages. */
  totalCapacity(): number {
    return this.#pool.pages.length * this.#pageBytes;
  }

  /** Used pages in percent, f32; 0 for a cache without pages. */
  utilization(): number {
    const total = this.#pool.pages.length;
    return total === 0 ? 0 : fround(quotient(this.#pool.stats.usedPages, total) * 100);
  }

  /** Pages that nobody holds. */
  freePageCount(): number {
    return this.#pool.free.length;
  }

  /** Holes and waste as the crate counts them. */
  fragmentationStats(): FragmentationStats {
    return measureFragmentation(this.#pool);
  }

  /** `shouldDefragmentWithThreshold(0.3)`. QUIRK: it can stay true after any number of `defragment` calls. */
  shouldDefragment(): boolean {
    return advisesDefragmentation(this.#pool, 0.3);
  }

  /** As `shouldDefragment`, with a threshold of one's own. */
  shouldDefragmentWithThreshold(threshold: number): boolean {
    return advisesDefragmentation(this.#pool, threshold);
  }

  /** Compacts every sequence. Pages moved. */
  defragment(): number {
    let moved = 0;
    for (const table of this.#pool.tables.values()) moved += this.#compact(table);
    if (moved > 0) {
      this.#pool.stats.defragOperations++;
      this.#pool.stats.pagesMoved += moved;
    }
    return moved;
  }

  /** Moves pages next to their predecessor where that place is free. Pages moved; 0 for an unknown sequence. */
  compactSequence(seq: SeqId): number {
    const table = this.#pool.tables.get(sequenceValue(seq));
    return table === undefined ? 0 : this.#compact(table);
  }

  /** Share of neighbours in the table that are neighbours in memory, f32; 1 for a page or none. */
  sequenceContiguity(seq: SeqId): number {
    const table = this.#pool.table(seq);
    if (table.length <= 1) return 1;
    let pairs = 0;
    for (let i = 1; i < table.length; i++) if (table[i] === table[i - 1]! + 1) pairs++;
    return quotient(pairs, table.length - 1);
  }

  /** The first page stays; each later one moves to its predecessor's (new) place + 1 if that is free and it is not shared. */
  #compact(table: number[]): number {
    const { pages, free } = this.#pool;
    let moved = 0;
    for (let i = 1; i < table.length; i++) {
      const source = table[i]!;
      const target = table[i - 1]! + 1;
      if (source === target || pages[source]!.isShared()) continue;
      const place = free.indexOf(target);
      if (place < 0) continue;
      free.splice(place, 1);
      this.#copyPage(pages[source]!, target);
      pages[target]!.refCount = 1;
      pages[source]!.numTokens = 0;
      pages[source]!.refCount = 0;
      free.push(source);
      table[i] = target;
      moved++;
    }
    return moved;
  }

  /** Data and token count of `page` into page `index`. */
  #copyPage(page: KvPage, index: number): void {
    const copy = this.#pool.pages[index]!;
    copy.keys = page.keys.slice();
    copy.values = page.values.slice();
    copy.numTokens = page.numTokens;
  }
}
