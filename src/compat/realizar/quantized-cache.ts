/**
 * `QuantizedPagedKvCache`: pages of f32, Q8 or Q4, as the Rust crate behaves.
 *
 * QUIRK: pages have reference counts, but nothing here extends, forks, copies on write, counts tokens or
 * defragments; `getPageMut` never copies.
 */
import { assertInteger } from "../../core/check.js";
import { quotient } from "./fragmentation.js";
import { PageId, type SeqId } from "./ids.js";
import { pageValues } from "./page.js";
import { PagePool, sequenceValue } from "./page-pool.js";
import { QuantizedKvPage } from "./quant-page.js";
import { assertQuantType, type KvQuantType } from "./quant-type.js";
import type { PagedCacheStats } from "./stats.js";

/** The crate's cache of quantised pages. */
export class QuantizedPagedKvCache {
  readonly #pool: PagePool<QuantizedKvPage>;
  readonly #quantType: KvQuantType;
  /** What a page would take as f32, in bytes. */
  readonly #fp32PageBytes: number;

  constructor(
    totalPages: number,
    blockSize: number,
    numHeads: number,
    headDim: number,
    quantType: KvQuantType,
  ) {
    assertInteger(totalPages, "totalPages", 0);
    assertQuantType(quantType, "quantType");
    this.#fp32PageBytes = pageValues(blockSize, numHeads, headDim) * 4 * 2;
    this.#quantType = quantType;
    const pages = Array.from(
      { length: totalPages },
      (_, index) => new QuantizedKvPage(new PageId(index), quantType, blockSize, numHeads, headDim),
    );
    this.#pool = new PagePool(pages, blockSize);
  }

  /** The type of its blocks. */
  quantType(): KvQuantType {
    return this.#quantType;
  }

  /** A sequence with pages for `numTokens`; they keep their former owner's data (QUIRK). @throws RealizarCacheError OutOfMemory. */
  allocateSequence(numTokens: number): SeqId {
    return this.#pool.allocate(numTokens);
  }

  /** Returns the sequence's pages. An unknown sequence is ignored (QUIRK). */
  freeSequence(seq: SeqId): void {
    this.#pool.release(seq);
  }

  /** The page of a token, to read. @throws RealizarCacheError SequenceNotFound, InvalidPageAccess. */
  getPage(seq: SeqId, position: number): Readonly<QuantizedKvPage> {
    return this.#pool.pageAt(seq, position);
  }

  /** The page of a token, to write. @throws RealizarCacheError SequenceNotFound, InvalidPageAccess. */
  getPageMut(seq: SeqId, position: number): QuantizedKvPage {
    return this.#pool.pageAt(seq, position);
  }

  /** The sequence's pages in logical order, a copy; undefined when it is unknown. */
  pageTable(seq: SeqId): PageId[] | undefined {
    return this.#pool.tables.get(sequenceValue(seq))?.map((index) => new PageId(index));
  }

  /** Pages, free or not. */
  totalPages(): number {
    return this.#pool.pages.length;
  }

  /** Bytes stored in the pages that are referenced. */
  memoryUsage(): number {
    return this.#pool.pages.reduce((sum, page) => sum + (page.refCount > 0 ? page.memoryBytes() : 0), 0);
  }

  /** Bytes of as many f32 pages. */
  fp32EquivalentMemory(): number {
    return this.#pool.stats.usedPages * this.#fp32PageBytes;
  }

  /** memoryUsage / fp32EquivalentMemory, f32: 0.28125 for Q8, 0.15625 for Q4; 1 when nothing is used. */
  memorySavings(): number {
    const equivalent = this.fp32EquivalentMemory();
    return equivalent === 0 ? 1 : quotient(this.memoryUsage(), equivalent);
  }

  /** A copy of the counters. */
  stats(): PagedCacheStats {
    return this.#pool.stats.clone();
  }

  /** Pages that nobody holds. */
  freePageCount(): number {
    return this.#pool.free.length;
  }
}
