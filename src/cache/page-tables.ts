/**
 * Which pages a sequence has, and when a page is copied: page tables over reference-counted pages. Knows tokens,
 * layers and bytes, not vectors.
 *
 * A page with more than one reference is never written: whoever writes gets a copy of the tokens it can see, parent or
 * child. `written` says how far each layer of a page was ever written, so that tokens a truncation forgot are wiped
 * before their place is used again.
 */
import type { Arena } from "../kernels/arena.js";
import { CacheError } from "./cache-error.js";
import type { Geometry } from "./layout.js";
import { RELEASED } from "./page-table.js";
import type { PageVectors } from "./page-vectors.js";
import { Pages } from "./pages.js";
import type { RecentBlocks } from "./recent.js";
import { leastFilled, mostFilled, type Sequence, Sequences } from "./sequences.js";
import type { SinkBlocks } from "./sinks.js";

/** Idle pages that may be taken back when the free ones do not suffice. */
export interface Evictable {
  idle(): number;
  evictOne(): void;
}

export class PageTables {
  readonly pages: Pages;
  readonly sequences: Sequences;
  /** (pages, layers): tokens of a page that a layer has ever written. */
  readonly written: Uint32Array;
  forks = 0;
  readonly #geometry: Geometry;
  readonly #vectors: PageVectors;
  readonly #evictable: Evictable;
  readonly #sinks: SinkBlocks;
  readonly #recent: RecentBlocks;

  constructor(
    arena: Arena,
    geometry: Geometry,
    vectors: PageVectors,
    evictable: Evictable,
    sinks: SinkBlocks,
    recent: RecentBlocks,
  ) {
    this.#sinks = sinks;
    this.#recent = recent;
    this.#geometry = geometry;
    this.#vectors = vectors;
    this.#evictable = evictable;
    this.pages = new Pages(arena, geometry.pages, vectors.layout.pageBytes);
    this.sequences = new Sequences(this.pages, geometry.layers);
    this.written = new Uint32Array(geometry.pages * geometry.layers);
  }

  /** Pages that appending `tokens` tokens takes: to `layer`, or to every layer. Copies of shared pages included. */
  needed(sequence: Sequence, tokens: number, layer?: number): number {
    let needed = 0;
    let index = this.#nextMissing(sequence, tokens, layer, 0);
    while (index >= 0) {
      needed++;
      index = this.#nextMissing(sequence, tokens, layer, index + 1);
    }
    return needed;
  }

  /** @throws CacheError OUT_OF_PAGES. */
  assertAvailable(needed: number): void {
    const { freeCount } = this.pages;
    if (needed <= freeCount) return;
    const available = freeCount + this.#evictable.idle();
    if (needed <= available) return;
    throw new CacheError("OUT_OF_PAGES", `needs ${needed} pages, ${available} are available`, {
      needed,
      available,
    });
  }

  /** Takes pages of the sequence's own wherever `tokens` more tokens will be written. All or nothing. */
  reserve(sequence: Sequence, tokens: number, layer?: number): void {
    const needed = this.needed(sequence, tokens, layer);
    if (needed === 0) return;
    this.#secure(needed);
    this.#sinks.prepare();
    const { table, reserved } = sequence;
    const had = table.length + reserved.length;
    for (let n = needed, index = 0; n > 0; n--, index++) {
      index = this.#nextMissing(sequence, tokens, layer, index, had);
      if (index < table.length) this.#copyPage(sequence, index);
      else reserved.push(this.#blank());
    }
  }

  /** As `reserve`, and what will be written enters the table, for the caller to write it now. */
  makeRoom(sequence: Sequence, tokens: number, layer: number): void {
    this.reserve(sequence, tokens, layer);
    const { table, reserved, fill } = sequence;
    const used = Math.ceil((fill[layer]! + tokens) / this.#geometry.pageTokens);
    while (table.length < used) table.push(reserved.shift()!);
  }

  /** The first index from `at` on of a page that is shared or not there and would be written; −1: there is none. */
  #nextMissing(
    sequence: Sequence,
    tokens: number,
    layer: number | undefined,
    at: number,
    had = sequence.table.length + sequence.reserved.length,
  ): number {
    if (tokens === 0) return -1;
    const { pageTokens } = this.#geometry;
    const { table, fill } = sequence;
    const from = layer === undefined ? leastFilled(sequence) : fill[layer]!;
    const to = (layer === undefined ? mostFilled(sequence) : from) + tokens;
    const last = Math.ceil(to / pageTokens);
    for (let index = Math.max(at, Math.floor(from / pageTokens)); index < last; index++) {
      const shared = index < table.length && table.isShared(index);
      if (index >= had || (shared && this.#writes(sequence, index, tokens, layer))) return index;
    }
    return -1;
  }

  #writes(sequence: Sequence, index: number, tokens: number, layer: number | undefined): boolean {
    if (layer !== undefined) return true;
    const { pageTokens } = this.#geometry;
    return sequence.fill.some((n) => n < (index + 1) * pageTokens && n + tokens > index * pageTokens);
  }

  #blank(): number {
    const page = this.pages.take();
    const { layers } = this.#geometry;
    this.#sinks.close(page);
    this.written.fill(0, page * layers, (page + 1) * layers);
    return page;
  }

  #copyPage(sequence: Sequence, index: number): void {
    const { layers, pageTokens } = this.#geometry;
    const from = sequence.table.get(index);
    const to = this.#blank();
    const held = (layer: number): number =>
      Math.min(pageTokens, Math.max(0, sequence.fill[layer]! - index * pageTokens));
    this.#sinks.copy(from, to, held);
    for (let layer = 0; layer < layers; layer++) {
      const tokens = held(layer);
      this.written[to * layers + layer] = tokens;
      this.#vectors.copy(this.pages.pointer(from), this.pages.pointer(to), layer, tokens);
    }
    sequence.table.replace(index, to);
    this.pages.counters.copies++;
  }

