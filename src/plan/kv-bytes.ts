/**
 * Bytes of a KV cache, counted from the formats' real bytes: block scales, padded heads, mixed layers,
 * sliding windows. There is no nominal "bits per value" in here.
 *
 *   bytes = Σ over layers of  cells · (kvHeads · keyBytes(keyDim) + kvHeads · valueBytes(valueDim))
 */
import { assertInteger } from "../core/check.js";
import type { Side } from "../formats/format.js";
import type { LayerShape, ModelShape } from "./model-shape.js";

/** Bytes of one head vector. @throws RangeError for an unknown format or a dimension it does not take. */
export type VectorBytes = (format: string, dim: number, side: Side) => number;

/** The type of each side of each layer; index = model layer. */
export interface LayerTypes {
  readonly keys: readonly string[];
  readonly values: readonly string[];
}

/** Bytes per 1,024² and 1,024³. */
export const MIB = 2 ** 20;
/** Bytes of a GiB. */
export const GIB = 2 ** 30;

/** Physical batch that llama-server adds to a sliding window, and the multiple it rounds cells up to. */
const WINDOW_BATCH = 512;
const CELL_MULTIPLE = 256;

/** ggml packs a whole row of heads: a head size that is no multiple of its block of 32 still fits by row. */
function rowBytes(format: string, heads: number, dim: number, side: Side, vectorBytes: VectorBytes): number {
  if (dim === 0) return 0;
  if (format.startsWith("ggml/") && dim % 32 !== 0 && (heads * dim) % 32 === 0)
    return ((heads * dim) / 32) * vectorBytes(format, 32, side);
  return heads * vectorBytes(format, dim, side);
}

/** Cells that llama-server allocates for a layer at this context. */
export function layerCells(layer: LayerShape, tokens: number): number {
  if (layer.window === null) return tokens;
  const cells = Math.ceil((layer.window + WINDOW_BATCH) / CELL_MULTIPLE) * CELL_MULTIPLE;
  return Math.min(tokens, cells);
}

/** Key and value bytes of one token in one layer; [0, 0] for a layer without a cache. */
export function layerTokenBytes(
  shape: ModelShape,
  types: LayerTypes,
  index: number,
  vectorBytes: VectorBytes,
): [number, number] {
  const layer = shape.layers[index];
  if (layer == null) return [0, 0];
  return [
    rowBytes(types.keys[index]!, layer.kvHeads, layer.keyDim, "key", vectorBytes),
    rowBytes(types.values[index]!, layer.kvHeads, layer.valueDim, "value", vectorBytes),
  ];
}

/** Bytes of a cache, layer by layer. */
export interface KvBytes {
  readonly keys: number;
  readonly values: number;
  readonly total: number;
}

/** Counts the formats once: (tokens) => bytes of the whole cache, for many contexts of the same model. */
export function kvCounter(
  shape: ModelShape,
  types: LayerTypes,
  vectorBytes: VectorBytes,
): (tokens: number) => KvBytes {
  const sides = new Map<number | null, { layer: LayerShape; key: number; value: number }>();
  shape.layers.forEach((layer, index) => {
    if (layer === null) return;
    const [key, value] = layerTokenBytes(shape, types, index, vectorBytes);
    const sum = sides.get(layer.window) ?? { layer, key: 0, value: 0 };
    sides.set(layer.window, { layer, key: sum.key + key, value: sum.value + value });
  });
  return (tokens) => {
    let keys = 0;
    let values = 0;
    for (const { layer, key, value } of sides.values()) {
      const cells = layerCells(layer, tokens);
      keys += cells * key;
      values += cells * value;
    }
    return { keys, values, total: keys + values };
  };
}

/** Bytes of the whole cache at `tokens` tokens of context. */
export function kvBytes(
  shape: ModelShape,
  types: LayerTypes,
  tokens: number,
  vectorBytes: VectorBytes,
): KvBytes {
  assertInteger(tokens, "tokens", 0);
  return kvCounter(shape, types, vectorBytes)(tokens);
}

/** Bytes that one more token takes while every window is still open: the sum over all layers. */
export function bytesPerToken(shape: ModelShape, types: LayerTypes, vectorBytes: VectorBytes): KvBytes {
  return kvBytes(shape, types, 1, vectorBytes);
}

/** Values per token over all layers, keys and values, without padding. */
export function valuesPerToken(shape: ModelShape): number {
  let count = 0;
  for (const layer of shape.layers)
    if (layer !== null) count += layer.kvHeads * (layer.keyDim + layer.valueDim);
  return count;
}

/** Average stored bits per value over the whole model. */
export function bitsPerValue(shape: ModelShape, types: LayerTypes, vectorBytes: VectorBytes): number {
  return (bytesPerToken(shape, types, vectorBytes).total * 8) / valuesPerToken(shape);
}

/** The same type on every layer. */
export function uniformTypes(layers: number, keys: string, values: string): LayerTypes {
  return { keys: Array<string>(layers).fill(keys), values: Array<string>(layers).fill(values) };
}

/** The old planner's estimate: 2 · layers · kvHeads · headDim · tokens · bits / 8 with one number of bits. */
export function nominalKvBytes(shape: ModelShape, tokens: number, bits: number): number {
  return (valuesPerToken(shape) * tokens * bits) / 8;
}
