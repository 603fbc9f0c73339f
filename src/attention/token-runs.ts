/** Where the vectors of a layer lie, and which of a tile's tokens are there. */
import type { HalfRuns } from "./half-rows.js";
import { TILE } from "./readers.js";
import type { SideCodec } from "./side-codec.js";

/** Where the vectors of one layer's side are in a page, in bytes. */
export interface PageRegion {
  readonly offset: number;
  /** Of a vector, and of all the vectors that a head has in a page. */
  readonly stride: number;
  readonly headBytes: number;
}

/** The vectors of one layer: runs of tokens whose keys, and whose values, are contiguous for each head. */
export interface TokenRuns extends HalfRuns {
  /** Which layer it is: keys may be centred by means of its own. */
  readonly layer: number;
  readonly key: SideCodec;
  readonly value: SideCodec;
  /** Tokens that the layer holds, released ones included. */
  readonly tokens: number;
  /**
   * Looks up token `position` of a head and says how many tokens from it on are contiguous (at least 1); negative:
   * how many are absent. The pointers then point to it.
   */
  seek(position: number, head: number): number;
  readonly keyPointer: number;
  readonly valuePointer: number;
  /**
   * Where the pages of the first `tokens` tokens begin: their pointers go to `out`, from index `at` on. False where some
   * are absent.
   */
  listPages(tokens: number, out: Uint32Array, at: number): boolean;
  /** Tokens of a page, and where in it the vectors of a side begin. */
  readonly pageTokens: number;
  readonly keyRegion: PageRegion;
  readonly valueRegion: PageRegion;
}

/** Runs of a tile's tokens: from `at`, `count` of them, at `pointer`. Nothing is allocated for a new one. */
export class RunList {
  readonly at = new Int32Array(TILE);
  readonly count = new Int32Array(TILE);
  readonly pointer = new Float64Array(TILE);
  length = 0;

  add(at: number, count: number, pointer: number): void {
    const n = this.length++;
    this.at[n] = at;
    this.count[n] = count;
    this.pointer[n] = pointer;
  }
}
