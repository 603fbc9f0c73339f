/**
 * The contract that every backend honours bit for bit.
 *
 * A backend owns one linear memory. All pointers are byte offsets into it, 16-byte aligned unless said, owned by
 * the caller; kernels allocate nothing and check nothing. A `plan` is a record in that memory which describes one
 * quantiser (plan.ts). Rows are whole vectors: x (rows, dim) f32, bytes (rows, stride).
 *
 * Two implementations: the TypeScript reference, which is the definition, and WASM SIMD. Which one runs is
 * explicit and can be asked (`name`).
 */
import type { Arena } from "./arena.js";
import type { TileKernels } from "./tile-kernels.js";

/** A backend. See the header of this file for who owns which memory. */
export interface Kernels extends TileKernels {
  readonly name: "reference" | "wasm-simd";
  readonly arena: Arena;

  /** dst ← halves of src, round to nearest even. src: (n,) f32, dst: (n,) u16. Any n; dst 2-byte aligned. */
  f32ToF16(src: number, dst: number, n: number): void;
  /** dst ← src exactly. src: (n,) u16, dst: (n,) f32. Any n; src 2-byte aligned. */
  f16ToF32(src: number, dst: number, n: number): void;

  /** x ← R x and x ← R⁻¹ x in place. x: (rows, dim). */
  rotate(plan: number, x: number, rows: number): void;
  /** The inverse of `rotate`, in place. x: (rows, dim). */
  unrotate(plan: number, x: number, rows: number): void;

  /** out ← codes of x: (rows, stride), wholly overwritten; any byte alignment. x is left as it is. */
  encode(plan: number, x: number, rows: number, out: number): void;
  /** out ← x̂: (rows, dim), original basis, centre and sketch included. bytes: any alignment. */
  decode(plan: number, bytes: number, rows: number, out: number): void;
  /** out ← scale · levels: (rows, dim), rotated basis, no centre, no sketch. bytes: any alignment. */
  decodeRotated(plan: number, bytes: number, rows: number, out: number): void;

  /**
   * out[i] ← scale · ⟨query, levels⟩ [+ sketch correction] + offset. query: (dim,) already rotated; sketched: S q
   * (sketch rows,), ignored without a sketch; offset: ⟨q, centre⟩ or 0, as f32. bytes: any alignment.
   */
  score(
    plan: number,
    query: number,
    sketched: number,
    offset: number,
    bytes: number,
    rows: number,
    out: number,
  ): void;
  /**
   * acc += Σ weight · scale · levels, vector after vector. weights: (rows,); acc: (dim,) in the rotated basis and,
   * with a sketch, (sketch rows,) behind it: Σ (weight · ‖r‖) · ±1. bytes: any alignment.
   */
  accumulate(plan: number, weights: number, bytes: number, rows: number, acc: number): void;
  /** out ← S x for each row. x: (rows, dim), out: (rows, sketch rows). Plans with a sketch only. */
  project(plan: number, x: number, rows: number, out: number): void;

  /** out[i] ← ⟨query, key i⟩. keys: (rows, dim) f32. */
  dotF32(query: number, keys: number, rows: number, dim: number, out: number): void;
  /** acc += Σ weight · value. values: (rows, dim) f32, acc: (dim,). */
  accumulateF32(weights: number, values: number, rows: number, dim: number, acc: number): void;
  /**
   * out += sums of waves (core/waves.ts). plan: of wave-plan.ts; wave: (2·channels + 1,); turns: (spans, 2·channels);
   * out: (spans · 32,).
   */
  addWaves(plan: number, wave: number, turns: number, spans: number, out: number): void;
  /** x ← scale · x; returns the largest number: NaN is none, −∞ if there is none. x: (n,). */
  scaleMax(x: number, n: number, scale: number): number;
  /** x[i] ← e^(x[i] − max) (core/exp.ts); sums[i mod 4] += x[i], one after the other. x: (n,), sums: (4,). */
  softmaxWeights(x: number, n: number, max: number, sums: number): void;
  /**
   * One tile of online softmax: scores x (n,) → weights, in place. state: eight f32, the running maximum (−∞ before the
   * first tile), the scale of scores, what sums so far shrink by (out), one unused, and
   * sums of weights (position mod 4), a tile's own before they are added.
   */
  weighTile(x: number, n: number, state: number): void;

  /** out[i] ← ⟨query, key i⟩ over ggml q8_0 rows, in integers (ggml-dot.ts). bytes: any alignment; work: 2·dim bytes. */
  dotQ8(query: number, bytes: number, rows: number, dim: number, out: number, work: number): void;
  /** The same over q4_0 rows. */
  dotQ4(query: number, bytes: number, rows: number, dim: number, out: number, work: number): void;
}
