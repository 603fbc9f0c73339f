/**
 * A query as tables: for each nibble of a key the sixteen sums that its codes can add to the score, rounded to
 * integers (src/kernels/tables.ts). Tables of codes, and behind them those of sketch bits, which are codes of one bit
 * with the levels −1 and 1.
 */
import { join, max4, sumOfSquares } from "../lanes";
import { bitsOf, dimOf, levelsOf, scratchOf, sketchRowsOf } from "../plan";
import { levelIndex } from "./nibbles";

/** Codes to a table. */
@inline export function codesPerTable(bits: i32): usize { return bits >= 3 ? 1 : bits == 2 ? 2 : 4; }

/** Tables that share a sum in sixteen bits before it is widened. */
export const SPAN: usize = 64;
/** What the sum of the largest entries of a span may be: 32767 less the roundings of 64 entries. */
const MOST: f32 = 32700;

/** Ranges and sums up to this count as 0: what is divided by them stays finite. */
export const LEAST: f32 = 1e-30;

/** Working space in the plan: four times sixteen levels; the two levels of a sketch's bits behind them; a query. */
@inline function expandedOf(plan: usize): usize { return scratchOf(plan); }
@inline function signLevelsOf(plan: usize): usize { return scratchOf(plan) + 256; }
const QUERY_AT: usize = 272;

/** Coordinates that may be looked up twice. */
export const MOST_TWICE: usize = 16;

/** expanded: (codesPerTable, 16) f32 ← the level of each code of a nibble. */
function expand(levels: usize, bits: i32, expanded: usize): void {
  for (let k: usize = 0; k < codesPerTable(bits); k++)
    for (let j: usize = 0; j < 16; j++)
      store<f32>(expanded + k * 64 + j * 4, load<f32>(levels + levelIndex(bits, k, j) * 4));
}

/** Value k of each of four tables: x[k], x[per + k], … */
@inline
function strided(x: usize, per: usize, k: usize): v128 {
  const at = x + k * 4;
  if (per == 1) return v128.load(at);
  let v = v128.load32_zero(at);
  v = v128.load32_lane(at + per * 4, v, 1);
  v = v128.load32_lane(at + per * 8, v, 2);
  return v128.load32_lane(at + per * 12, v, 3);
}

/** The smallest, or the largest, entry of each of four tables: x times the levels at both ends, code after code. */
@inline
function ends(x: usize, per: usize, low: v128, high: v128, largest: bool): v128 {
  let sum = f32x4.splat(0);
  for (let k: usize = 0; k < per; k++) {
    const v = strided(x, per, k);
    const a = f32x4.mul(v, low);
    const b = f32x4.mul(v, high);
    const end = largest ? f32x4.max(a, b) : f32x4.min(a, b);
    sum = k == 0 ? end : f32x4.add(sum, end);
  }
  return sum;
}

/** Four entries of a table, from the j-th on. */
@inline
function entries(x: usize, per: usize, expanded: usize): v128 {
  let p = f32x4.mul(v128.load32_splat(x), v128.load(expanded));
  for (let k: usize = 1; k < per; k++)
    p = f32x4.add(p, f32x4.mul(v128.load32_splat(x + k * 4), v128.load(expanded + k * 64)));
  return p;
}

/** 1.5 · 2²³: what is added to it is rounded to an integer, ties to even. */
export const ROUNDER: i32 = 0x4b400000;

/** Nearest integers, of magnitudes below 2²² where `usual`; else of any, and 0 for NaN. */
@inline
function rounded(usual: bool, p: v128, low: v128, scale: v128): v128 {
  const x = f32x4.mul(f32x4.sub(p, low), scale);
  if (!usual) return i32x4.trunc_sat_f32x4_s(f32x4.nearest(x));
  const rounder = i32x4.splat(ROUNDER);
  return i32x4.sub(f32x4.add(x, rounder), rounder);
}

@inline
function lowest(levels: usize, bits: i32): f32 {
  let low = load<f32>(levels);
  for (let j: usize = 1; j < <usize>1 << bits; j++) low = min<f32>(low, load<f32>(levels + j * 4));
  return low;
}
@inline
function highest(levels: usize, bits: i32): f32 {
  let high = load<f32>(levels);
  for (let j: usize = 1; j < <usize>1 << bits; j++) high = max<f32>(high, load<f32>(levels + j * 4));
  return high;
}

