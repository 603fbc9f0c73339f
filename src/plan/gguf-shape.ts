/**
 * Model shape from GGUF metadata (keys as in ggml's gguf specification and llama.cpp's llama-arch.cpp).
 * Pure: takes the key–value pairs; model-file.ts reads the file.
 */
import { FormatError } from "../core/format-error.js";
import type { LayerShape, ModelShape } from "./model-shape.js";

/** Layers i with i % n < n − 1 have a sliding window where the file has no pattern (llama.cpp's set_swa_pattern). */
const WINDOW_PATTERN: Readonly<Record<string, number>> = { gemma2: 2, gemma3: 6, cohere2: 4, "gpt-oss": 2 };

type Metadata = Readonly<Record<string, unknown>>;

/** @throws FormatError("BAD_FILE") when counts that the cache depends on are missing or senseless. */
export function shapeFromGguf(metadata: Metadata, weightBytes: number | null): ModelShape {
  const arch = metadata["general.architecture"];
  if (typeof arch !== "string") throw bad("general.architecture is missing");
  const get = (key: string): unknown => metadata[`${arch}.${key}`];
  const assumed: string[] = [];
  const layers = positive(get("block_count"), `${arch}.block_count`);
  const heads = perLayer(get("attention.head_count"), layers, `${arch}.attention.head_count`);
  if (heads === null) throw bad(`${arch}.attention.head_count is missing`);
  let kvHeads = perLayer(get("attention.head_count_kv"), layers, `${arch}.attention.head_count_kv`);
  if (kvHeads === null) {
    kvHeads = heads;
    assumed.push("the file does not state KV heads: as many as query heads are assumed");
  }
  const firstHeads = heads.find((count) => count > 0) ?? 0;
  const headDim = (key: string): number => {
    const stated = get(key);
    if (stated !== undefined) return positive(stated, `${arch}.${key}`);
    const embedding = positive(get("embedding_length"), `${arch}.embedding_length`);
    if (firstHeads === 0 || embedding % firstHeads !== 0)
      throw bad(`${arch}.${key} is missing and embedding ${embedding} is no multiple of ${firstHeads} heads`);
    return embedding / firstHeads;
  };
  const keyDim = headDim("attention.key_length");
  const latent = get("attention.kv_lora_rank") !== undefined && get("attention.key_length_mla") !== undefined;
  const valueDim = latent ? 0 : headDim("attention.value_length");
  if (latent) assumed.push("latent attention: values are read from the key cache, no value cache is counted");
  const window = windows(arch, get, layers, assumed);
  const cached = fullAttention(arch, get, layers, assumed);
  const shapes = kvHeads.map((count, il): LayerShape | null =>
    count === 0 || !cached(il) ? null : { kvHeads: count, keyDim, valueDim, window: window(il) },
  );
  if (shapes.every((layer) => layer === null)) throw bad("no layer has a KV cache");
  const trained = get("context_length");
  const name = metadata["general.name"];
  return {
    name: typeof name === "string" && name !== "" ? name : arch,
    layers: shapes,
    heads: firstHeads === 0 ? null : firstHeads,
    kvHeads: kvHeads.find((count) => count > 0)!,
    weightBytes,
    trainedContext: trained === undefined ? null : positive(trained, `${arch}.context_length`),
    assumed,
  };
}

const bad = (what: string): FormatError => new FormatError("BAD_FILE", `not a usable GGUF model: ${what}`);

function positive(value: unknown, key: string): number {
  const count = typeof value === "bigint" ? Number(value) : value;
  if (typeof count === "number" && Number.isSafeInteger(count) && count > 0) return count;
  throw bad(`${key} is ${value === undefined ? "missing" : String(value)}`);
}

/** A number for all layers or an array with one a layer (0 = no attention there). */
function perLayer(value: unknown, layers: number, key: string): number[] | null {
  if (value === undefined) return null;
  if (!Array.isArray(value)) return Array<number>(layers).fill(positive(value, key));
  if (value.length < layers) throw bad(`${key} has ${value.length} entries for ${layers} layers`);
  return value.slice(0, layers).map((entry) => (Number(entry) === 0 ? 0 : positive(entry, key)));
}

type Get = (key: string) => unknown;

function windows(arch: string, get: Get, layers: number, assumed: string[]): (il: number) => number | null {
  const size = get("attention.sliding_window");
  if (size === undefined || Number(size) === 0) return () => null;
  const window = positive(size, `${arch}.attention.sliding_window`);
  const pattern = get("attention.sliding_window_pattern");
  const said = `sliding window of ${window}: llama-server is assumed to keep window + 512 cells, rounded up to 256`;
  if (Array.isArray(pattern) && pattern.length >= layers) {
    assumed.push(said);
    return (il) => (pattern[il] ? window : null);
  }
  const every = Number(pattern ?? WINDOW_PATTERN[arch] ?? 0);
  if (Number.isInteger(every) && every > 1) {
    assumed.push(said);
    return (il) => (il % every < every - 1 ? window : null);
  }
  assumed.push(`a sliding window of ${window} is stated but not its layers: all are counted at full context`);
  return () => null;
}

function fullAttention(arch: string, get: Get, layers: number, assumed: string[]): (il: number) => boolean {
  const interval = Number(get("full_attention_interval") ?? 0);
  if (!Number.isInteger(interval) || interval < 2) return () => true;
  assumed.push(
    `${arch}: every ${interval}th of ${layers} layers has a KV cache; the others keep a recurrent state of fixed size, which is not counted`,
  );
  return (il) => (il + 1) % interval === 0;
}
