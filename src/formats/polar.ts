/**
 * polar3.875: the recursive polar codec of the PolarQuant paper (arXiv 2502.02617) after our signed WHT. Groups of 16
 * rotated values are 62 bits: 15 angle codes (8 × 4 bits, then 4, 2 and 1 × 2 bits) and an fp16 radius, as one
 * LSB-first stream over the whole vector: dim · 3.875 bits, 62 bytes at dim 128. TypeScript only.
 */
import { assertBytes, assertFloat32, assertOneOf } from "../core/check.js";
import { F16_MAX, fromF16, toF16 } from "../core/float.js";
import { FormatError } from "../core/format-error.js";
import { fromPolar, POLAR_BITS, POLAR_GROUP, POLAR_GROUP_BITS, toPolar } from "../core/recursive-polar.js";
import { seededRotation } from "../core/seeded-rotation.js";
import { assertRotates, type Rotation, rotate, rotates, unrotate } from "../core/wht.js";
import { assertSize } from "./block-codec.js";
import type { CodecOptions, Format, SanitizeCounts, VectorCodec } from "./format.js";

const vectorBytes = (dim: number): number => (dim / POLAR_GROUP) * (POLAR_GROUP_BITS / 8);

export const polarFormats: readonly Format[] = [
  {
    name: "polar3.875",
    family: "polarquant",
    dims: "multiples of 64",
    supports: (dim) => rotates(dim) && dim % 64 === 0,
    vectorBytes,
    rotated: false,
    verified: "defined here after the paper; no native bytes exist",
    source: "PolarQuant (arXiv 2502.02617), 4 levels, 4+2+2+2 bits, fp16 radius per 16 values",
    open: (options) => new PolarCodec(options),
  },
];

/** Code widths of one group in stream order. */
const WIDTHS = [8, 4, 2, 1].flatMap((n, level) => Array.from({ length: n }, () => POLAR_BITS[level]!));

class PolarCodec implements VectorCodec {
  readonly dim: number;
  readonly width: number;
  readonly bytesPerVector: number;
  readonly counts: SanitizeCounts = { nonFinite: 0, overflow: 0, underflow: 0 };
  readonly #rotation: Rotation;
  readonly #center: Float32Array | undefined;
  readonly #sanitize: boolean;
  readonly #x: Float32Array;
  readonly #codes = new Uint8Array(15);

  constructor({ dim, seed = 0, center, nonFinite = "reject" }: CodecOptions) {
    assertRotates(dim);
    if (dim % 64 !== 0) throw new RangeError(`"dim" expected a multiple of 64 for polar3.875, got ${dim}`);
    assertOneOf(nonFinite, "nonFinite", ["reject", "sanitize"]);
    this.dim = dim;
    this.width = dim;
    this.bytesPerVector = vectorBytes(dim);
    this.#rotation = seededRotation(dim, seed);
    this.#center = center;
    this.#sanitize = nonFinite === "sanitize";
    this.#x = new Float32Array(dim);
  }

  encode(x: Float32Array, out: Uint8Array): void {
    const { dim, bytesPerVector } = this;
    assertFloat32(x, "x", dim);
    const n = x.length / dim;
    assertSize(out, "out", n * bytesPerVector);
    const packed = new Uint8Array(out.length);
    const counts = { ...this.counts };
    for (let v = 0; v < n; v++) {
      this.#load(x.subarray(v * dim, (v + 1) * dim), v, counts);
      const writer = new BitWriter(packed, v * bytesPerVector);
      for (let g = 0; g < dim; g += POLAR_GROUP) {
        let radius = toPolar(this.#x.subarray(g, g + POLAR_GROUP), this.#codes);
        if ((radius & 0x7c00) === 0x7c00) {
          if (!this.#sanitize)
            throw new FormatError(
              "SCALE_OVERFLOW",
              `vector ${v} has a group of 16 values whose radius does not fit fp16 (65520 and above overflow)`,
              v,
            );
          radius = toF16(F16_MAX);
          counts.overflow++;
        }
        for (let i = 0; i < 15; i++) writer.put(this.#codes[i]!, WIDTHS[i]!);
        writer.put(radius, 16);
      }
    }
    Object.assign(this.counts, counts);
    out.set(packed);
  }

  decode(bytes: Uint8Array, out: Float32Array): void {
    const { dim, bytesPerVector } = this;
    assertBytes(bytes, "bytes", bytesPerVector);
    const n = bytes.length / bytesPerVector;
    assertSize(out, "out", n * dim);
    for (let v = 0; v < n; v++) {
      const row = out.subarray(v * dim, (v + 1) * dim);
      const reader = new BitReader(bytes, v * bytesPerVector);
      for (let g = 0; g < dim; g += POLAR_GROUP) {
        for (let i = 0; i < 15; i++) this.#codes[i] = reader.take(WIDTHS[i]!);
        fromPolar(this.#codes, reader.take(16), row.subarray(g, g + POLAR_GROUP));
      }
      unrotate(this.#rotation, row);
      if (this.#center) for (let i = 0; i < dim; i++) row[i]! += this.#center[i]!;
    }
  }

  decodeNative(bytes: Uint8Array, out: Float32Array): void {
    this.decode(bytes, out);
  }

  /** The centred, rotated vector into #x; refuses or mends what is not finite. */
  #load(row: Float32Array, vector: number, counts: SanitizeCounts): void {
    const x = this.#x;
    const bad = row.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) {
      if (!this.#sanitize)
        throw new FormatError(
          "NON_FINITE",
          `vector ${vector} has ${row[bad]} at coordinate ${bad}; only finite values can be encoded (nonFinite: "sanitize" mends and counts)`,
          vector,
        );
      counts.nonFinite++;
    }
    const largest = fromF16(0x7bff);
    for (let i = 0; i < x.length; i++) {
      const value = row[i]!;
      const finite = Number.isNaN(value) ? 0 : Math.min(largest, Math.max(-largest, value));
      const kept = this.#sanitize ? finite : value;
      x[i] = this.#center ? kept - this.#center[i]! : kept;
    }
    rotate(this.#rotation, x);
  }
}

class BitWriter {
  #bit: number;
  constructor(
    readonly out: Uint8Array,
    at: number,
  ) {
    this.#bit = at * 8;
  }
  put(value: number, bits: number): void {
    for (let i = 0; i < bits; i++, this.#bit++)
      this.out[this.#bit >> 3]! |= ((value >> i) & 1) << (this.#bit & 7);
  }
}

class BitReader {
  #bit: number;
  constructor(
    readonly bytes: Uint8Array,
    at: number,
  ) {
    this.#bit = at * 8;
  }
  take(bits: number): number {
    let value = 0;
    for (let i = 0; i < bits; i++, this.#bit++)
      value |= ((this.bytes[this.#bit >> 3]! >> (this.#bit & 7)) & 1) << i;
    return value;
  }
}
