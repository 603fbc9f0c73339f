/**
 * A cache by the definition: every vector is encoded by a format's codec, decoded at once, and attended to in f32.
 * Slow in memory and plain in what it does, it is what attention on packed bytes is compared with.
 */
import { createCodec } from "../../src/formats/codec.js";
import type { CodecOptions } from "../../src/formats/format.js";
import type { KvStore } from "../../src/model/kv-store.js";

export function decodedKv(inner: KvStore, headDim: number, key: string, value: string, seed = 1): KvStore {
  const codec = (format: string, side: CodecOptions["side"]) => {
    if (format === "f32") return (x: Float32Array) => x;
    const { encode, decode } = createCodec(format, { dim: headDim, seed, side: side!, backend: "wasm" });
    return (x: Float32Array) => decode(encode(x));
  };
  const keyThrough = codec(key, "key");
  const valueThrough = codec(value, "value");
  return {
    get length() {
      return inner.length;
    },
    reset: () => inner.reset(),
    append: (layer, keys, values, tokens) =>
      inner.append(layer, keyThrough(keys.slice()), valueThrough(values.slice()), tokens),
    attend: (layer, queries, tokens, out) => inner.attend(layer, queries, tokens, out),
  };
}
