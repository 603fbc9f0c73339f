/** Any format through its own codec, decoded a tile at a time. */
import type { VectorCodec } from "../formats/format.js";
import type { Kernels } from "../kernels/kernels.js";
import { FloatSide } from "./float-side.js";

/** Spans of the arena are copied: a codec may make it grow. */
export class DecodedSide extends FloatSide {
  readonly #codec: VectorCodec;
  #x = new Float32Array(0);
  #bytes = new Uint8Array(0);

  constructor(format: string, kernels: Kernels, codec: VectorCodec) {
    super(format, kernels, codec.dim, codec.bytesPerVector, 1);
    this.#codec = codec;
  }

  override decode(bytes: number, rows: number, out: number): void {
    this.#fit(rows);
    const { arena } = this.kernels;
    const packed = this.#bytes.subarray(0, rows * this.stride);
    const x = this.#x.subarray(0, rows * this.dim);
    packed.set(arena.bytes(bytes, rows * this.stride));
    this.#codec.decode(packed, x);
    arena.f32.set(x, out >>> 2);
  }

  override encode(x: number, rows: number, out: number): void {
    this.#fit(rows);
    const { arena } = this.kernels;
    const packed = this.#bytes.subarray(0, rows * this.stride);
    const values = this.#x.subarray(0, rows * this.dim);
    values.set(arena.floats(x, rows * this.dim));
    this.#codec.encode(values, packed);
    arena.u8.set(packed, out);
  }

  override release(): void {
    super.release();
    this.#codec.release?.();
  }

  #fit(rows: number): void {
    if (this.#x.length >= rows * this.dim) return;
    this.#x = new Float32Array(rows * this.dim);
    this.#bytes = new Uint8Array(rows * this.stride);
  }
}