  /** Wipes what a layer of a page holds from token `at` on, before tokens up to `end` are written there. */
  claim(page: number, layer: number, at: number, end: number): void {
    const { layers } = this.#geometry;
    const slot = page * layers + layer;
    const stale = this.written[slot]!;
    if (stale > at) {
      this.#sinks.wipe(page, layer, at, stale);
      this.#vectors.wipe(this.pages.pointer(page), layer, at, stale);
    }
    this.written[slot] = end;
  }

  fork(parent: Sequence): Sequence {
    const child = this.sequences.create(parent.table);
    child.fill.set(parent.fill);
    this.#recent.share(parent.recent, child.recent);
    this.forks++;
    return child;
  }

  /** A new sequence of as many tokens, with blank pages where `present`. @throws CacheError OUT_OF_PAGES. */
  adoptBlank(present: readonly boolean[], fill: Uint32Array): Sequence {
    this.#secure(present.filter(Boolean).length);
    const sequence = this.sequences.create();
    sequence.fill.set(fill);
    this.place(
      sequence,
      present.map((there) => (there ? this.#blank() : RELEASED)),
    );
    return sequence;
  }

  /** Gives an empty table the pages of a sequence, those beyond its tokens as reserved ones. References pass to it. */
  place(sequence: Sequence, pages: readonly number[]): void {
    const used = Math.ceil(mostFilled(sequence) / this.#geometry.pageTokens);
    for (const [index, page] of pages.entries()) {
      if (index < used) sequence.table.push(page);
      else sequence.reserved.push(page);
    }
  }

  /** Frees idle pages until `needed` are free. Nothing has changed when it throws. */
  #secure(needed: number): void {
    this.assertAvailable(needed);
    while (this.pages.freeCount < needed) this.#evictable.evictOne();
    this.pages.prepare(needed);
  }

  /** A new sequence of `tokens` tokens in these pages, which it shares. */
  adopt(pages: readonly number[], tokens: number): Sequence {
    const sequence = this.sequences.create();
    sequence.fill.fill(tokens);
    sequence.recent.from.fill(tokens);
    for (const page of pages) {
      this.pages.retain(page);
      sequence.table.push(page);
    }
    return sequence;
  }

  /** Forgets tokens from `length` on in every layer. Reserved pages stay. @throws CacheError INVALID_POSITION. */
  truncate(sequence: Sequence, length: number): void {
    const { pageTokens } = this.#geometry;
    const tokens = leastFilled(sequence);
    if (length > tokens)
      throw new CacheError(
        "INVALID_POSITION",
        `"length" expected at most the ${tokens} tokens there are, got ${length}`,
      );
    if (length % pageTokens !== 0 && sequence.table.get(Math.floor(length / pageTokens)) === RELEASED)
      throw new CacheError(
        "INVALID_POSITION",
        `"length" expected a token that is still there, ${length} was released by the window`,
      );
    sequence.table.truncate(Math.ceil(length / pageTokens));
    for (let layer = 0; layer < sequence.fill.length; layer++)
      sequence.fill[layer] = Math.min(sequence.fill[layer]!, length);
    this.#recent.truncate(sequence.recent, length);
  }

  /** Releases the pages that hold only tokens from `sinks` on and before the last `window`. How many. */
  slide(sequence: Sequence, window: number, sinks: number): number {
    const { pageTokens } = this.#geometry;
    const last = Math.floor(Math.max(0, leastFilled(sequence) - window) / pageTokens);
    return sequence.table.release(Math.ceil(sinks / pageTokens), last);
  }

  free(sequence: Sequence): void {
    const { table, reserved } = sequence;
    for (let i = reserved.length - 1; i >= 0; i--) this.pages.release(reserved[i]!);
    table.truncate(0);
    this.#recent.drop(sequence.recent);
    this.sequences.remove(sequence);
  }
}
