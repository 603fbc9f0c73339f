/**
 * Where a transformer keeps its keys and values. The model writes every key and value, the current token's too,
 * before it attends; what the store returns is all the model sees of them.
 */
export interface KvStore {
  /** Tokens that every layer holds. The next token's position. */
  readonly length: number;

  /**
   * Adds `tokens` tokens to a layer. keys (post-RoPE), values: (tokens, kvHeads, headDim), only valid during the call.
   * @throws RangeError or CacheError when there is no room; nothing has been added then.
   */
  append(layer: number, keys: Float32Array, values: Float32Array, tokens: number): void;

  /**
   * Causal attention of the last `tokens` tokens of the layer: out ← softmax(q·k/√headDim) v, token i of them sees
   * itself and what came before. queries (post-RoPE), out: (tokens, heads, headDim), only valid during the call.
   */
  attend(layer: number, queries: Float32Array, tokens: number, out: Float32Array): void;

  /** Forgets everything: the next token is at position 0. */
  reset(): void;
}

/** A store that measurements look into: its scores can be compared with another's, its last tokens taken back. */
export interface MeasuredKv extends KvStore {
  /**
   * ⟨query, k⟩ of the layer's first out.length tokens for one head of keys, unscaled, up to a constant of the query (which
   * softmax does not see). query (post-RoPE): (headDim,).
   */
  scores(layer: number, kvHead: number, query: Float32Array, out: Float32Array): void;

  /** Forgets tokens from `length` on. */
  truncate(length: number): void;
}

/** The shape of a model's keys and values. */
export interface KvShape {
  readonly layers: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
}