/**
 * Lists coordinates of x above 2.25 times its rms, where looking them up twice, halved, is enough; copies x with those
 * halved. list: MOST_TWICE bytes. Returns how many; without any there is no copy.
 */
function halved(x: usize, n: usize, copy: usize, list: usize): usize {
  const limit: f32 = <f32>2.25 * sqrt<f32>(sumOfSquares(x, n) / <f32>n);
  const l = f32x4.splat(limit);
  const sign = i32x4.splat(0x7fffffff);
  let some = i32x4.splat(0);
  for (let at = x; at < x + n * 4; at += 16) some = v128.or(some, f32x4.gt(v128.and(v128.load(at), sign), l));
  if (!v128.any_true(some)) return 0;
  let found: usize = 0;
  for (let i: usize = 0; i < n; i++) {
    const v = load<f32>(x + i * 4);
    const above = abs<f32>(v) > limit;
    store<f32>(copy + i * 4, above ? v * <f32>0.5 : v);
    if (!above) continue;
    if (found == MOST_TWICE || abs<f32>(v) > limit * 2) return 0;
    store<u8>(list + found, <u8>i);
    found++;
  }
  return found;
}

/**
 * Tables of one byte. Header: step, the sum of the smallest entries, how many coordinates are looked up twice; those of 4
 * bits are listed behind the tables. n: values of x. Returns the end.
 */
function bytesOf(levels: usize, bits: i32, expanded: usize, x: usize, n: usize, out: usize): usize {
  const per = codesPerTable(bits);
  const tables = n / per;
  const first = out + 16;
  const end = first + tables * 16;
  const twice: usize = bits == 4 ? halved(x, n, expanded + QUERY_AT, end) : 0;
  if (twice > 0) x = expanded + QUERY_AT;
  const low = f32x4.splat(lowest(levels, bits));
  const high = f32x4.splat(highest(levels, bits));
  expand(levels, bits, expanded);
  let wide = f32x4.splat(0);
  let sum = wide;
  for (let at = first, v = x; at < end; at += 64, v += per * 16) {
    const smallest = ends(v, per, low, high, false);
    wide = f32x4.max(wide, f32x4.sub(ends(v, per, low, high, true), smallest));
    v128.store(at, smallest); // of four tables at the head of their place
    sum = f32x4.add(sum, smallest);
  }
  const widest = max4(wide);
  store<f32>(out, widest / 255);
  let bias = join(sum);
  // Of table i the smallest entry is the i-th of those at the head of four.
  for (let k: usize = 0; k < twice; k++) {
    const i = <usize>load<u8>(end + k);
    bias += load<f32>(first + (i >> 2) * 64 + (i & 3) * 4);
  }
  store<f32>(out, bias, 4);
  store<u32>(out, <u32>twice, 8);
  const scale = f32x4.splat(widest > LEAST ? 255 / widest : 0);
  if (!(widest < Infinity)) each8(false, x, per, expanded, scale, first, end);
  else if (per == 1) fours8(x, expanded, scale, first, end);
  else each8(true, x, per, expanded, scale, first, end);
  return bits == 4 ? end + MOST_TWICE : end;
}

/**
 * tables: from `at` to `end`, each four with the smallest entries of theirs at the head of their place, so that the first
 * is made last.
 */
@inline
function each8(usual: bool, x: usize, per: usize, expanded: usize, scale: v128, at: usize, end: usize): void {
  for (; at < end; at += 64, x += per * 16)
    for (let k: i32 = 3; k >= 0; k--)
      table8(usual, x + per * 4 * k, per, expanded, v128.load32_splat(at + k * 4), scale, at + k * 16);
}

