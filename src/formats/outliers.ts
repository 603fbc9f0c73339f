/**
 * turbo2.5 and turbo3.5: outlier channels apart from the others (TurboQuant, arXiv 2504.19874, §4.3), two independent
 * instances with rotations and scales of their own. turbo2.5: a quarter of the channels at 3 bits, the rest at 2;
 * turbo3.5: half at 4 bits, half at 3 (the paper names no split for 3.5 bits; this one is ours).
 *
 * One vector: the outliers' turbo code, then the others'. DEVIATION: both scales are counted. At dim 128 turbo2.5 takes 40
 * bytes = 2.5 bits per value (the paper's "2.5" counts codes alone, which are 2.25), turbo3.5 takes 60 bytes = 3.75.
 * Which channels are outliers is chosen once (`selectOutliers`) and belongs to whoever stores the vectors: dim/8 bytes.
 */
import { assertBytes, assertFloat32, assertInteger } from "../core/check.js";
import { MAX_DIM } from "../core/wht.js";
import { createReferenceKernels } from "../kernels/reference.js";
import type { CodecOptions, Format, SanitizeCounts, VectorCodec } from "./format.js";
import { OwnCodec } from "./own-codec.js";

interface Split {
  readonly name: string;
  /** Fraction of channels that are outliers is 1/share. */
  readonly share: number;
  readonly outlierBits: number;
  readonly otherBits: number;
}

const SPLITS: readonly Split[] = [
  { name: "turbo2.5", share: 4, outlierBits: 3, otherBits: 2 },
  { name: "turbo3.5", share: 2, outlierBits: 4, otherBits: 3 },
];

export const outlierFormats: readonly Format[] = SPLITS.map((split) => {
  const step = 32 * split.share;
  const bytes = (dim: number): number => {
    const outliers = dim / split.share;
    return 4 + (outliers * split.outlierBits + (dim - outliers) * split.otherBits) / 8;
  };
  return {
    name: split.name,
    family: "turboquant",
    dims: `multiples of ${step}`,
    supports: (dim) => Number.isInteger(dim) && dim > 0 && dim % step === 0 && dim <= MAX_DIM,
    vectorBytes: bytes,
    rotated: false,
    verified: "defined here; TypeScript and WASM equal bit for bit",
    source:
      "TurboQuant (arXiv 2504.19874) §4.3, outlier channels; channel mask (dim/8 bytes) stored once, not per vector",
    open: (options) => new OutlierCodec(split, step, options),
  };
});

/**
 * The channels of largest mean square over a sample, ascending. sample: (n, dim); count: how many.
 * Ties go to the lower channel.
 */
export function selectOutliers(sample: Float32Array, dim: number, count: number): number[] {
  assertInteger(dim, "dim", 1, MAX_DIM);
  assertFloat32(sample, "sample", dim);
  assertInteger(count, "count", 0, dim);
  const energy = new Float64Array(dim);
  for (let i = 0; i < sample.length; i++) energy[i % dim]! += sample[i]! * sample[i]!;
  const order = Array.from(energy.keys()).sort((a, b) => energy[b]! - energy[a]! || a - b);
  return order.slice(0, count).sort((a, b) => a - b);
}

class OutlierCodec implements VectorCodec {
  readonly dim: number;
  readonly width: number;
  readonly bytesPerVector: number;
  /** Outliers first, then the others: the permutation of channels that is coded. */
  readonly #channels: Uint32Array;
  readonly #parts: readonly { readonly codec: OwnCodec; readonly from: number; readonly byteAt: number }[];

