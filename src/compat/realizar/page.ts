/** A page of uncompressed keys and values. */
import { assertInteger } from "../../core/check.js";
import type { PageId } from "./ids.js";

/** keys, values: [blockSize, heads, dim] f32, row-major. All fields are the caller's to change, as in the crate. */
export class KvPage {
  id: PageId;
  keys: Float32Array;
  values: Float32Array;
  numTokens = 0;
  /** QUIRK: 1 from the start, also while the page is free and has never been used. */
  refCount = 1;

  /** Zeros. @throws RangeError for a size that is no whole number. */
  constructor(id: PageId, blockSize: number, numHeads: number, headDim: number) {
    const size = pageValues(blockSize, numHeads, headDim);
    this.id = id;
    this.keys = new Float32Array(size);
    this.values = new Float32Array(size);
  }

  /** Whether no token fits in any more. */
  isFull(blockSize: number): boolean {
    return this.numTokens >= blockSize;
  }

  /** Whether more than one sequence holds it. */
  isShared(): boolean {
    return this.refCount > 1;
  }

  /** Tokens that still fit; 0 when there are more than fit. */
  remainingCapacity(blockSize: number): number {
    return Math.max(0, blockSize - this.numTokens);
  }

  /** A deep copy. */
  clone(): KvPage {
    const copy = new KvPage(this.id, 0, 0, 0);
    copy.keys = this.keys.slice();
    copy.values = this.values.slice();
    copy.numTokens = this.numTokens;
    copy.refCount = this.refCount;
    return copy;
  }
}

/** Values of one side of a page. */
export function pageValues(blockSize: number, numHeads: number, headDim: number): number {
  assertInteger(blockSize, "blockSize", 0);
  assertInteger(numHeads, "numHeads", 0);
  assertInteger(headDim, "headDim", 0);
  return blockSize * numHeads * headDim;
}
