/** The library's front: vectors in, bytes out, by name of format. */
import { assertBytes, assertFloat32, assertOneOf } from "../core/check.js";
import { dot } from "../core/float.js";
import { MAX_DIM } from "../core/wht.js";
import type { Kernels } from "../kernels/kernels.js";
import { loadWasmSync } from "../kernels/wasm.js";
import type { CodecOptions, SanitizeCounts } from "./format.js";
import { bitsPerValue, findFormat } from "./registry.js";

/** What `createCodec` takes beside the format's name. */
export interface CreateCodecOptions extends Omit<CodecOptions, "kernels"> {
  /**
   * What runs: "reference" (TypeScript, the default), "wasm" (compiled on the spot), or a backend from `loadWasm()`.
   * Both give the same bits. Formats of other engines are TypeScript whichever is chosen, but for the llama fork's rotation.
   */
  readonly backend?: "reference" | "wasm" | Kernels;
}

/** Encodes and decodes n vectors at a time; n comes from the lengths. */
export interface Codec {
  readonly format: string;
  readonly dim: number;
  readonly bytesPerVector: number;
  /** Every stored bit over the values. */
  readonly bitsPerValue: number;
  /** What runs. */
  readonly backend: "reference" | "wasm-simd";
  /** Under nonFinite: "sanitize": what was mended so far; absent for formats without a policy. */
  readonly counts: SanitizeCounts | undefined;
  /** x: (n, dim) → (n, bytesPerVector). @throws FormatError NON_FINITE or SCALE_OVERFLOW, naming the vector. */
  encode(x: Float32Array): Uint8Array;
  /** (n, bytesPerVector) → (n, dim), original basis. */
  decode(bytes: Uint8Array): Float32Array;
  /** What the engine's own dequantiser returns: rotated and padded where it leaves values so. */
  decodeNative(bytes: Uint8Array): Float32Array;
  /** ⟨query, decoded vector⟩ for each of n vectors. query: (dim,). */
  score(query: Float32Array, bytes: Uint8Array): Float32Array;
}

/**
 * A codec of a format (see `listFormats`).
 * @throws FormatError UNKNOWN_FORMAT; RangeError for a dimension or option the format does not take; TypeError.
 */
export function createCodec(format: string, options: CreateCodecOptions): Codec {
  const found = findFormat(format);
  if (typeof options !== "object" || options === null)
    throw new TypeError(
      `"options" expected an object with dim, got ${options === null ? "null" : typeof options}`,
    );
  const { backend, ...rest } = options;
  if (typeof rest.dim !== "number") throw new TypeError(`"dim" expected a number, got ${typeof rest.dim}`);
  if (!Number.isInteger(rest.dim) || rest.dim < 1 || rest.dim > MAX_DIM)
    throw new RangeError(`"dim" expected ${found.dims} up to ${MAX_DIM} for ${format}, got ${rest.dim}`);
  const kernels = resolveBackend(backend);
  const codec = found.open(kernels ? { ...rest, kernels } : rest);
  const { dim, bytesPerVector, width } = codec;
  const count = (bytes: Uint8Array): number => {
    assertBytes(bytes, "bytes", bytesPerVector);
    return bytes.length / bytesPerVector;
  };
  return {
    format,
    dim,
    bytesPerVector,
    bitsPerValue: bitsPerValue(found, dim, rest.side),
    backend: kernels?.name ?? "reference",
    get counts() {
      return codec.counts && { ...codec.counts };
    },
    encode(x) {
      assertFloat32(x, "x", dim);
      const out = new Uint8Array((x.length / dim) * bytesPerVector);
      codec.encode(x, out);
      return out;
    },
    decode(bytes) {
      const out = new Float32Array(count(bytes) * dim);
      codec.decode(bytes, out);
      return out;
    },
    decodeNative(bytes) {
      const out = new Float32Array(count(bytes) * width);
      codec.decodeNative(bytes, out);
      return out;
    },
    score(query, bytes) {
      assertFloat32(query, "query");
      if (query.length !== dim) throw new RangeError(`"query" expected ${dim} values, got ${query.length}`);
      const out = new Float32Array(count(bytes));
      if (codec.score) {
        codec.score(query, bytes, out);
        return out;
      }
      const decoded = new Float32Array(dim);
      for (let i = 0; i < out.length; i++) {
        codec.decode(bytes.subarray(i * bytesPerVector, (i + 1) * bytesPerVector), decoded);
        out[i] = dot(query, decoded);
      }
      return out;
    },
  };
}

function resolveBackend(backend: CreateCodecOptions["backend"]): Kernels | undefined {
  if (backend === undefined || backend === "reference") return undefined;
  if (typeof backend === "object" && backend !== null) return backend;
  assertOneOf(backend, "backend", ["reference", "wasm"]);
  return loadWasmSync();
}
