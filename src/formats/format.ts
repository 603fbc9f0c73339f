/**
 * What a format is: its name, its bytes, and how vectors become bytes and come back.
 *
 * A vector is one head of one token: `dim` f32 values. Its code is self-contained: `vectorBytes(dim)` bytes,
 * in which every stored bit is counted (norms, padding, sketches). Sizes and ratios anywhere in this library
 * are computed from `vectorBytes` and from nothing else.
 */

import type { SketchKind } from "../core/qjl.js";
import type { ScaleRule } from "../core/scale.js";
import type { Kernels } from "../kernels/kernels.js";

/** Attention reads keys and averages values: formats may differ by side, defaults do. */
export type Side = "key" | "value";

/** What to do with NaN, infinities and scales that fp16 cannot hold. `reject` throws a FormatError. */
export type NonFinitePolicy = "reject" | "sanitize";

export interface CodecOptions {
  /** Values per vector. */
  readonly dim: number;
  /** Seed of the rotation (and of the sketch); ignored by formats with a fixed rotation or none. */
  readonly seed?: number | bigint;
  readonly side?: Side;
  /** Default by side: keys `norm-matching`, values `unbiased`; with a sketch `least-squares`. Our own formats only. */
  readonly scale?: ScaleRule;
  /** Key centring: a mean (dim,) that is subtracted before and added after. Only our own formats. */
  readonly center?: Float32Array;
  readonly nonFinite?: NonFinitePolicy;
  /** Rows of the QJL sketch, for the formats that have one. Default: orthogonal. */
  readonly sketch?: SketchKind;
  /** Which channels are outliers, ascending: for the formats that treat them apart (outliers.ts). */
  readonly outliers?: readonly number[];
  /** Which backend runs. Default: the reference. */
  readonly kernels?: Kernels;
}

/** What a codec mended or noticed instead of refusing it. */
export interface SanitizeCounts {
  /** Vectors with NaN or infinities. */
  nonFinite: number;
  /** Stored halves that were clamped to 65504. */
  overflow: number;
  /** Non-zero vectors whose scale is below the smallest half: they decode to zeros. */
  underflow: number;
}

/** Encodes and decodes whole vectors. Spans are caller-owned; n is taken from the lengths. */
export interface VectorCodec {
  readonly dim: number;
  readonly bytesPerVector: number;
  /** Values per vector in the engine's own basis: `dim`, or more where the format pads heads. */
  readonly width: number;
  /** Present where the format has a policy for what it cannot hold. */
  readonly counts?: SanitizeCounts;
  /** x: (n, dim) → out: (n, bytesPerVector), wholly overwritten. @throws FormatError by policy. */
  encode(x: Float32Array, out: Uint8Array): void;
  /** bytes: (n, bytesPerVector) → out: (n, dim), original basis, padding cropped. */
  decode(bytes: Uint8Array, out: Float32Array): void;
  /** What the engine's own dequantiser returns: out (n, width), rotated if the format stays rotated. */
  decodeNative(bytes: Uint8Array, out: Float32Array): void;
  /** ⟨query, decoded key⟩ for each vector. query: (dim,), original basis → out: (n,). Where the format gives it. */
  score?(query: Float32Array, bytes: Uint8Array, out: Float32Array): void;
  /** Gives back what it holds of a backend's memory, if anything. The codec is of no use afterwards. */
  release?(): void;
}

/** A wire format: which vectors it can hold, in how many bytes, and how to open a codec of it. */
export interface Format {
  readonly name: string;
  /** Who defined the bytes: turboquant, polarquant, ggml, llama, realizar, vllm, onnxruntime, plain. */
  readonly family: string;
  /** Which dimensions it takes, in words: "multiples of 32". */
  readonly dims: string;
  /** Whether vectors of this many values can be coded. */
  supports(dim: number): boolean;
  /** Bytes of one vector. dim: one that is supported. Formats whose sides differ look at `side` (default key). */
  vectorBytes(dim: number, side?: Side): number;
  /** True when the engine's dequantiser leaves values in the rotated basis. */
  readonly rotated: boolean;
  /** What has been compared with native bytes, and what has not. */
  readonly verified: string;
  /** Where the definition comes from. */
  readonly source: string;
  /** @throws RangeError when `dim` is not supported. */
  open(options: CodecOptions): VectorCodec;
}
