import type { SideCodec } from "../attention/side-codec.js";
import type { TokenRuns } from "../attention/token-runs.js";
import { TILE_TOKENS } from "../kernels/tile.js";
import type { Region } from "./layout.js";
import { LEAF_PAGES, RELEASED } from "./page-table.js";
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

  listTiles(head: number, tokens: number, out: Uint32Array, keys: number, values: number): boolean {
    const { config, tables } = this.#parts;
    const tilesPerPage = config.pageTokens / TILE_TOKENS;
    const tiles = Math.ceil(tokens / TILE_TOKENS);
    const { offset: keyOffset, headBytes: keyBytes, stride: keyStride } = this.#keyRegion;
    const { offset: valueOffset, headBytes: valueBytes, stride: valueStride } = this.#valueRegion;
    let leaf: readonly number[] | undefined;
    for (let index = 0, tile = 0; tile < tiles; index++) {
      const slot = index % LEAF_PAGES;
      if (slot === 0) leaf = this.#sequence.table.leaf(index);
      const page = leaf ? leaf[slot]! : RELEASED;
      if (page === RELEASED) return false;
      const base = tables.pages.pointer(page);
      let key = base + keyOffset + head * keyBytes;
      let value = base + valueOffset + head * valueBytes;
      for (const end = Math.min(tile + tilesPerPage, tiles); tile < end; tile++) {
        out[keys + tile] = key;
        out[values + tile] = value;
        key += TILE_TOKENS * keyStride;
        value += TILE_TOKENS * valueStride;
      }
    }
    return true;
  }
}