  constructor(split: Split, step: number, options: CodecOptions) {
    const { dim } = options;
    assertInteger(dim, "dim", step, MAX_DIM);
    if (dim % step !== 0)
      throw new RangeError(`"dim" expected a multiple of ${step} for ${split.name}, got ${dim}`);
    const count = dim / split.share;
    const outliers = options.outliers ?? Array.from({ length: count }, (_, i) => i);
    assertChannels(outliers, count, dim);
    const chosen = new Set(outliers);
    const others = Array.from({ length: dim }, (_, i) => i).filter((i) => !chosen.has(i));
    this.#channels = Uint32Array.from([...outliers, ...others]);

    const kernels = options.kernels ?? createReferenceKernels();
    const part = (bits: number, from: number, to: number, label: string): OwnCodec => {
      const { center, outliers: _, ...rest } = options;
      const channels = this.#channels.subarray(from, to);
      const own = center ? { center: Float32Array.from(channels, (c) => center[c]!) } : {};
      return new OwnCodec(
        { name: split.name, bits, sketch: false, trellis: undefined },
        { ...rest, ...own, kernels, dim: to - from },
        label,
      );
    };
    const first = part(split.outlierBits, 0, count, "outlier");
    const second = part(split.otherBits, count, dim, "rotation");
    this.#parts = [
      { codec: first, from: 0, byteAt: 0 },
      { codec: second, from: count, byteAt: first.bytesPerVector },
    ];
    this.dim = dim;
    this.width = dim;
    this.bytesPerVector = first.bytesPerVector + second.bytesPerVector;
  }

  get counts(): SanitizeCounts {
    const [a, b] = this.#parts.map((p) => p.codec.counts) as [SanitizeCounts, SanitizeCounts];
    return {
      nonFinite: a.nonFinite + b.nonFinite,
      overflow: a.overflow + b.overflow,
      underflow: a.underflow + b.underflow,
    };
  }

  encode(x: Float32Array, out: Uint8Array): void {
    assertFloat32(x, "x", this.dim);
    const n = x.length / this.dim;
    const packed = this.#parts.map(({ codec, from }) => {
      const bytes = new Uint8Array(n * codec.bytesPerVector);
      codec.encode(this.#gather(x, n, from, codec.dim), bytes);
      return bytes;
    });
    this.#parts.forEach(({ codec, byteAt }, p) => {
      const { bytesPerVector } = codec;
      for (let r = 0; r < n; r++)
        out.set(
          packed[p]!.subarray(r * bytesPerVector, (r + 1) * bytesPerVector),
          r * this.bytesPerVector + byteAt,
        );
    });
  }

  decode(bytes: Uint8Array, out: Float32Array): void {
    const n = this.#count(bytes);
    for (const { codec, from, byteAt } of this.#parts) {
      const part = new Float32Array(n * codec.dim);
      codec.decode(this.#slice(bytes, n, codec, byteAt), part);
      for (let r = 0; r < n; r++)
        for (let i = 0; i < codec.dim; i++)
          out[r * this.dim + this.#channels[from + i]!] = part[r * codec.dim + i]!;
    }
  }

  decodeNative(bytes: Uint8Array, out: Float32Array): void {
    this.decode(bytes, out);
  }

  score(query: Float32Array, bytes: Uint8Array, out: Float32Array): void {
    assertFloat32(query, "query");
    if (query.length !== this.dim)
      throw new RangeError(`"query" expected ${this.dim} values, got ${query.length}`);
    const n = this.#count(bytes);
    out.fill(0);
    const partial = new Float32Array(n);
    for (const { codec, from, byteAt } of this.#parts) {
      codec.score(this.#gather(query, 1, from, codec.dim), this.#slice(bytes, n, codec, byteAt), partial);
      for (let r = 0; r < n; r++) out[r]! += partial[r]!;
    }
  }

  release(): void {
    for (const { codec } of this.#parts) codec.release();
  }

  #count(bytes: Uint8Array): number {
    assertBytes(bytes, "bytes", this.bytesPerVector);
    return bytes.length / this.bytesPerVector;
  }

  #gather(x: Float32Array, n: number, from: number, dim: number): Float32Array {
    const part = new Float32Array(n * dim);
    for (let r = 0; r < n; r++)
      for (let i = 0; i < dim; i++) part[r * dim + i] = x[r * this.dim + this.#channels[from + i]!]!;
    return part;
  }

  #slice(bytes: Uint8Array, n: number, { bytesPerVector }: OwnCodec, byteAt: number): Uint8Array {
    const part = new Uint8Array(n * bytesPerVector);
    for (let r = 0; r < n; r++) {
      const at = r * this.bytesPerVector + byteAt;
      part.set(bytes.subarray(at, at + bytesPerVector), r * bytesPerVector);
    }
    return part;
  }
}

function assertChannels(channels: readonly number[], count: number, dim: number): void {
  if (!Array.isArray(channels)) throw new TypeError(`"outliers" expected an array, got ${typeof channels}`);
  const ascending = channels.every(
    (c, i) => Number.isInteger(c) && c >= 0 && c < dim && (i === 0 || c > channels[i - 1]!),
  );
  if (channels.length !== count || !ascending)
    throw new RangeError(
      `"outliers" expected ${count} ascending channels below ${dim}, got [${channels.join(", ")}]`,
    );
}
