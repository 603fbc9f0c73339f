/** What a fork hands over: inputs, and packed bytes or decoded values. */
export interface VerifyOptions {
  readonly format: string;
  readonly dim: number;
  /** (n, dim) f32. */
  readonly input: Float32Array;
  readonly packed?: Uint8Array;
  /** In the engine's own basis: (n, width). */
  readonly decoded?: Float32Array;
  readonly side?: "key" | "value";
  readonly seed?: number | bigint;
}
