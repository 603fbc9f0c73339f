/** What a format brings that has a comparison and a diagnosis of its own. */
import type { Comparison } from "./compare-packed.js";
import type { Fault } from "./verdict.js";

/** x, due and decoded: (n, dim); ref and packed: (n, stride). */
export interface Model {
  /** Bytes and values of what has a scale of its own. */
  readonly bytes: number;
  readonly values: number;
  compare(x: Float32Array, ref: Uint8Array, packed: Uint8Array): Comparison;
  compareValues(x: Float32Array, due: Float32Array, decoded: Float32Array): Comparison;
  faults(x: Float32Array, ref: Uint8Array, packed: Uint8Array): Fault[];
  valueFaults(x: Float32Array, due: Float32Array, decoded: Float32Array): Fault[];
}
