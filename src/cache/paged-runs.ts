import type { SideCodec } from "../attention/side-codec.js";
import type { TokenRuns } from "../attention/token-runs.js";
import type { Region } from "./layout.js";
import { RELEASED } from "./page-table.js";
import type { CacheParts } from "./parts.js";
import type { Sequence } from "./sequences.js";

/**
 * A layer of a sequence as attention reads it: the pages in place, one run per page and head. One object is opened
 * again for every call, so that nothing is allocated. Tokens that are kept in halves attention puts in from there: the
 * first ones from the block of the first page, the last ones from the block of the sequence.
 */
export class PagedRuns implements TokenRuns {
  keyPointer = 0;
  valuePointer = 0;
  tokens = 0;
  layer = 0;
  sinkTokens = 0;
  recentFrom = 0;
  ring = 0;
  #sinkPage = 0;
  key!: SideCodec;
  value!: SideCodec;
  readonly #parts: CacheParts;
  #sequence!: Sequence;
  #keyRegion!: Region;
  #valueRegion!: Region;

  constructor(parts: CacheParts) {
    this.#parts = parts;
  }

  open(sequence: Sequence, layer: number): void {
    this.#sequence = sequence;
    this.tokens = sequence.fill[layer]!;
    this.layer = layer;
    const { sinks } = this.#parts;
    this.sinkTokens = 0;
    if (sinks.tokens > 0 && this.tokens > 0) {
      this.#sinkPage = sequence.table.get(0);
      if (this.#sinkPage !== RELEASED) this.sinkTokens = Math.min(sinks.tokens, this.tokens);
    }
    const { recent } = this.#parts;
    this.recentFrom = sequence.recent.from[layer]!;
    this.ring = sequence.recent.block ? recent.tokens : 0;
    this.key = this.#parts.codecs.key[layer]!;
    this.value = this.#parts.codecs.value[layer]!;
    this.#keyRegion = this.#parts.layout.region(layer, "key");
    this.#valueRegion = this.#parts.layout.region(layer, "value");
  }

  sinkKeys(head: number): number {
    return this.#parts.sinks.pointer(this.#sinkPage, this.layer, "key", head);
  }
  sinkValues(head: number): number {
    return this.#parts.sinks.pointer(this.#sinkPage, this.layer, "value", head);
  }

  recentKeys(head: number): number {
    return this.#parts.recent.pointer(this.#sequence.recent.block!, this.layer, "key", head);
  }
  recentValues(head: number): number {
    return this.#parts.recent.pointer(this.#sequence.recent.block!, this.layer, "value", head);
  }

  seek(position: number, head: number): number {
    const { pageTokens } = this.#parts.config;
    const at = position % pageTokens;
    const page = this.#sequence.table.get((position - at) / pageTokens);
    if (page === RELEASED) return at - pageTokens;
    const base = this.#parts.tables.pages.pointer(page);
    const key = this.#keyRegion;
    const value = this.#valueRegion;
    this.keyPointer = base + key.offset + head * key.headBytes + at * key.stride;
    this.valuePointer = base + value.offset + head * value.headBytes + at * value.stride;
    return pageTokens - at;
  }
}
