/** A page of the quantised cache. */
import { assertInteger } from "../../core/check.js";
import type { PageId } from "./ids.js";
import { QuantizedKvData } from "./quant-data.js";
import type { KvQuantType } from "./quant-type.js";

/** A page of quantised keys and values. */
export class QuantizedKvPage {
  id: PageId;
  data: QuantizedKvData;
  numTokens = 0;
  /** QUIRK: 0 from the start, where `KvPage` has 1. */
  refCount = 0;
  readonly #blockSize: number;
  /** Values of one token: heads · dim. */
  readonly #tokenValues: number;

  /** Zeros: blockSize tokens of numHeads · headDim values, keys and values. */
  constructor(id: PageId, quantType: KvQuantType, blockSize: number, numHeads: number, headDim: number) {
    this.id = id;
    this.data = new QuantizedKvData(quantType, blockSize, numHeads, headDim);
    this.#blockSize = blockSize;
    this.#tokenValues = numHeads * headDim;
  }

  /** The type of its blocks. */
  quantType(): KvQuantType {
    return this.data.quantType();
  }

  /** Bytes stored, scales included. */
  memoryBytes(): number {
    return this.data.memoryBytes();
  }

  /** Whether no token fits in any more. */
  isFull(): boolean {
    return this.numTokens >= this.#blockSize;
  }

  /** Whether more than one sequence holds it. */
  isShared(): boolean {
    return this.refCount > 1;
  }

  /** Tokens that still fit; 0 when there are more than fit. */
  remainingCapacity(): number {
    return Math.max(0, this.#blockSize - this.numTokens);
  }

  /** Writes from token `position` of the page on, as many values as come. */
  writeKeys(position: number, keys: ArrayLike<number>): void {
    this.data.writeKeys(this.#offset(position), keys);
  }

  /** As {@link writeKeys}. */
  writeValues(position: number, values: ArrayLike<number>): void {
    this.data.writeValues(this.#offset(position), values);
  }

  /** One token's keys: (heads · dim,). */
  readKeys(position: number): Float32Array {
    return this.data.readKeys(this.#offset(position), this.#tokenValues);
  }

  /** One token's values: (heads · dim,). */
  readValues(position: number): Float32Array {
    return this.data.readValues(this.#offset(position), this.#tokenValues);
  }

  #offset(position: number): number {
    assertInteger(position, "position", 0);
    return position * this.#tokenValues;
  }
}
