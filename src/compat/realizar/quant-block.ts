/** The crate's two blocks of 32 values as objects; the arithmetic is in formats/realizar-blocks. */
import { getF32, putF32 } from "../../core/little-endian.js";
import type { Block } from "../../formats/block-codec.js";
import { REALIZAR_BLOCK_VALUES, realizarQ4, realizarQ8 } from "../../formats/realizar-blocks.js";

/** Values per block. Blocks run over the whole page and ignore where tokens and heads begin (QUIRK). */
export const KV_QUANT_BLOCK_SIZE: number = REALIZAR_BLOCK_VALUES;

/** 36 bytes: an f32 scale and 32 int8 codes. */
export class Q8KvBlock {
  readonly bytes: Uint8Array = new Uint8Array(realizarQ8.bytes);
  /** Views of the bytes. */
  readonly quants: Int8Array = new Int8Array(this.bytes.buffer, 4);

  /** values: 32. @throws RangeError for another number. */
  static quantize(values: ArrayLike<number>): Q8KvBlock {
    const block = new Q8KvBlock();
    realizarQ8.quantize(block32(values), 0, KV_QUANT_BLOCK_SIZE, block.bytes, 0);
    return block;
  }

  /** → 32 values. */
  dequantize(): Float32Array {
    return decoded(realizarQ8, this.bytes);
  }

  get scale(): number {
    return getF32(this.bytes, 0);
  }

  set scale(value: number) {
    putF32(this.bytes, 0, value);
  }
}

/** 20 bytes: an f32 scale and 32 four-bit codes, offset by 8. A zero block dequantises to −0 (QUIRK). */
export class Q4KvBlock {
  readonly bytes: Uint8Array = new Uint8Array(realizarQ4.bytes);
  /** A view of the bytes. Value 2i is the low nibble of byte i. */
  readonly quants: Uint8Array = this.bytes.subarray(4);

  /** values: 32. @throws RangeError for another number. */
  static quantize(values: ArrayLike<number>): Q4KvBlock {
    const block = new Q4KvBlock();
    realizarQ4.quantize(block32(values), 0, KV_QUANT_BLOCK_SIZE, block.bytes, 0);
    return block;
  }

  /** → 32 values. */
  dequantize(): Float32Array {
    return decoded(realizarQ4, this.bytes);
  }

  get scale(): number {
    return getF32(this.bytes, 0);
  }

  set scale(value: number) {
    putF32(this.bytes, 0, value);
  }
}

function block32(values: ArrayLike<number>): Float32Array {
  if (values.length === KV_QUANT_BLOCK_SIZE) return Float32Array.from(values);
  throw new RangeError(`"values" expected ${KV_QUANT_BLOCK_SIZE} values, got ${values.length}`);
}

function decoded(block: Block, bytes: Uint8Array): Float32Array {
  const values = new Float32Array(KV_QUANT_BLOCK_SIZE);
  block.dequantize(bytes, 0, values, 0);
  return values;
}
