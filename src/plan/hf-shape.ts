/**
 * Model shape from a Hugging Face config.json (a vision model's text part where it is nested). What the file
 * leaves to the library's defaults is filled in and said.
 */
import { z } from "zod";
import { FormatError } from "../core/format-error.js";
import type { LayerShape, ModelShape } from "./model-shape.js";

const count = z.int().positive();
const config = z.object({
  model_type: z.string().optional(),
  _name_or_path: z.string().optional(),
  num_hidden_layers: count,
  num_attention_heads: count,
  num_key_value_heads: count.nullish(),
  hidden_size: count.optional(),
  head_dim: count.nullish(),
  v_head_dim: count.nullish(),
  max_position_embeddings: count.nullish(),
  layer_types: z.array(z.string()).nullish(),
  sliding_window: count.nullish(),
  use_sliding_window: z.boolean().nullish(),
  max_window_layers: z.int().nonnegative().nullish(),
  sliding_window_pattern: count.nullish(),
  full_attention_interval: count.nullish(),
  kv_lora_rank: count.nullish(),
  qk_rope_head_dim: count.nullish(),
});
type Config = z.infer<typeof config>;

/** @throws FormatError("BAD_FILE") naming the field. */
export function shapeFromHfConfig(json: unknown, weightBytes: number | null, name?: string): ModelShape {
  const assumed: string[] = [];
  const nested = (json as { text_config?: unknown } | null)?.text_config;
  const parsed = config.safeParse(nested ?? json);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    const where = [...(nested ? ["text_config"] : []), ...path].join(".");
    throw new FormatError("BAD_FILE", `not a usable config.json: ${where || "top level"}: ${message}`);
  }
  const c = parsed.data;
  if (nested) assumed.push("the text part (text_config) is planned, the vision part has no KV cache");
  const layer = layerOf(c, assumed);
  const window = windows(c, assumed);
  const cached = attention(c, assumed);
  const layers = Array.from({ length: c.num_hidden_layers }, (_, il) =>
    cached(il) ? { ...layer, window: window(il) } : null,
  );
  if (layers.every((entry) => entry === null))
    throw new FormatError("BAD_FILE", "not a usable config.json: no layer has a KV cache");
  return {
    name: name ?? c._name_or_path ?? c.model_type ?? "model",
    layers,
    heads: c.num_attention_heads,
    kvHeads: layer.kvHeads,
    weightBytes,
    trainedContext: c.max_position_embeddings ?? null,
    assumed,
  };
}

function layerOf(c: Config, assumed: string[]): Omit<LayerShape, "window"> {
  if (c.kv_lora_rank != null && c.qk_rope_head_dim != null) {
    assumed.push("latent attention: one compressed key a token, values are read from it");
    return { kvHeads: 1, keyDim: c.kv_lora_rank + c.qk_rope_head_dim, valueDim: 0 };
  }
  let kvHeads = c.num_key_value_heads;
  if (kvHeads == null) {
    kvHeads = c.num_attention_heads;
    assumed.push(`num_key_value_heads is not stated: ${kvHeads}, as many as query heads, is assumed`);
  }
  let keyDim = c.head_dim;
  if (keyDim == null) {
    if (c.hidden_size === undefined)
      throw new FormatError("BAD_FILE", "not a usable config.json: neither head_dim nor hidden_size");
    keyDim = c.hidden_size / c.num_attention_heads;
    if (!Number.isInteger(keyDim))
      throw new FormatError(
        "BAD_FILE",
        `not a usable config.json: hidden_size ${c.hidden_size} is no multiple of ${c.num_attention_heads} heads`,
      );
    assumed.push(`head_dim is not stated: hidden_size / heads = ${keyDim} is assumed`);
  }
  return { kvHeads, keyDim, valueDim: c.v_head_dim ?? keyDim };
}

const said = (window: number): string =>
  `sliding window of ${window}: llama-server is assumed to keep window + 512 cells, rounded up to 256`;

function windows(c: Config, assumed: string[]): (il: number) => number | null {
  const size = c.sliding_window;
  if (size == null || c.use_sliding_window === false) return () => null;
  const types = c.layer_types;
  if (types != null) {
    if (types.some((type) => type === "sliding_attention")) assumed.push(said(size));
    return (il) => (types[il] === "sliding_attention" ? size : null);
  }
  const every = c.sliding_window_pattern;
  if (every != null && every > 1) {
    assumed.push(said(size));
    return (il) => (il % every < every - 1 ? size : null);
  }
  if (c.use_sliding_window && c.max_window_layers != null) {
    const from = c.max_window_layers;
    assumed.push(said(size));
    return (il) => (il >= from ? size : null);
  }
  assumed.push(`a sliding window of ${size} is stated but not its layers: all are counted at full context`);
  return () => null;
}

function attention(c: Config, assumed: string[]): (il: number) => boolean {
  const fixed = "keep a recurrent state of fixed size, which is not counted";
  const types = c.layer_types;
  if (types != null) {
    if (types.length < c.num_hidden_layers)
      throw new FormatError(
        "BAD_FILE",
        `not a usable config.json: layer_types has ${types.length} entries for ${c.num_hidden_layers} layers`,
      );
    const without = types.filter((type) => !type.endsWith("attention") || type === "linear_attention").length;
    if (without > 0) assumed.push(`${without} layers have no attention over the context: they ${fixed}`);
    return (il) => types[il]!.endsWith("attention") && types[il] !== "linear_attention";
  }
  const interval = c.full_attention_interval;
  if (interval == null || interval < 2) return () => true;
  assumed.push(`every ${interval}th layer has a KV cache; the others ${fixed}`);
  return (il) => (il + 1) % interval === 0;
}
