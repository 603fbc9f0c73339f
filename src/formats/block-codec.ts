/**
 * A codec of engine blocks: each head is cut into blocks of fixed size, the last one zero-padded, and the engine's
 * own quantiser runs on each. The engines never refuse a value, so neither do these codecs.
 */
import { assertBytes, assertFloat32 } from "../core/check.js";
import type { Kernels } from "../kernels/kernels.js";
import type { CodecOptions, Format, VectorCodec } from "./format.js";

/** One block: `values` consecutive values of a head in `bytes` bytes. */
export interface Block {
  readonly values: number;
  readonly bytes: number;
  /** x[from … from + count) and then zeros up to `values` → out[at … at + bytes). 1 ≤ count ≤ values. */
  quantize(x: Float32Array, from: number, count: number, out: Uint8Array, at: number): void;
  /** bytes[at …] → y[to … to + values), as the engine's dequantiser returns them. */
  dequantize(bytes: Uint8Array, at: number, y: Float32Array, to: number): void;
  /** y: (values,) → original basis, in place. Absent where `dequantize` returns that already. */
  unrotate?(y: Float32Array): void;
  /** Gives back what it holds of a backend's memory. */
  release?(): void;
}

/** The codec of heads of `dim` values in ⌈dim / block.values⌉ blocks. */
export function blockCodec(dim: number, block: Block): VectorCodec {
  const blocks = Math.ceil(dim / block.values);
  const stride = blocks * block.bytes;
  const width = blocks * block.values;
  const scratch = new Float32Array(block.values);

  /** How many values of block b belong to the head, not to the padding. */
  const count = (b: number): number => Math.min(block.values, dim - b * block.values);

  return {
    dim,
    width,
    bytesPerVector: stride,
    encode(x, out) {
      assertFloat32(x, "x", dim);
      const n = x.length / dim;
      assertSize(out, "out", n * stride);
      for (let v = 0; v < n; v++)
        for (let b = 0; b < blocks; b++)
          block.quantize(x, v * dim + b * block.values, count(b), out, v * stride + b * block.bytes);
    },
    decode(bytes, out) {
      assertBytes(bytes, "bytes", stride);
      const n = bytes.length / stride;
      assertSize(out, "out", n * dim);
      for (let v = 0; v < n; v++) {
        for (let b = 0; b < blocks; b++) {
          block.dequantize(bytes, v * stride + b * block.bytes, scratch, 0);
          block.unrotate?.(scratch);
          const to = v * dim + b * block.values;
          for (let i = 0; i < count(b); i++) out[to + i] = scratch[i]!;
        }
      }
    },
    decodeNative(bytes, out) {
      assertBytes(bytes, "bytes", stride);
      const n = bytes.length / stride;
      assertSize(out, "out", n * width);
      for (let i = 0; i < n * blocks; i++) block.dequantize(bytes, i * block.bytes, out, i * block.values);
    },
    release: () => block.release?.(),
  };
}

/** A format made of such blocks. blockFor: the block for a dimension that `supports` accepts, run by kernels if given. */
export function blockFormat(
  about: Omit<Format, "vectorBytes" | "open">,
  blockFor: (dim: number, kernels?: Kernels) => Block,
): Format {
  return {
    ...about,
    vectorBytes: (dim) => {
      const block = blockFor(dim);
      return Math.ceil(dim / block.values) * block.bytes;
    },
    open({ dim, kernels }: CodecOptions) {
      assertSupported(about, dim);
      return blockCodec(dim, blockFor(dim, kernels));
    },
  };
}

/** @throws RangeError naming the format, the dimensions it takes, and the one that came. */
export function assertSupported(format: Pick<Format, "name" | "dims" | "supports">, dim: number): void {
  if (typeof dim !== "number") throw new TypeError(`"dim" expected a number, got ${typeof dim}`);
  if (!format.supports(dim))
    throw new RangeError(`"dim" expected ${format.dims} for ${format.name}, got ${dim}`);
}

/** @throws RangeError when a caller-owned span has not exactly `length` elements. */
export function assertSize(span: Float32Array | Uint8Array, name: string, length: number): void {
  if (span.length !== length)
    throw new RangeError(`"${name}" expected ${length} elements, got ${span.length}`);
}
