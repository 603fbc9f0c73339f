/** Weighted sums of values, vector after vector, over packed rows and over f32 rows. */
import { fromF16 } from "./half";
import { addProduct } from "./lanes";
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

/** Four values are added in turn to sums that were loaded once. */
export function accumulateF32(weights: usize, values: usize, rows: usize, dim: usize, acc: usize): void {
  const bytes = dim * 4;
  const whole = bytes & ~15;
  for (; rows >= 4; rows -= 4, weights += 16, values += bytes * 4) {
    const w = v128.load(weights);
    const a = v128.shuffle<f32>(w, w, 0, 0, 0, 0);
    const b = v128.shuffle<f32>(w, w, 1, 1, 1, 1);
    const c = v128.shuffle<f32>(w, w, 2, 2, 2, 2);
    const d = v128.shuffle<f32>(w, w, 3, 3, 3, 3);
    let value = values;
    for (let at: usize = 0; at < whole; at += 16, value += 16) {
      const next = value + bytes * 2;
      let sum = addProduct(v128.load(acc + at), a, v128.load(value));
      sum = addProduct(sum, b, v128.load(value + bytes));
      sum = addProduct(sum, c, v128.load(next));
      v128.store(acc + at, addProduct(sum, d, v128.load(next + bytes)));
    }
    for (let at = whole; at < bytes; at += 4)
      for (let r: usize = 0; r < 4; r++) addOne(weights + r * 4, values + r * bytes + at, acc + at);
  }
  for (; rows > 0; rows--, weights += 4, values += bytes) {
    const w = v128.load32_splat(weights);
    for (let at: usize = 0; at < whole; at += 16)
      v128.store(acc + at, addProduct(v128.load(acc + at), w, v128.load(values + at)));
    for (let at = whole; at < bytes; at += 4) addOne(weights, values + at, acc + at);
  }
}

@inline
function addOne(weight: usize, value: usize, acc: usize): void {
  store<f32>(acc, load<f32>(acc) + load<f32>(weight) * load<f32>(value));
}
