/** f32 and f16: values as they are, little-endian, and rounded to halves (to nearest even, overflow to infinity). */
import { assertBytes, assertFloat32 } from "../core/check.js";
import { getF16, getF32, putF16, putF32 } from "../core/little-endian.js";
import { MAX_DIM } from "../core/wht.js";
import { assertSize, assertSupported } from "./block-codec.js";
import type { Format, VectorCodec } from "./format.js";

interface Store {
  readonly bytes: number;
  readonly put: (out: Uint8Array, at: number, value: number) => void;
  readonly get: (bytes: Uint8Array, at: number) => number;
}

const STORES: Readonly<Record<"f32" | "f16", Store>> = {
  f32: { bytes: 4, put: putF32, get: getF32 },
  f16: { bytes: 2, put: putF16, get: getF16 },
};

function plainFormat(name: "f32" | "f16"): Format {
  const store = STORES[name];
  const about = {
    name,
    family: "plain",
    dims: "any",
    supports: (dim: number) => Number.isInteger(dim) && dim >= 1 && dim <= MAX_DIM,
    vectorBytes: (dim: number) => dim * store.bytes,
    rotated: false,
    verified: name === "f16" ? "all 65,536 halves; native bytes as ggml/f16" : "the identity",
    source: "IEEE 754",
  };
  return {
    ...about,
    open({ dim }) {
      assertSupported(about, dim);
      return plainCodec(dim, store);
    },
  };
}

function plainCodec(dim: number, { bytes: size, put, get }: Store): VectorCodec {
  const bytesPerVector = dim * size;
  const decode = (bytes: Uint8Array, out: Float32Array): void => {
    assertBytes(bytes, "bytes", bytesPerVector);
    assertSize(out, "out", bytes.length / size);
    for (let i = 0; i < out.length; i++) out[i] = get(bytes, i * size);
  };
  return {
    dim,
    width: dim,
    bytesPerVector,
    encode(x, out) {
      assertFloat32(x, "x", dim);
      assertSize(out, "out", x.length * size);
      for (let i = 0; i < x.length; i++) put(out, i * size, x[i]!);
    },
    decode,
    decodeNative: decode,
  };
}

export const plainFormats: readonly Format[] = [plainFormat("f32"), plainFormat("f16")];
