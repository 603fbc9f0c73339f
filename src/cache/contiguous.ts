/**
 * Contiguous caches in and out: `past_key_values.N.key` and `.value` of transformers.js and ONNX Runtime, each
 * [1, heads, tokens, dim] (or [heads, tokens, dim]) of f32 or f16 — so that a prompt's cache can be kept compressed
 * and be brought back.
 */
import { assertOneOf } from "../core/check.js";
import { fromF16, toF16 } from "../core/float.js";
import type { KvCache } from "./kv-cache.js";
import type { SequenceHandle } from "./sequences.js";

/** As ONNX Runtime's and transformers.js' tensors: halves are a Uint16Array of their bits. */
export interface ContiguousTensor {
  readonly dims: readonly number[];
  readonly data: Float32Array | Uint16Array;
}

/** Element type of tensors that go in or come out. */
export type ContiguousType = "float32" | "float16";
const TYPES = ["float32", "float16"] as const;

/** Tensors by name. `past_key_values.N.key`, or `present.N.key` as models return them, N a layer. */
export type PastKeyValues = Readonly<Record<string, ContiguousTensor>>;

/**
 * A new sequence with a contiguous cache's tokens.
 * @throws TypeError, RangeError for tensors that do not fit the cache; CacheError as append. Nothing remains then.
 */
export function importPastKeyValues(cache: KvCache, past: PastKeyValues): SequenceHandle {
  const { layers } = cache.config;
  if (typeof past !== "object" || past === null)
    throw new TypeError(`"past" expected tensors by name, got ${past === null ? "null" : typeof past}`);
  const seq = cache.create();
  try {
    for (let layer = 0; layer < layers; layer++) {
      const [keys, values] = ["key", "value"].map((side) => {
        const name = `past_key_values.${layer}.${side}`;
        return tokenMajor(cache, name, past[name] ?? past[`present.${layer}.${side}`]);
      }) as [Float32Array, Float32Array];
      cache.append(seq, layer, keys, values);
      if (cache.layerLength(seq, layer) !== cache.layerLength(seq, 0))
        throw new RangeError(
          `"past_key_values.${layer}" expected ${cache.layerLength(seq, 0)} tokens as layer 0 has, got ${cache.layerLength(seq, layer)}`,
        );
    }
  } catch (error) {
    cache.free(seq);
    throw error;
  }
  return seq;
}

/** The tokens of a sequence, decoded: tensors [1, kvHeads, tokens, headDim] by name. @throws as read. */
export function exportPastKeyValues(
  cache: KvCache,
  seq: SequenceHandle,
  type: ContiguousType = "float32",
): Record<string, ContiguousTensor> {
  assertOneOf(type, "type", TYPES);
  const { layers, kvHeads, headDim } = cache.config;
  const tokens = cache.length(seq);
  const tensors: Record<string, ContiguousTensor> = {};
  for (let layer = 0; layer < layers; layer++) {
    for (const side of ["key", "value"] as const) {
      const x = cache.read(seq, layer, side);
      const data = type === "float32" ? new Float32Array(x.length) : new Uint16Array(x.length);
      for (let t = 0; t < tokens; t++)
        for (let head = 0; head < kvHeads; head++)
          for (let i = 0; i < headDim; i++) {
            const value = x[(t * kvHeads + head) * headDim + i]!;
            data[(head * tokens + t) * headDim + i] = type === "float32" ? value : toF16(value);
          }
      tensors[`past_key_values.${layer}.${side}`] = { dims: [1, kvHeads, tokens, headDim], data };
    }
  }
  return tensors;
}

/** [heads, tokens, dim] → (tokens, heads, dim) f32. */
function tokenMajor(cache: KvCache, name: string, tensor: ContiguousTensor | undefined): Float32Array {
  const { kvHeads, headDim } = cache.config;
  if (!tensor) throw new RangeError(`"${name}" expected among the tensors, is missing`);
  const { dims, data } = tensor;
  const half = data instanceof Uint16Array;
  if (!half && !(data instanceof Float32Array))
    throw new TypeError(`"${name}" expected a Float32Array, or a Uint16Array of halves`);
  const [heads, tokens, dim] = dims.length === 4 && dims[0] === 1 ? dims.slice(1) : dims;
  const fits = dims.length <= 4 && heads === kvHeads && dim === headDim && tokens !== undefined;
  if (!fits || data.length !== kvHeads * tokens * headDim)
    throw new RangeError(
      `"${name}" expected [1, ${kvHeads}, tokens, ${headDim}] and as many values, got [${dims}] and ${data.length}`,
    );
  const x = new Float32Array(data.length);
  for (let head = 0; head < kvHeads; head++)
    for (let t = 0; t < tokens; t++)
      for (let i = 0; i < headDim; i++) {
        const value = data[(head * tokens + t) * headDim + i]!;
        x[(t * kvHeads + head) * headDim + i] = half ? fromF16(value) : value;
      }
  return x;
}
