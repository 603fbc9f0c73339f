/**
 * Records what a model's layers write to and ask of their cache: keys and queries after RoPE, values, as f16 in a
 * safetensors file, `layers.N.key`, `.value` (kvHeads, tokens, headDim) and `.query` (heads, last tokens, headDim).
 */
import { assertInteger } from "../core/check.js";
import { toF16 } from "../core/float.js";
import { type SafetensorsTensor, writeSafetensors } from "../files/safetensors.js";
import { DenseKv } from "./dense-kv.js";
import type { KvShape, KvStore } from "./kv-store.js";
import type { Transformer } from "./transformer.js";

interface LayerRecord {
  readonly key: Uint16Array;
  readonly value: Uint16Array;
  readonly query: Uint16Array;
}

/** Passes everything on to another store, and keeps what goes by in the chosen layers. */
export class RecordingKv implements KvStore {
  readonly layers: ReadonlyMap<number, LayerRecord>;
  readonly #inner: KvStore;
  readonly #shape: KvShape;
  readonly #tokens: number;
  readonly #queries: number;

  /** tokens: how many there will be; queries: of the last so many of them queries are kept. */
  constructor(inner: KvStore, shape: KvShape, layers: readonly number[], tokens: number, queries: number) {
    for (const layer of layers) assertInteger(layer, "layers", 0, shape.layers - 1);
    assertInteger(queries, "queries", 1, tokens);
    this.#inner = inner;
    this.#shape = shape;
    this.#tokens = tokens;
    this.#queries = queries;
    const { heads, kvHeads, headDim } = shape;
    this.layers = new Map(
      [...layers]
        .sort((a, b) => a - b)
        .map((layer) => [
          layer,
          {
            key: new Uint16Array(kvHeads * tokens * headDim),
            value: new Uint16Array(kvHeads * tokens * headDim),
            query: new Uint16Array(heads * queries * headDim),
          },
        ]),
    );
  }

  get length(): number {
    return this.#inner.length;
  }

  reset(): void {
    this.#inner.reset();
  }

  /** from: (tokens, heads, headDim) at `position` → to: (heads, room, headDim). */
  #keep(
    from: Float32Array,
    to: Uint16Array,
    tokens: number,
    heads: number,
    position: number,
    room: number,
  ): void {
    const { headDim } = this.#shape;
    for (let token = Math.max(0, -position); token < tokens; token++)
      for (let head = 0; head < heads; head++)
        for (let i = 0; i < headDim; i++)
          to[(head * room + position + token) * headDim + i] = toF16(
            from[(token * heads + head) * headDim + i]!,
          );
  }

  append(layer: number, keys: Float32Array, values: Float32Array, tokens: number): void {
    const position = this.#inner.length;
    this.#inner.append(layer, keys, values, tokens);
    const kept = this.layers.get(layer);
    if (!kept) return;
    // The last layer's own append has moved the inner length already: ask before, as above.
    this.#keep(keys, kept.key, tokens, this.#shape.kvHeads, position, this.#tokens);
    this.#keep(values, kept.value, tokens, this.#shape.kvHeads, position, this.#tokens);
  }

  attend(layer: number, queries: Float32Array, tokens: number, out: Float32Array): void {
    const last = layer === this.#shape.layers - 1;
    const position = this.#inner.length - (last ? tokens : 0);
    const kept = this.layers.get(layer);
    const skipped = this.#tokens - this.#queries;
    if (kept) this.#keep(queries, kept.query, tokens, this.#shape.heads, position - skipped, this.#queries);
    this.#inner.attend(layer, queries, tokens, out);
  }
}

/** What to record of which tokens. */
export interface RecordRequest {
  readonly tokens: Int32Array;
  readonly layers: readonly number[];
  /** Queries are kept of the last so many tokens. */
  readonly queries: number;
  /** Said in the file's metadata: which model, which text. */
  readonly model: string;
  readonly text: string;
  /** Called as work proceeds. */
  readonly onProgress?: (tokens: number) => void;
}

/** Runs the tokens from an empty f32 cache and writes the recording to `path`, atomically. */
export async function record(transformer: Transformer, request: RecordRequest, path: string): Promise<void> {
  const { tokens, layers, queries } = request;
  const shape = transformer.kvShape;
  const inner = new DenseKv(transformer.engine, shape, tokens.length, "f32", transformer.blockTokens);
  const kv = new RecordingKv(inner, shape, layers, tokens.length, queries);
  for (let at = 0; at < tokens.length; at += transformer.blockTokens) {
    transformer.forward(tokens.subarray(at, at + transformer.blockTokens), kv);
    request.onProgress?.(kv.length);
  }
  const { heads, kvHeads, headDim } = shape;
  const { theta, pairing } = transformer.rope;
  const order = pairing === "adjacent" ? "adjacent pairs (2i, 2i+1)" : "split pairs (i, i + d/2)";
  const tensors = new Map<string, SafetensorsTensor>([
    ["tokens", { dtype: "I32", shape: [tokens.length], data: tokens.slice() }],
  ]);
  for (const [layer, { key, query, value }] of kv.layers) {
    const rows = [kvHeads, tokens.length, headDim];
    tensors.set(`layers.${layer}.key`, { dtype: "F16", shape: rows, data: key });
    tensors.set(`layers.${layer}.query`, { dtype: "F16", shape: [heads, queries, headDim], data: query });
    tensors.set(`layers.${layer}.value`, { dtype: "F16", shape: rows, data: value });
  }
  const metadata = {
    rope: `keys and queries after RoPE: ${order}, theta ${theta}, positions 0..${tokens.length - 1} (empty cache at the first token); scores are q.k/${Math.sqrt(headDim)}`,
    numbers: "f32 forward pass over the dequantised weights, stored as f16",
    model: request.model,
    text: request.text,
    shape: `[heads, tokens, head_dim]; ${kvHeads} key/value heads, ${heads} query heads, head_dim ${headDim}; queries belong to the last ${queries} tokens`,
  };
  await writeSafetensors(path, { metadata, tensors });
}
