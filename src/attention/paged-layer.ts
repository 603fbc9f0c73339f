/**
 * A layer of a sequence in pages, as attention reads it: where pages are is the business of who has them, the rest is
 * numbers, so that another thread can read the same layer from a list of pages.
 */
import type { SideCodec } from "./side-codec.js";
import type { PageRegion, TokenRuns } from "./token-runs.js";

/** Blocks of halves: where the first head's begin, and how many bytes a head has. */
export interface HalfBlocks {
  keys: number;
  values: number;
  headBytes: number;
}

/** Stands for a page that was released. */
export const NO_PAGE = 0;

export abstract class PagedLayer implements TokenRuns {
  keyPointer = 0;
  valuePointer = 0;
  tokens = 0;
  layer = 0;
  sinkTokens = 0;
  recentFrom = 0;
  ring = 0;
  key!: SideCodec;
  value!: SideCodec;
  keyRegion!: PageRegion;
  valueRegion!: PageRegion;
  readonly sinkBlocks: HalfBlocks = { keys: 0, values: 0, headBytes: 0 };
  readonly recentBlocks: HalfBlocks = { keys: 0, values: 0, headBytes: 0 };

  constructor(readonly pageTokens: number) {}

  /** Where the page of tokens index · pageTokens … begins, or NO_PAGE. */
  abstract page(index: number): number;

  sinkKeys(head: number): number {
    return this.sinkBlocks.keys + head * this.sinkBlocks.headBytes;
  }
  sinkValues(head: number): number {
    return this.sinkBlocks.values + head * this.sinkBlocks.headBytes;
  }
  recentKeys(head: number): number {
    return this.recentBlocks.keys + head * this.recentBlocks.headBytes;
  }
  recentValues(head: number): number {
    return this.recentBlocks.values + head * this.recentBlocks.headBytes;
  }

  seek(position: number, head: number): number {
    const at = position % this.pageTokens;
    const page = this.page((position - at) / this.pageTokens);
    if (page === NO_PAGE) return at - this.pageTokens;
    const { keyRegion: key, valueRegion: value } = this;
    this.keyPointer = page + key.offset + head * key.headBytes + at * key.stride;
    this.valuePointer = page + value.offset + head * value.headBytes + at * value.stride;
    return this.pageTokens - at;
  }

  listPages(tokens: number, out: Uint32Array, at: number): boolean {
    const pages = Math.ceil(tokens / this.pageTokens);
    for (let index = 0; index < pages; index++) {
      const page = this.page(index);
      if (page === NO_PAGE) return false;
      out[at + index] = page;
    }
    return true;
  }
}
