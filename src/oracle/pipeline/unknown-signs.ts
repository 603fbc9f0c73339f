/**
 * A Hadamard transform with signs of the fork's own: E[c_i·x_j] goes with after_i·H_ij·before_j, so the correlation of
 * codes and inputs, entry by entry times H, is a matrix of rank one plus noise, and its factors' signs are the diagonals.
 */
import { hadamard, type Transform } from "./transforms.js";
import type { Wire } from "./wire.js";

/** Codes of groups as numbers, (groups, group), and inputs, each of unit length. */
export interface Correlated {
  readonly x: readonly Float64Array[];
  readonly c: readonly Float64Array[];
}

const ROUNDS = 14;
/** Share of the correlation that the factors have to hold, against what chance leaves: see `strength`. */
const CLEAR = 1.6;

/** The signs, as a transform; undefined where no signs explain the codes. */
export function unknownSigns(wire: Wire, { x, c }: Correlated): Transform | undefined {
  const d = wire.group;
  if (wire.dense || wire.block !== d || x.length < 4) return undefined;
  const m = new Float64Array(d * d);
  for (let g = 0; g < x.length; g++)
    for (let i = 0; i < d; i++) {
      const ci = c[g]![i]!;
      for (let j = 0; j < d; j++) m[i * d + j]! += ci * x[g]![j]!;
    }
  for (let i = 0; i < d; i++) {
    const row = new Float64Array(d);
    row[i] = 1;
    hadamard(row, d);
    for (let j = 0; j < d; j++) m[i * d + j]! *= row[j]!;
  }
  const found = rankOne(m, d);
  if (!found) return undefined;
  const { before, after } = found;
  return {
    id: "rotation-unknown",
    note: "a Hadamard transform with signs of its own, found from codes and inputs",
    run(input, norm, z) {
      const inverse = norm > 1e-10 ? 1 / norm / Math.sqrt(d) : 0;
      for (let j = 0; j < d; j++) z[j] = input[j]! * before[j]! * inverse;
      hadamard(z, d);
      for (let i = 0; i < d; i++) z[i]! *= after[i]!;
    },
  };
}

/** m ≈ k·after·beforeᵀ, by turns; undefined where it holds no more than chance would. */
function rankOne(m: Float64Array, d: number): { before: Float64Array; after: Float64Array } | undefined {
  let best: { before: Float64Array; after: Float64Array; sum: number } | undefined;
  for (let start = 0; start < 2; start++) {
    // The row that correlates best with the others is as good a start as any.
    let before: Float64Array = Float64Array.from({ length: d }, (_, j) => m[start * 37 * d + j] ?? 0);
    let after: Float64Array = new Float64Array(d);
    for (let round = 0; round < ROUNDS; round++) {
      const hard = round > ROUNDS / 2;
      after = times(m, before, d, false);
      if (hard) signs(after);
      else scaled(after);
      before = times(m, after, d, true);
      if (hard) signs(before);
      else scaled(before);
    }
    signs(before);
    signs(after);
    let sum = 0;
    for (let i = 0; i < d; i++) for (let j = 0; j < d; j++) sum += after[i]! * before[j]! * m[i * d + j]!;
    if (!best || sum > best.sum) best = { before, after, sum };
  }
  let squares = 0;
  for (const v of m) squares += v * v;
  // Signs of 2d numbers fit chance to about (2/π + …)·√(2d)·d^½ deviations: the true ones to far more.
  const deviation = Math.sqrt(squares / (d * d)) * d;
  return best && best.sum / deviation > CLEAR * Math.sqrt(2 * d) ? best : undefined;
}

function times(m: Float64Array, v: Float64Array, d: number, transposed: boolean): Float64Array {
  const out = new Float64Array(d);
  for (let i = 0; i < d; i++)
    for (let j = 0; j < d; j++)
      if (transposed) out[j]! += m[i * d + j]! * v[i]!;
      else out[i]! += m[i * d + j]! * v[j]!;
  return out;
}

function scaled(v: Float64Array): void {
  const length = Math.sqrt(v.reduce((s, t) => s + t * t, 0)) || 1;
  for (let i = 0; i < v.length; i++) v[i]! /= length;
}

function signs(v: Float64Array): void {
  for (let i = 0; i < v.length; i++) v[i] = v[i]! < 0 ? -1 : 1;
}
