/** ⟨query, key⟩ over packed rows and over f32 rows, in lane order. */
import { fromF16 } from "./half";
import { addProduct, dot, join, join4 } from "./lanes";
import { DOT, plane, walk } from "./levels";
import { prepareSpread, unpack } from "./pack";
import {
  bitsOf,
  codesAt,
  codesOf,
  dimOf,
  factorOf,
  levelsOf,
  signsAt,
  sketchRowsOf,
  spreadOf,
  strideOf,
} from "./plan";
import { signedSum } from "./sketch";

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
  const bits = bitsOf(plan);
  const codes = codesOf(plan);
  const spread = spreadOf(plan);
  const table = levelsOf(plan);
  const stride = strideOf(plan);
  const sketchRows = sketchRowsOf(plan);
  const none = f32x4.splat(0);
  const p0 = plane(table, 0);
  const p1 = plane(table, 1);
  const p2 = plane(table, 2);
  const p3 = plane(table, 3);
  prepareSpread(bits, spread);
  for (const end = out + rows * 4; out < end; out += 4, bytes += stride) {
    unpack(bits, bytes + codesAt(plan), dim, codes, spread);
    const lanes = walk(DOT, small, codes, dim, table, p0, p1, p2, p3, none, query);
    let score = join(lanes) * fromF16(load<u16>(bytes));
    if (sketchRows > 0) {
      const weight = factorOf(plan) * fromF16(load<u16>(bytes, 2));
      score += weight * join(signedSum(sketched, bytes + signsAt(plan), sketchRows));
    }
    store<f32>(out, score + offset);
  }
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
  if (bitsOf(plan) <= 4) scoreRows(true, plan, query, sketched, offset, bytes, rows, out);
  else scoreRows(false, plan, query, sketched, offset, bytes, rows, out);
}

/** Four keys at a time: each has its own running lanes, so the order within a key is kept. */
export function dotF32(query: usize, keys: usize, rows: usize, dim: usize, out: usize): void {
  const bytes = dim * 4;
  if ((dim & 3) == 0) {
    for (; rows >= 4; rows -= 4, keys += bytes * 4, out += 16) {
      let a = f32x4.splat(0);
      let b = a;
      let c = a;
      let d = a;
      let key = keys;
      for (let at: usize = 0; at < bytes; at += 16, key += 16) {
        const q = v128.load(query + at);
        const next = key + bytes * 2;
        a = addProduct(a, q, v128.load(key));
        b = addProduct(b, q, v128.load(key + bytes));
        c = addProduct(c, q, v128.load(next));
        d = addProduct(d, q, v128.load(next + bytes));
      }
      v128.store(out, join4(a, b, c, d));
    }
  }
  for (; rows > 0; rows--, keys += bytes, out += 4) store<f32>(out, dot(query, keys, dim));
}
