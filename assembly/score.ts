/** ⟨query, key⟩ over packed rows, in lane order. */
import { fromF16 } from "./half";
import { join } from "./lanes";
import { DOT, preparePlanes, sixteen } from "./levels";
import { indexBitsOf, indices, prepareIndices } from "./indices";
import {
  dimOf,
  factorOf,
  levelsOf,
  scratchOf,
  signsAt,
  sketchRowsOf,
  smallOf,
  strideOf,
} from "./plan";
import { signedSum } from "./sketch";

/** What the stored scale and the sketch make of the joined lanes of a row. */
@inline
function finished(plan: usize, sketched: usize, offset: f32, row: usize, sum: f32): f32 {
  let score = sum * fromF16(load<u16>(row));
  if (sketchRowsOf(plan) > 0) {
    const weight = factorOf(plan) * fromF16(load<u16>(row, 2));
    score += weight * join(signedSum(sketched, row + signsAt(plan), sketchRowsOf(plan)));
  }
  return score + offset;
}

/** Two rows at a time: each is one chain of additions, and the processor can wait for both at once. */
@inline
function scoreRows(
  small: bool,
  plan: usize,
  query: usize,
  sketched: usize,
  offset: f32,
  bytes: usize,
  rows: usize,
  out: usize,
): void {
  const dim = dimOf(plan);
  const codes = scratchOf(plan); // of two rows, where an encoder has z
  const spread = smallOf(plan);
  const planes = spread + 64;
  const table = levelsOf(plan);
  const stride = strideOf(plan);
  const none = f32x4.splat(0);
  prepareIndices(plan, spread);
  preparePlanes(table, planes);
  const p0 = v128.load(planes);
  const p1 = v128.load(planes + 16);
  const p2 = v128.load(planes + 32);
  const p3 = v128.load(planes + 48);
  for (; rows >= 2; rows -= 2, out += 8) {
    const next = bytes + stride;
    indices(plan, bytes, codes, spread);
    indices(plan, next, codes + dim, spread);
    let a = none;
    let b = none;
    for (let at = codes, q = query, end = codes + dim; at < end; at += 16, q += 64) {
      a = sixteen(DOT, small, at, table, p0, p1, p2, p3, none, q, a);
      b = sixteen(DOT, small, at + dim, table, p0, p1, p2, p3, none, q, b);
    }
    store<f32>(out, finished(plan, sketched, offset, bytes, join(a)));
    store<f32>(out, finished(plan, sketched, offset, next, join(b)), 4);
    bytes = next + stride;
  }
  if (rows == 0) return;
  indices(plan, bytes, codes, spread);
  let a = none;
  for (let at = codes, q = query, end = codes + dim; at < end; at += 16, q += 64)
    a = sixteen(DOT, small, at, table, p0, p1, p2, p3, none, q, a);
  store<f32>(out, finished(plan, sketched, offset, bytes, join(a)));
}

export function score(
  plan: usize,
  query: usize,
  sketched: usize,
  offset: f32,
  bytes: usize,
  rows: usize,
  out: usize,
): void {
  if (indexBitsOf(plan) <= 4) scoreRows(true, plan, query, sketched, offset, bytes, rows, out);
  else scoreRows(false, plan, query, sketched, offset, bytes, rows, out);
}