/** The usual ones of one code. */
@inline
function fours8(x: usize, expanded: usize, scale: v128, at: usize, end: usize): void {
  for (; at < end; at += 64, x += 16) {
    const four = v128.load(at);
    table8(true, x, 1, expanded, v128.shuffle<f32>(four, four, 0, 0, 0, 0), scale, at);
    table8(true, x + 4, 1, expanded, v128.shuffle<f32>(four, four, 1, 1, 1, 1), scale, at + 16);
    table8(true, x + 8, 1, expanded, v128.shuffle<f32>(four, four, 2, 2, 2, 2), scale, at + 32);
    table8(true, x + 12, 1, expanded, v128.shuffle<f32>(four, four, 3, 3, 3, 3), scale, at + 48);
  }
}

@inline
function table8(usual: bool, x: usize, per: usize, expanded: usize, low: v128, scale: v128, out: usize): void {
  const a = rounded(usual, entries(x, per, expanded), low, scale);
  const b = rounded(usual, entries(x, per, expanded + 16), low, scale);
  const c = rounded(usual, entries(x, per, expanded + 32), low, scale);
  const d = rounded(usual, entries(x, per, expanded + 48), low, scale);
  v128.store(out, i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(a, b), i16x8.narrow_i32x4_s(c, d)));
}

/** Tables of two bytes in two planes. Header: step. Returns the end. */
function wordsOf(levels: usize, bits: i32, expanded: usize, x: usize, n: usize, out: usize): usize {
  const per = codesPerTable(bits);
  const tables = n / per;
  const low = f32x4.splat(lowest(levels, bits));
  const high = f32x4.splat(highest(levels, bits));
  expand(levels, bits, expanded);
  let widest: f32 = 0;
  for (let t: usize = 0, v = x; t < tables; ) {
    let sum: f32 = 0;
    for (const end = min<usize>(tables, t + SPAN); t < end; t += 4, v += per * 16) {
      const most = f32x4.max(f32x4.neg(ends(v, per, low, high, false)), ends(v, per, low, high, true));
      sum += f32x4.extract_lane(most, 0);
      sum += f32x4.extract_lane(most, 1);
      sum += f32x4.extract_lane(most, 2);
      sum += f32x4.extract_lane(most, 3);
    }
    widest = max<f32>(widest, sum);
  }
  store<f32>(out, widest / MOST);
  const scale = f32x4.splat(widest > LEAST ? MOST / widest : 0);
  const first = out + 16;
  const end = first + tables * 32;
  if (!(widest < Infinity)) fill16(false, x, per, expanded, scale, first, end);
  else if (per == 1) fill16(true, x, 1, expanded, scale, first, end);
  else fill16(true, x, per, expanded, scale, first, end);
  return end;
}

@inline
function fill16(usual: bool, x: usize, per: usize, expanded: usize, scale: v128, at: usize, end: usize): void {
  const none = f32x4.splat(0);
  for (; at < end; at += 32, x += per * 4) {
    const a = rounded(usual, entries(x, per, expanded), none, scale);
    const b = rounded(usual, entries(x, per, expanded + 16), none, scale);
    const c = rounded(usual, entries(x, per, expanded + 32), none, scale);
    const d = rounded(usual, entries(x, per, expanded + 48), none, scale);
    const e = i16x8.narrow_i32x4_s(a, b);
    const f = i16x8.narrow_i32x4_s(c, d);
    //  low bytes of the sixteen, high bytes of them
    v128.store(at, v128.shuffle<u8>(e, f, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
    v128.store(at + 16, v128.shuffle<u8>(e, f, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31));
  }
}

@inline
function signLevels(plan: usize): usize {
  const levels = signLevelsOf(plan);
  store<f32>(levels, -1);
  store<f32>(levels, 1, 4);
  return levels;
}

export function prepareTables8(plan: usize, query: usize, sketched: usize, out: usize): void {
  out = bytesOf(levelsOf(plan), bitsOf(plan), expandedOf(plan), query, dimOf(plan), out);
  if (sketchRowsOf(plan) > 0) bytesOf(signLevels(plan), 1, expandedOf(plan), sketched, sketchRowsOf(plan), out);
}

export function prepareTables16(plan: usize, query: usize, sketched: usize, out: usize): void {
  out = wordsOf(levelsOf(plan), bitsOf(plan), expandedOf(plan), query, dimOf(plan), out);
  if (sketchRowsOf(plan) > 0) wordsOf(signLevels(plan), 1, expandedOf(plan), sketched, sketchRowsOf(plan), out);
}
