/**
 * Keys and values of one quantised page: f32, or blocks of 32 values that are read and rewritten in place.
 *
 * QUIRKS: writing part of a block decodes it, changes the lanes and encodes it anew, so that a large new value
 * rounds its neighbours away, also those of another token when heads·dim is no multiple of 32; and what a former
 * owner left in the page takes part in that.
 */
import { assertInteger } from "../../core/check.js";
import type { Block } from "../../formats/block-codec.js";
import { REALIZAR_BLOCK_VALUES, realizarQ4, realizarQ8 } from "../../formats/realizar-blocks.js";
import { pageValues } from "./page.js";
import { assertQuantType, type KvQuantType } from "./quant-type.js";

/** One side. Offsets and lengths are values. */
interface Store {
  readonly byteLength: number;
  write(offset: number, data: ArrayLike<number>): void;
  read(offset: number, length: number): Float32Array;
  clone(): Store;
}

class PlainStore implements Store {
  readonly #values: Float32Array;

  constructor(values: Float32Array) {
    this.#values = values;
  }

  get byteLength(): number {
    return this.#values.byteLength;
  }

  /** What does not fit at the end is dropped. @throws RangeError for an offset past the end (the crate panics). */
  write(offset: number, data: ArrayLike<number>): void {
    this.#assertOffset(offset);
    const count = Math.min(data.length, this.#values.length - offset);
    for (let i = 0; i < count; i++) this.#values[offset + i] = data[i]!;
  }

  read(offset: number, length: number): Float32Array {
    this.#assertOffset(offset);
    return this.#values.slice(offset, offset + length);
  }

  clone(): Store {
    return new PlainStore(this.#values.slice());
  }

  #assertOffset(offset: number): void {
    assertInteger(offset, "offset", 0, this.#values.length);
  }
}

class BlockStore implements Store {
  readonly #block: Block;
  readonly #bytes: Uint8Array;

  constructor(block: Block, bytes: Uint8Array) {
    this.#block = block;
    this.#bytes = bytes;
  }

  get byteLength(): number {
    return this.#bytes.byteLength;
  }

  /** What does not fit is dropped, also all of it. */
  write(offset: number, data: ArrayLike<number>): void {
    const lanes = new Float32Array(REALIZAR_BLOCK_VALUES);
    this.#visit(offset, data.length, (at, lane, count, done) => {
      this.#block.dequantize(this.#bytes, at, lanes, 0);
      for (let i = 0; i < count; i++) lanes[lane + i] = data[done + i]!;
      this.#block.quantize(lanes, 0, REALIZAR_BLOCK_VALUES, this.#bytes, at);
    });
  }

  /** Ends at the last block, which may be past the page's last value. */
  read(offset: number, length: number): Float32Array {
    const lanes = new Float32Array(REALIZAR_BLOCK_VALUES);
    const end = (this.#bytes.length / this.#block.bytes) * REALIZAR_BLOCK_VALUES;
    const out = new Float32Array(Math.max(0, Math.min(length, end - offset)));
    this.#visit(offset, out.length, (at, lane, count, done) => {
      this.#block.dequantize(this.#bytes, at, lanes, 0);
      out.set(lanes.subarray(lane, lane + count), done);
    });
    return out;
  }

  clone(): Store {
    return new BlockStore(this.#block, this.#bytes.slice());
  }

  /** For each block that [offset, offset + length) touches: its byte position, first lane, lanes, and values before it. */
  #visit(
    offset: number,
    length: number,
    touch: (at: number, lane: number, count: number, done: number) => void,
  ): void {
    let at = Math.floor(offset / REALIZAR_BLOCK_VALUES) * this.#block.bytes;
    let lane = offset % REALIZAR_BLOCK_VALUES;
    for (let done = 0; done < length && at < this.#bytes.length; at += this.#block.bytes) {
      const count = Math.min(REALIZAR_BLOCK_VALUES - lane, length - done);
      touch(at, lane, count, done);
      done += count;
      lane = 0;
    }
  }
}

/** Keys or values of a page in one of the crate's types. */
export class QuantizedKvData {
  readonly #quantType: KvQuantType;
  readonly #keys: Store;
  readonly #values: Store;

  /** Zeros for [blockSize, numHeads, headDim] keys and values. */
  constructor(quantType: KvQuantType, blockSize: number, numHeads: number, headDim: number);
  /** A copy. */
  constructor(from: QuantizedKvData);
  constructor(from: KvQuantType | QuantizedKvData, blockSize = 0, numHeads = 0, headDim = 0) {
    if (from instanceof QuantizedKvData) {
      this.#quantType = from.#quantType;
      this.#keys = from.#keys.clone();
      this.#values = from.#values.clone();
      return;
    }
    assertQuantType(from, "quantType");
    const size = pageValues(blockSize, numHeads, headDim);
    this.#quantType = from;
    this.#keys = emptyStore(from, size);
    this.#values = emptyStore(from, size);
  }

  /** The type of its blocks. */
  quantType(): KvQuantType {
    return this.#quantType;
  }

  /** Bytes stored, scales included: 4 per f32, 36 per Q8 block, 20 per Q4 block. */
  memoryBytes(): number {
    return this.#keys.byteLength + this.#values.byteLength;
  }

  /**
   * Writes from value `offset` on; what does not fit is dropped.
   * @throws RangeError for FP32 and an offset past the end.
   */
  writeKeys(offset: number, data: ArrayLike<number>): void {
    assertInteger(offset, "offset", 0);
    this.#keys.write(offset, data);
  }

  /** As {@link writeKeys}. */
  writeValues(offset: number, data: ArrayLike<number>): void {
    assertInteger(offset, "offset", 0);
    this.#values.write(offset, data);
  }

  /**
   * Up to `length` values from `offset` on; fewer at the end. Q8 and Q4 end at the last block's end (QUIRK).
   * @throws RangeError for FP32 and an offset past the end.
   */
  readKeys(offset: number, length: number): Float32Array {
    assertInteger(offset, "offset", 0);
    assertInteger(length, "length", 0);
    return this.#keys.read(offset, length);
  }

  /** As {@link readKeys}. */
  readValues(offset: number, length: number): Float32Array {
    assertInteger(offset, "offset", 0);
    assertInteger(length, "length", 0);
    return this.#values.read(offset, length);
  }

  /** A deep copy. */
  clone(): QuantizedKvData {
    return new QuantizedKvData(this);
  }
}

function emptyStore(type: KvQuantType, size: number): Store {
  if (type === "FP32") return new PlainStore(new Float32Array(size));
  const block = type === "Q8" ? realizarQ8 : realizarQ4;
  return new BlockStore(block, new Uint8Array(Math.ceil(size / REALIZAR_BLOCK_VALUES) * block.bytes));
}
