/** A copy of a model whose keys have a large constant added, as Qwen2's do: the source with `attn_k.bias` tensors. */
import type { ModelSource } from "../../src/model/model-source.js";
import { F32_TYPE } from "../../src/model/tensor-types.js";

const BIAS = /^blk\.\d+\.attn_k\.bias$/;

/** perHead: (headDim,), added to every key before RoPE, in every layer and head. */
export function withKeyBias(source: ModelSource, perHead: Float32Array): ModelSource {
  const { kvHeads, headDim } = source.config;
  const columns = kvHeads * headDim;
  return {
    path: source.path,
    fileBytes: source.fileBytes,
    config: source.config,
    tensor: (name) =>
      BIAS.test(name)
        ? { name, type: F32_TYPE, rows: 1, columns, bytes: 4 * columns, offset: 0 }
        : source.tensor(name),
    async read(info, into) {
      if (!BIAS.test(info.name)) return source.read(info, into);
      const bias = Float32Array.from({ length: columns }, (_, i) => perHead[i % headDim]!);
      into.set(new Uint8Array(bias.buffer));
    },
    close: () => source.close(),
  };
}

/** `constant` on the pairs that RoPE turns least: the last `pairs` of a head whose pairs are adjacent. */
export const slowBias = (headDim: number, pairs: number, constant: number): Float32Array =>
  Float32Array.from({ length: headDim }, (_, i) => (i >= headDim - 2 * pairs ? constant : 0));
