/** Weighted sums of values, vector after vector, over packed rows. */
import { fromF16 } from "./half";
import { ADD, preparePlanes, walk } from "./levels";
import { indexBitsOf, indices, prepareIndices } from "./indices";
import {
  codesOf,
  dimOf,
  levelsOf,
  signsAt,
  sketchRowsOf,
  smallOf,
  strideOf,
} from "./plan";
import { addSigned } from "./sketch";

@inline
function accumulateRows(
  small: bool,
  plan: usize,
  weights: usize,
  bytes: usize,
  rows: usize,
  acc: usize,
): void {
  const dim = dimOf(plan);
  const codes = codesOf(plan);
  const spread = smallOf(plan);
  const planes = spread + 64;
  const table = levelsOf(plan);
  const stride = strideOf(plan);
  const sketchRows = sketchRowsOf(plan);
  prepareIndices(plan, spread);
  preparePlanes(table, planes);
  for (const end = weights + rows * 4; weights < end; weights += 4, bytes += stride) {
    const weight = load<f32>(weights);
    const scaled = f32x4.splat(weight * fromF16(load<u16>(bytes)));
    indices(plan, bytes, codes, spread);
    walk(ADD, small, codes, dim, table, planes, scaled, acc);
    if (sketchRows > 0)
      addSigned(acc + dim * 4, bytes + signsAt(plan), sketchRows, weight * fromF16(load<u16>(bytes, 2)));
  }
}

// Two functions, so that neither tests in its loop which of them it is.
function accumulateSmall(plan: usize, weights: usize, bytes: usize, rows: usize, acc: usize): void {
  accumulateRows(true, plan, weights, bytes, rows, acc);
}
function accumulateLarge(plan: usize, weights: usize, bytes: usize, rows: usize, acc: usize): void {
  accumulateRows(false, plan, weights, bytes, rows, acc);
}

export function accumulate(plan: usize, weights: usize, bytes: usize, rows: usize, acc: usize): void {
  if (indexBitsOf(plan) <= 4) accumulateSmall(plan, weights, bytes, rows, acc);
  else accumulateLarge(plan, weights, bytes, rows, acc);
}
