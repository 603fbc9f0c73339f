/**
 * What the memory of a KV cache depends on: for every layer the KV heads and their dimensions. Everything
 * that planning computes starts from this, whether it came from flags, a GGUF file or a config.json.
 */
import { assertInteger } from "../core/check.js";

/** The cache of one layer; dimensions in values per head. */
export interface LayerShape {
  readonly kvHeads: number;
  readonly keyDim: number;
  /** 0 where the values are a view of the keys (multi-head latent attention). */
  readonly valueDim: number;
  /** Sliding window in tokens; null where the layer attends to the whole context. */
  readonly window: number | null;
}

/** A model's layers, as far as its cache is concerned. */
export interface ModelShape {
  readonly name: string;
  /** By model layer; null for a layer without a KV cache (recurrent, linear attention). */
  readonly layers: readonly (LayerShape | null)[];
  /** Query heads of layer 0; null when unknown. */
  readonly heads: number | null;
  /** KV heads of layer 0. */
  readonly kvHeads: number;
  /** Bytes of the weights; null when unknown. */
  readonly weightBytes: number | null;
  /** Tokens the model was trained for; null when unknown. */
  readonly trainedContext: number | null;
  /** What was not stated and had to be assumed, one sentence each. */
  readonly assumed: readonly string[];
}

/** A model whose layers are all alike, as flags describe it. */
export interface UniformShape {
  readonly name?: string;
  readonly layers: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly heads?: number | null;
  readonly weightBytes?: number | null;
  readonly trainedContext?: number | null;
  readonly assumed?: readonly string[];
}

/** @throws TypeError, RangeError for counts that are not positive integers. */
export function uniformShape(shape: UniformShape): ModelShape {
  assertInteger(shape.layers, "layers", 1, 10_000);
  assertInteger(shape.kvHeads, "kvHeads", 1, 100_000);
  assertInteger(shape.headDim, "headDim", 1, 100_000);
  if (shape.heads != null) assertInteger(shape.heads, "heads", 1, 100_000);
  const layer: LayerShape = {
    kvHeads: shape.kvHeads,
    keyDim: shape.headDim,
    valueDim: shape.headDim,
    window: null,
  };
  return {
    name: shape.name ?? "model",
    layers: Array.from({ length: shape.layers }, () => layer),
    heads: shape.heads ?? null,
    kvHeads: shape.kvHeads,
    weightBytes: shape.weightBytes ?? null,
    trainedContext: shape.trainedContext ?? null,
    assumed: shape.assumed ?? [],
  };
}

/** The geometry of a 27B-class model whose measured cache is 5,120 MiB at 32K: 40 layers, 8 KV heads of 128. */
export const CLASS_27B: ModelShape = uniformShape({
  name: "27B-class",
  layers: 40,
  heads: 32,
  kvHeads: 8,
  headDim: 128,
});

/** The old planner's model: 48 layers, 8 KV heads of 128; taken where nothing else is said. */
export const DEFAULT_GEOMETRY = { layers: 48, kvHeads: 8, headDim: 128 } as const;

/** One line for people: "48 layers, 8 KV heads of 128". */
export function describeShape(shape: ModelShape): string {
  const cached = shape.layers.filter((layer): layer is LayerShape => layer !== null);
  const windowed = cached.filter((layer) => layer.window !== null).length;
  const kinds = new Map<string, number>();
  for (const layer of cached) {
    const dims = layer.valueDim === layer.keyDim ? `${layer.keyDim}` : `${layer.keyDim}/${layer.valueDim}`;
    const kind = `${layer.kvHeads} KV head${layer.kvHeads === 1 ? "" : "s"} of ${dims}`;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
  }
  const parts = [...kinds].map(([kind, count]) => (kinds.size === 1 ? kind : `${kind} on ${count}`));
  const without = shape.layers.length - cached.length;
  if (without > 0) parts.push(`${without} without a KV cache`);
  if (windowed > 0) parts.push(`${windowed} with a sliding window`);
  return [`${shape.layers.length} layers`, ...parts].join(", ");
}
