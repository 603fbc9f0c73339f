/**
 * Keys less their mean, the plain kind of centring (spec 1 §1.7): for each layer and head of keys, the mean of the
 * first tokens' keys as they come (after RoPE) is subtracted from every key before it is stored. Softmax does not
 * see what all scores have in common, so nothing is added back: ⟨q, k − μ⟩ differs from ⟨q, k⟩ by ⟨q, μ⟩ alone.
 */
import type { KvShape, MeasuredKv } from "./kv-store.js";

/** Tokens that the mean is taken over: of the first append, which is the prompt's. */
export const MEAN_TOKENS = 128;

export class MeanKv implements MeasuredKv {
  /** Bytes of the means, f32. */
  readonly meanBytes: number;
  readonly #inner: MeasuredKv;
  readonly #shape: KvShape;
  readonly #means: Float32Array;
  readonly #known: Uint8Array;
  #centred = new Float32Array(0);

  constructor(inner: MeasuredKv, shape: KvShape) {
    this.#inner = inner;
    this.#shape = shape;
    this.#means = new Float32Array(shape.layers * shape.kvHeads * shape.headDim);
    this.#known = new Uint8Array(shape.layers);
    this.meanBytes = this.#means.byteLength;
  }

  get length(): number {
    return this.#inner.length;
  }

  /** The mean of the first min(tokens, MEAN_TOKENS) keys: (kvHeads, headDim). */
  #learn(layer: number, keys: Float32Array, tokens: number): void {
    const row = this.#shape.kvHeads * this.#shape.headDim;
    const used = Math.min(tokens, MEAN_TOKENS);
    for (let i = 0; i < row; i++) {
      let sum = 0;
      for (let token = 0; token < used; token++) sum += keys[token * row + i]!;
      this.#means[layer * row + i] = sum / used;
    }
    this.#known[layer] = 1;
  }

  append(layer: number, keys: Float32Array, values: Float32Array, tokens: number): void {
    const row = this.#shape.kvHeads * this.#shape.headDim;
    if (!this.#known[layer]) this.#learn(layer, keys, tokens);
    if (this.#centred.length < tokens * row) this.#centred = new Float32Array(tokens * row);
    const mean = this.#means.subarray(layer * row, (layer + 1) * row);
    for (let token = 0; token < tokens; token++)
      for (let i = 0; i < row; i++) this.#centred[token * row + i] = keys[token * row + i]! - mean[i]!;
    this.#inner.append(layer, this.#centred.subarray(0, tokens * row), values, tokens);
  }

  attend(layer: number, queries: Float32Array, tokens: number, out: Float32Array): void {
    this.#inner.attend(layer, queries, tokens, out);
  }

  /** Without ⟨query, μ⟩, which all tokens have in common. */
  scores(layer: number, kvHead: number, query: Float32Array, out: Float32Array): void {
    this.#inner.scores(layer, kvHead, query, out);
  }

  truncate(length: number): void {
    this.#inner.truncate(length);
  }

  /** Forgets the means too: the next tokens are another prompt. */
  reset(): void {
    this.#known.fill(0);
    this.#inner.reset();
  }
}
