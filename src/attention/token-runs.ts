/** Where the vectors of a layer lie, and which of a tile's tokens are there. */
import type { HalfRuns } from "./half-rows.js";
import { TILE } from "./readers.js";
import type { SideCodec } from "./side-codec.js";

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
   * Where keys and values of the first `tokens` tokens of a head lie in tiles of sixteen: their pointers go to `out`, keys
   * from index `keys` on, values from index `values` on. False where some tokens are absent.
   */
  listTiles(head: number, tokens: number, out: Uint32Array, keys: number, values: number): boolean;
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
