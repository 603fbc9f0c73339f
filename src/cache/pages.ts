/**
 * Pages: runs of opaque bytes of one size, with reference counts. Memory is taken from the arena when a page is
 * first used and kept for the next user, who always finds zeros.
 *
 * Free pages form a stack: the last one freed is the next one taken, and page 0 is the first of all.
 */
import type { Arena } from "../kernels/arena.js";

export interface PageCounters {
  allocations: number;
  frees: number;
  copies: number;
}

export class Pages {
  readonly count: number;
  readonly pageBytes: number;
  readonly references: Uint32Array;
  readonly counters: PageCounters = { allocations: 0, frees: 0, copies: 0 };
  readonly arena: Arena;
  readonly #pointers: Uint32Array;
  /** The free pages; the next one to be taken is the last of the first `#freeCount`. */
  readonly #free: Uint32Array;
  #freeCount: number;
  #resident = 0;

  constructor(arena: Arena, count: number, pageBytes: number) {
    this.arena = arena;
    this.count = count;
    this.pageBytes = pageBytes;
    this.references = new Uint32Array(count);
    this.#pointers = new Uint32Array(count);
    this.#free = Uint32Array.from({ length: count }, (_, i) => count - 1 - i);
    this.#freeCount = count;
  }

  get freeCount(): number {
    return this.#freeCount;
  }
  get usedCount(): number {
    return this.count - this.#freeCount;
  }
  /** Pages that have memory, in use or free. */
  get residentCount(): number {
    return this.#resident;
  }
  /** The free pages in the order of the stack, next one last. */
  get freeList(): Uint32Array {
    return this.#free.slice(0, this.#freeCount);
  }

  /** Where a page's bytes are: an offset into the arena; 0 for a page that never was in use. */
  pointer(page: number): number {
    return this.#pointers[page]!;
  }

  /** A page of zeros with one reference. The caller has checked that one is free. */
  take(): number {
    const page = this.#free[this.#freeCount - 1]!;
    if (this.#pointers[page] === 0) {
      this.#pointers[page] = this.arena.allocate(this.pageBytes); // may throw: nothing has changed
      this.#resident++;
    }
    this.#freeCount--;
    this.arena.u8.fill(0, this.#pointers[page]!, this.#pointers[page]! + this.pageBytes);
    this.references[page] = 1;
    this.counters.allocations++;
    return page;
  }

  retain(page: number): void {
    this.references[page]!++;
  }

  /** Gives a reference back; the last one frees the page. */
  release(page: number): void {
    if (--this.references[page]! > 0) return;
    this.#free[this.#freeCount++] = page;
    this.counters.frees++;
  }

  /** Restores recorded references and free pages; pages with references get memory. */
  restore(references: Uint32Array, free: Uint32Array): void {
    for (let page = 0; page < this.count; page++) {
      if (references[page] === 0) continue;
      this.#pointers[page] = this.arena.allocate(this.pageBytes);
      this.arena.u8.fill(0, this.#pointers[page]!, this.#pointers[page]! + this.pageBytes);
      this.#resident++;
    }
    this.references.set(references);
    this.#free.set(free);
    this.#freeCount = free.length;
  }

  /** Makes sure that the next `n` pages to be taken have memory. @throws RangeError when there is no more. */
  prepare(n: number): void {
    for (let i = 0; i < n; i++) {
      const page = this.#free[this.#freeCount - 1 - i]!;
      if (this.#pointers[page] !== 0) continue;
      this.#pointers[page] = this.arena.allocate(this.pageBytes);
      this.#resident++;
    }
  }

  /** Returns all memory to the arena. The object is of no use afterwards. */
  dispose(): void {
    for (const pointer of this.#pointers) if (pointer !== 0) this.arena.release(pointer);
    this.#pointers.fill(0);
  }
}
