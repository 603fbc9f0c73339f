import { type HalfBlocks, NO_PAGE, PagedLayer } from "../attention/paged-layer.js";
import { LEAF_PAGES, RELEASED } from "./page-table.js";
import type { CacheParts } from "./parts.js";
import type { Sequence } from "./sequences.js";

/**
 * A layer of a sequence as attention reads it: the pages in place, one run per page and head. One object is opened
 * again for every call, so that nothing is allocated. Tokens that are kept in halves attention puts in from there: the
 * first ones from the block of the first page, the last ones from the block of the sequence.
 */
export class PagedRuns extends PagedLayer {
  readonly #parts: CacheParts;
  #sequence!: Sequence;
  /** The leaf of pages that was looked at last, and the index of its first one. */
  #leaf: readonly number[] | undefined;
  #leafFrom = -1;

  constructor(parts: CacheParts) {
    super(parts.config.pageTokens);
    this.#parts = parts;
  }

  open(sequence: Sequence, layer: number): void {
    this.#sequence = sequence;
    this.#leafFrom = -1;
    this.tokens = sequence.fill[layer]!;
    this.layer = layer;
    const { sinks, recent, codecs, layout } = this.#parts;
    this.sinkTokens = 0;
    if (sinks.tokens > 0 && this.tokens > 0) {
      const page = sequence.table.get(0);
      if (page !== RELEASED) {
        this.sinkTokens = Math.min(sinks.tokens, this.tokens);
        this.#put(
          this.sinkBlocks,
          sinks.headBytes,
          sinks.pointer(page, layer, "key", 0),
          sinks.pointer(page, layer, "value", 0),
        );
      }
    }
    const { block, from } = sequence.recent;
    this.recentFrom = from[layer]!;
    this.ring = block ? recent.tokens : 0;
    if (block)
      this.#put(
        this.recentBlocks,
        recent.headBytes,
        recent.pointer(block, layer, "key", 0),
        recent.pointer(block, layer, "value", 0),
      );
    this.key = codecs.key[layer]!;
    this.value = codecs.value[layer]!;
    this.keyRegion = layout.region(layer, "key");
    this.valueRegion = layout.region(layer, "value");
  }

  page(index: number): number {
    const slot = index % LEAF_PAGES;
    if (index - slot !== this.#leafFrom) {
      this.#leafFrom = index - slot;
      this.#leaf = this.#sequence.table.leaf(index);
    }
    const page = this.#leaf ? this.#leaf[slot]! : RELEASED;
    return page === RELEASED ? NO_PAGE : this.#parts.tables.pages.pointer(page);
  }

  /** A leaf of pages at a time. */
  override listPages(tokens: number, out: Uint32Array, at: number): boolean {
    const count = Math.ceil(tokens / this.pageTokens);
    const { pages } = this.#parts.tables;
    for (let from = 0; from < count; from += LEAF_PAGES) {
      const leaf = this.#sequence.table.leaf(from);
      if (!leaf) return false;
      const n = Math.min(LEAF_PAGES, count - from);
      for (let i = 0; i < n; i++) {
        const page = leaf[i]!;
        if (page === RELEASED) return false;
        out[at + from + i] = pages.pointer(page);
      }
    }
    return true;
  }

  #put(blocks: HalfBlocks, headBytes: number, keys: number, values: number): void {
    blocks.headBytes = headBytes;
    blocks.keys = keys;
    blocks.values = values;
  }
}
