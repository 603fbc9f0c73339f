/**
 * ⟨query, key⟩ for several queries at a time: a tile of keys becomes sixteen-bit integers once, pairs of coordinates
 * beside each other, and each query, as integers too, is multiplied with them. Sums are exact (src/kernels/integers.ts).
 */
import { floats } from "../half";
import { join, max4 } from "../lanes";
import { bitsOf, dimOf, factorOf, signPlanesOf, sketchRowsOf, wordPlanesOf, wordUnitOf } from "../plan";
import {
  firstCode,
  groupBytes,
  groupCodes,
  highNibbles,
  highStep,
  lowNibbles,
  passesOf,
  topBits,
} from "./nibbles";
import { LEAST } from "./tables";
import { codeBytes, codesOffset, signBytes, signsOffset } from "./tile";

/** The sum of magnitudes that 128 integers of one factor, or dim of a query, may have: 8191 times it fits 31 bits. */
export const MOST_SUM: f32 = 262000;

/** What a vector of magnitudes up to `most` that sum to `sum`, as integers to no more than mostSum, is multiplied with. */
@inline
export function integerScale(most: f32, sum: f32, mostSum: f32): f32 {
  return min<f32>(32767 / most, mostSum / sum);
}

@inline
export function toInteger(x: f32, scale: f32): i32 {
  const v = i32x4.trunc_sat_f32x4_s(f32x4.splat(nearest<f32>(x * scale)));
  return <i32>i16x8.extract_lane_s(i16x8.narrow_i32x4_s(v, v), 0);
}

/** unit: of integer levels; x: (n,) → header: step; then its integers, pairs as passes find them. Returns the end, a multiple of 16 on. */
function integersOf(unit: f32, bits: i32, x: usize, n: usize, out: usize): usize {
  const sign = i32x4.splat(0x7fffffff);
  let most = f32x4.splat(0);
  let sum = most;
  for (let at: usize = 0; at < n * 4; at += 16) {
    const a = v128.and(v128.load(x + at), sign);
    most = f32x4.max(most, a);
    sum = f32x4.add(sum, a);
  }
  const max = max4(most);
  const total = join(sum);
  const usual = total > LEAST && total < Infinity;
  const scale = usual ? integerScale(max, total, MOST_SUM) : 0;
  store<f32>(out, usual ? unit / scale : total <= LEAST ? 0 : NaN);
  out += 16;
  const codes = groupCodes(bits);
  for (let g: usize = 0; g < n; g += codes)
    for (let p: usize = 0; p < passesOf(bits); p++, out += 4) {
      const i = g + firstCode(bits, p);
      store<i16>(out, <i16>toInteger(load<f32>(x + i * 4), scale));
      store<i16>(out, <i16>toInteger(load<f32>(x + (i + highStep(bits)) * 4), scale), 2);
    }
  return out;
}

/** What the levels −1 and 1 of a sketch's bits are multiples of as integers of two bytes. */
export const SIGN_WORD_UNIT: f32 = 1.0 / 8191;

export function prepareIntegers(plan: usize, query: usize, sketched: usize, out: usize): void {
  out = integersOf(wordUnitOf(plan), bitsOf(plan), query, dimOf(plan), out);
  if (sketchRowsOf(plan) > 0) integersOf(SIGN_WORD_UNIT, 1, sketched, sketchRowsOf(plan), out);
}

