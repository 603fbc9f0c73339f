/**
 * Page tables over a fixed set of pages, and the free list: what the plain and the quantised cache share.
 *
 * The free list is a queue: pages leave at its front and come back at its end, in the order of the freed table.
 */
import { assertInteger } from "../../core/check.js";
import { RealizarCacheError } from "./error.js";
import { SeqId } from "./ids.js";
import { PagedCacheStats } from "./stats.js";

/** What the pool needs to know of a page. */
export interface PooledPage {
  numTokens: number;
  refCount: number;
}

export class PagePool<P extends PooledPage> {
  readonly pages: readonly P[];
  readonly blockSize: number;
  /** Sequence → page indices in logical order; iterated in the order of allocation. */
  readonly tables = new Map<number, number[]>();
  readonly free: number[];
  readonly stats = new PagedCacheStats();

  constructor(pages: readonly P[], blockSize: number) {
    this.pages = pages;
    this.blockSize = blockSize;
    this.free = pages.map((_, index) => index);
  }

  /** Pages for so many tokens. @throws RangeError when pages hold no tokens (the crate panics). */
  pagesFor(numTokens: number): number {
    assertInteger(numTokens, "numTokens", 0);
    assertInteger(this.blockSize, "blockSize", 1);
    return Math.ceil(numTokens / this.blockSize);
  }

  /** A new sequence with capacity for `numTokens` and no tokens. @throws RealizarCacheError OutOfMemory. */
  allocate(numTokens: number): SeqId {
    const table = this.take(this.pagesFor(numTokens));
    const seq = this.register(table);
    this.stats.pagesAllocated += table.length;
    this.stats.usedPages += table.length;
    return seq;
  }

  /** A new id for `table`. */
  register(table: number[]): SeqId {
    const seq = new SeqId();
    this.tables.set(seq.value(), table);
    this.stats.sequencesAllocated++;
    this.stats.activeSequences++;
    return seq;
  }

  /** Pages from the front of the free list with their counts reset; their data stays (QUIRK). */
  take(count: number): number[] {
    if (this.free.length < count)
      throw new RealizarCacheError({ code: "OutOfMemory", needed: count, available: this.free.length });
    const taken = this.free.splice(0, count);
    for (const index of taken) {
      this.pages[index]!.numTokens = 0;
      this.pages[index]!.refCount = 1;
    }
    return taken;
  }

  /** Drops a sequence; an unknown one is ignored. */
  release(seq: SeqId): void {
    const table = this.tables.get(sequenceValue(seq));
    if (table === undefined) return;
    this.tables.delete(seq.value());
    for (const index of table) {
      const page = this.pages[index]!;
      page.refCount = Math.max(0, page.refCount - 1);
      if (page.refCount > 0) continue;
      this.free.push(index);
      this.stats.pagesFreed++;
      this.stats.usedPages = Math.max(0, this.stats.usedPages - 1);
    }
    this.stats.sequencesFreed++;
    this.stats.activeSequences = Math.max(0, this.stats.activeSequences - 1);
  }

  /** @throws RealizarCacheError SequenceNotFound. */
  table(seq: SeqId): number[] {
    const table = this.tables.get(sequenceValue(seq));
    if (table === undefined) throw new RealizarCacheError({ code: "SequenceNotFound", seqId: seq.value() });
    return table;
  }

  /** The table of `seq` and which of its entries holds the token. @throws RealizarCacheError. */
  locate(seq: SeqId, position: number): { table: number[]; entry: number } {
    assertInteger(position, "position", 0);
    const table = this.table(seq);
    const entry = Math.floor(position / this.blockSize);
    if (entry >= table.length)
      throw new RealizarCacheError({ code: "InvalidPageAccess", pageId: entry, offset: position });
    return { table, entry };
  }

  /** The page that holds the token. */
  pageAt(seq: SeqId, position: number): P {
    const { table, entry } = this.locate(seq, position);
    return this.pages[table[entry]!]!;
  }
}

/** @throws TypeError for anything but a SeqId. */
export function sequenceValue(seq: SeqId): number {
  if (seq instanceof SeqId) return seq.value();
  throw new TypeError(`"seq" expected a SeqId, got ${typeof seq}`);
}
