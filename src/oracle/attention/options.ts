/** What a fork computed for attention, and from what. */
export interface AttentionOptions {
  readonly keyFormat: string;
  readonly valueFormat: string;
  readonly dim: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly causal: boolean;
  /** Default 1/√dim. */
  readonly scale?: number;
  /** (queries, heads, dim) */
  readonly query: Float32Array;
  /** (tokens, kvHeads, dim), before encoding. */
  readonly key: Float32Array;
  readonly value: Float32Array;
  /** (queries, heads, dim), original basis. */
  readonly output: Float32Array;
}