/** Low and high nibbles of sixteen tokens → pairs of integers, 64 bytes. */
@inline
function pairs(v: v128, planes: usize, out: usize): void {
  const low = v128.load(planes);
  const high = v128.load(planes + 16);
  const i = lowNibbles(v);
  const j = highNibbles(v);
  const l0 = i8x16.swizzle(low, i);
  const h0 = i8x16.swizzle(high, i);
  const l1 = i8x16.swizzle(low, j);
  const h1 = i8x16.swizzle(high, j);
  let a = v128.shuffle<u8>(l0, h0, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  let b = v128.shuffle<u8>(l1, h1, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  v128.store(out, v128.shuffle<u16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11));
  v128.store(out + 16, v128.shuffle<u16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15));
  a = v128.shuffle<u8>(l0, h0, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  b = v128.shuffle<u8>(l1, h1, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  v128.store(out + 32, v128.shuffle<u16>(a, b, 0, 8, 1, 9, 2, 10, 3, 11));
  v128.store(out + 48, v128.shuffle<u16>(a, b, 4, 12, 5, 13, 6, 14, 7, 15));
}

/** rows: (bytes, 16) → out: pairs of all coordinates, 64 bytes each. */
function decodeRows(bits: i32, rows: usize, bytes: usize, planes: usize, out: usize): void {
  const step = groupBytes(bits) * 16;
  for (const end = rows + bytes * 16; rows < end; rows += step) {
    const v = v128.load(rows);
    if (bits == 3) {
      const b = v128.load(rows + 16);
      const c = v128.load(rows + 32);
      pairs(v, planes, out);
      pairs(b, planes + 32, out + 64);
      pairs(c, planes + 64, out + 128);
      pairs(topBits(v, b, c), planes + 96, out + 192);
      out += 256;
    } else for (let p: usize = 0; p < passesOf(bits); p++, out += 64) pairs(v, planes + p * 32, out);
  }
}

@inline
function scaled(sum: v128, step: v128, half: v128): v128 {
  return f32x4.mul(f32x4.mul(f32x4.convert_i32x4_s(sum), step), half);
}

@inline
function put(out: usize, value: v128, add: bool, factor: v128): void {
  v128.store(out, add ? f32x4.add(v128.load(out), f32x4.mul(factor, value)) : value);
}

/** One query's or two queries' sums over n coordinates of sixteen decoded tokens. */
@inline
function products(
  two: bool,
  query: usize,
  next: usize,
  n: usize,
  decoded: usize,
  halves: usize,
  out: usize,
  outNext: usize,
  add: bool,
  factor: f32,
): void {
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let e = a;
  let f = a;
  let g = a;
  let h = a;
  let q = query + 16;
  let r = next + 16;
  for (const end = q + n * 2; q < end; q += 4, r += 4, decoded += 64) {
    const w = v128.load(decoded);
    const x = v128.load(decoded + 16);
    const y = v128.load(decoded + 32);
    const z = v128.load(decoded + 48);
    const s = v128.load32_splat(q);
    a = i32x4.add(a, i32x4.dot_i16x8_s(w, s));
    b = i32x4.add(b, i32x4.dot_i16x8_s(x, s));
    c = i32x4.add(c, i32x4.dot_i16x8_s(y, s));
    d = i32x4.add(d, i32x4.dot_i16x8_s(z, s));
    if (!two) continue;
    const t = v128.load32_splat(r);
    e = i32x4.add(e, i32x4.dot_i16x8_s(w, t));
    f = i32x4.add(f, i32x4.dot_i16x8_s(x, t));
    g = i32x4.add(g, i32x4.dot_i16x8_s(y, t));
    h = i32x4.add(h, i32x4.dot_i16x8_s(z, t));
  }
  let half = v128.load(halves);
  const h0 = floats(i32x4.extend_low_i16x8_u(half));
  const h1 = floats(i32x4.extend_high_i16x8_u(half));
  half = v128.load(halves + 16);
  const h2 = floats(i32x4.extend_low_i16x8_u(half));
  const h3 = floats(i32x4.extend_high_i16x8_u(half));
  const k = f32x4.splat(factor);
  let step = v128.load32_splat(query);
  put(out, scaled(a, step, h0), add, k);
  put(out + 16, scaled(b, step, h1), add, k);
  put(out + 32, scaled(c, step, h2), add, k);
  put(out + 48, scaled(d, step, h3), add, k);
  if (!two) return;
  step = v128.load32_splat(next);
  put(outNext, scaled(e, step, h0), add, k);
  put(outNext + 16, scaled(f, step, h1), add, k);
  put(outNext + 32, scaled(g, step, h2), add, k);
  put(outNext + 48, scaled(h, step, h3), add, k);
}

/** All queries with sixteen decoded tokens. */
function score16(
  queries: usize,
  stride: usize,
  rows: usize,
  n: usize,
  decoded: usize,
  halves: usize,
  out: usize,
  outStride: usize,
  add: bool,
  factor: f32,
): void {
  for (; rows >= 2; rows -= 2, queries += stride * 2, out += outStride * 2)
    products(true, queries, queries + stride, n, decoded, halves, out, out + outStride, add, factor);
  if (rows > 0) products(false, queries, queries, n, decoded, halves, out, out, add, factor);
}

/** queries: (rows, stride) bytes as prepared; out: (rows, outStride) bytes; work: 32 · dim bytes. */
export function scoreIntegers(
  plan: usize,
  queries: usize,
  stride: usize,
  rows: usize,
  tiles: usize,
  n: usize,
  out: usize,
  outStride: usize,
  work: usize,
): void {
  const bits = bitsOf(plan);
  const dim = dimOf(plan);
  const sketch = sketchRowsOf(plan);
  const planes = wordPlanesOf(plan);
  const signQueries = queries + 16 + dim * 2;
  for (const end = tiles + n * 4; tiles < end; tiles += 4, out += 64) {
    const tile = <usize>load<u32>(tiles);
    if (bits == 4) decodeRows(4, tile + codesOffset(plan), codeBytes(plan), planes, work);
    else decodeRows(bits, tile + codesOffset(plan), codeBytes(plan), planes, work);
    score16(queries, stride, rows, dim, work, tile, out, outStride, false, 0);
    if (sketch == 0) continue;
    decodeRows(1, tile + signsOffset(plan), signBytes(plan), signPlanesOf(plan), work);
    score16(signQueries, stride, rows, sketch, work, tile + 32, out, outStride, true, factorOf(plan));
  }
}
