/**
 * ⟨query, key⟩ of tiles of keys by the tables of a query: each nibble of a row of sixteen tokens looks sixteen entries up
 * at once. Sums are exact integers, so their order does not matter.
 */
import { allFinite, finiteFloats, floats } from "../half";
import { bitsOf, dimOf, factorOf, sketchRowsOf } from "../plan";
import { highNibbles, lowNibbles, topBits } from "./nibbles";
import { codesPerTable, MOST_TWICE, SPAN } from "./tables";
import { codeBytes, codesOffset, signBytes, signsOffset } from "./tile";

/** out: (16,) ← or += (sum · step + bias) · half, times `factor` where it is added. even, odd: sums of tokens 0 2 …, 1 3 … */
@inline
function finish(even: v128, odd: v128, header: usize, halves: usize, out: usize): void {
  const step = v128.load32_splat(header);
  const bias = v128.load32_splat(header + 4);
  const low = v128.shuffle<u16>(even, odd, 0, 8, 1, 9, 2, 10, 3, 11);
  const high = v128.shuffle<u16>(even, odd, 4, 12, 5, 13, 6, 14, 7, 15);
  scaled(i32x4.extend_low_i16x8_u(low), i32x4.extend_high_i16x8_u(low), step, bias, halves, out);
  scaled(i32x4.extend_low_i16x8_u(high), i32x4.extend_high_i16x8_u(high), step, bias, halves + 16, out + 32);
}

/** Eight sums. */
@inline
function scaled(a: v128, b: v128, step: v128, bias: v128, halves: usize, out: usize): void {
  const half = v128.load(halves);
  const x = f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(a), step), bias);
  const y = f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(b), step), bias);
  v128.store(out, f32x4.mul(x, finiteFloats(i32x4.extend_low_i16x8_s(half))));
  v128.store(out + 16, f32x4.mul(y, finiteFloats(i32x4.extend_high_i16x8_s(half))));
  if (!allFinite(half)) scaledByAny(x, y, half, out);
}
function scaledByAny(x: v128, y: v128, half: v128, out: usize): void {
  v128.store(out, f32x4.mul(x, floats(i32x4.extend_low_i16x8_u(half))));
  v128.store(out + 16, f32x4.mul(y, floats(i32x4.extend_high_i16x8_u(half))));
}

/** out[i] ← codes[i] + factor · signs[i]. Sixteen each. */
@inline
function addSigns(codes: usize, signs: usize, factor: f32): void {
  const f = f32x4.splat(factor);
  for (let at: usize = 0; at < 64; at += 16)
    v128.store(codes + at, f32x4.add(v128.load(codes + at), f32x4.mul(f, v128.load(signs + at))));
}

/** rows: a multiple of 4 (of 3 for 3 bits) of sixteen bytes; even + odd << 8 gathers in `all`. */
@inline
function sum8(three: bool, row: usize, bytes: usize, header: usize, halves: usize, out: usize): void {
  let all = i16x8.splat(0);
  let odd = all;
  let table = header + 16;
  const rows = row;
  let r: v128;
  if (three) {
    for (const end = row + bytes * 16; row < end; row += 48, table += 128) {
      const a = v128.load(row);
      const b = v128.load(row + 16);
      const c = v128.load(row + 32);
      r = i8x16.swizzle(v128.load(table), lowNibbles(a));
      all = i16x8.add(all, r);
      odd = i16x8.add(odd, i16x8.shr_u(r, 8));
      r = i8x16.swizzle(v128.load(table + 16), highNibbles(a));
      all = i16x8.add(all, r);
      odd = i16x8.add(odd, i16x8.shr_u(r, 8));
      r = i8x16.swizzle(v128.load(table + 32), lowNibbles(b));
      all = i16x8.add(all, r);
      odd = i16x8.add(odd, i16x8.shr_u(r, 8));
      r = i8x16.swizzle(v128.load(table + 48), highNibbles(b));
      all = i16x8.add(all, r);
      odd = i16x8.add(odd, i16x8.shr_u(r, 8));
      r = i8x16.swizzle(v128.load(table + 64), lowNibbles(c));
      all = i16x8.add(all, r);
      odd = i16x8.add(odd, i16x8.shr_u(r, 8));
      r = i8x16.swizzle(v128.load(table + 80), highNibbles(c));
      all = i16x8.add(all, r);
      odd = i16x8.add(odd, i16x8.shr_u(r, 8));
      const top = topBits(a, b, c);
      r = i8x16.swizzle(v128.load(table + 96), lowNibbles(top));
      all = i16x8.add(all, r);
      odd = i16x8.add(odd, i16x8.shr_u(r, 8));
      r = i8x16.swizzle(v128.load(table + 112), highNibbles(top));
      all = i16x8.add(all, r);
      odd = i16x8.add(odd, i16x8.shr_u(r, 8));
    }
  } else {
    for (const end = row + bytes * 16; row < end; row += 64, table += 128) {
      let v = v128.load(row);
      r = i8x16.swizzle(v128.load(table), lowNibbles(v));
      all = i16x8.add(all, r);
      odd = i16x8.add(odd, i16x8.shr_u(r, 8));
      r = i8x16.swizzle(v128.load(table + 16), highNibbles(v));
      all = i16x8.add(all, r);
      odd = i16x8.add(odd, i16x8.shr_u(r, 8));
      v = v128.load(row + 16);
      r = i8x16.swizzle(v128.load(table + 32), lowNibbles(v));
      all = i16x8.add(all, r);
      odd = i16x8.add(odd, i16x8.shr_u(r, 8));
      r = i8x16.swizzle(v128.load(table + 48), highNibbles(v));
      all = i16x8.add(all, r);
      odd = i16x8.add(odd, i16x8.shr_u(r, 8));
      v = v128.load(row + 32);
      r = i8x16.swizzle(v128.load(table + 64), lowNibbles(v));
      all = i16x8.add(all, r);
      odd = i16x8.add(odd, i16x8.shr_u(r, 8));
      r = i8x16.swizzle(v128.load(table + 80), highNibbles(v));
      all = i16x8.add(all, r);
      odd = i16x8.add(odd, i16x8.shr_u(r, 8));
      v = v128.load(row + 48);
      r = i8x16.swizzle(v128.load(table + 96), lowNibbles(v));
      all = i16x8.add(all, r);
      odd = i16x8.add(odd, i16x8.shr_u(r, 8));
      r = i8x16.swizzle(v128.load(table + 112), highNibbles(v));
      all = i16x8.add(all, r);
      odd = i16x8.add(odd, i16x8.shr_u(r, 8));
    }
  }
  // Coordinates that are looked up twice: nibble i & 1 of row i >> 1.
  for (let list = table, end = list + load<u32>(header, 8); list < end; list++) {
    const i = <usize>load<u8>(list);
    const index = v128.and(i16x8.shr_u(v128.load(rows + (i >> 1) * 16), <i32>(i & 1) << 2), i8x16.splat(15));
    r = i8x16.swizzle(v128.load(header + 16 + i * 16), index);
    all = i16x8.add(all, r);
    odd = i16x8.add(odd, i16x8.shr_u(r, 8));
  }
  finish(i16x8.sub(all, i16x8.shl(odd, 8)), odd, header, halves, out);
}

export function scoreTables8(plan: usize, tables: usize, tiles: usize, n: usize, out: usize): void {
  const bytes = codeBytes(plan);
  const codes = codesOffset(plan);
  const signs = signsOffset(plan);
  const signRows = signBytes(plan);
  const three = bitsOf(plan) == 3;
  const signTables =
    tables + 16 + (dimOf(plan) / codesPerTable(bitsOf(plan))) * 16 + (bitsOf(plan) == 4 ? MOST_TWICE : 0);
  for (const end = tiles + n * 4; tiles < end; tiles += 4, out += 64) {
    const tile = <usize>load<u32>(tiles);
    if (three) sum8(true, tile + codes, bytes, tables, tile, out);
    else sum8(false, tile + codes, bytes, tables, tile, out);
    if (sketchRowsOf(plan) == 0) continue;
    const work = signTables + 16 + sketchRowsOf(plan) * 4;
    sum8(false, tile + signs, signRows, signTables, tile + 32, work);
    addSigns(out, work, factorOf(plan));
  }
}

/** Eight sums of eight tokens each: a row's nibbles in tables of two planes. */
@inline
function look(table: usize, index: v128, high: bool, sum: v128): v128 {
  const l = i8x16.swizzle(v128.load(table), index);
  const h = i8x16.swizzle(v128.load(table + 16), index);
  return i16x8.add(
    sum,
    high
      ? v128.shuffle<u8>(l, h, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
      : v128.shuffle<u8>(l, h, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23),
  );
}

@inline
function sum16(three: bool, row: usize, bytes: usize, header: usize, halves: usize, out: usize): void {
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let table = header + 16;
  const end = row + bytes * 16;
  // Rows of a span: half as many as tables, but three rows of 3-bit codes have eight.
  const span = three ? (SPAN / 8) * 48 : SPAN * 8;
  while (row < end) {
    let low = i16x8.splat(0);
    let high = low;
    const stop = min<usize>(end, row + span);
    if (three) {
      for (; row < stop; row += 48, table += 256) {
        const x = v128.load(row);
        const y = v128.load(row + 16);
        const z = v128.load(row + 32);
        let i = lowNibbles(x);
        low = look(table, i, false, low);
        high = look(table, i, true, high);
        i = highNibbles(x);
        low = look(table + 32, i, false, low);
        high = look(table + 32, i, true, high);
        i = lowNibbles(y);
        low = look(table + 64, i, false, low);
        high = look(table + 64, i, true, high);
        i = highNibbles(y);
        low = look(table + 96, i, false, low);
        high = look(table + 96, i, true, high);
        i = lowNibbles(z);
        low = look(table + 128, i, false, low);
        high = look(table + 128, i, true, high);
        i = highNibbles(z);
        low = look(table + 160, i, false, low);
        high = look(table + 160, i, true, high);
        const top = topBits(x, y, z);
        i = lowNibbles(top);
        low = look(table + 192, i, false, low);
        high = look(table + 192, i, true, high);
        i = highNibbles(top);
        low = look(table + 224, i, false, low);
        high = look(table + 224, i, true, high);
      }
    } else {
      for (; row < stop; row += 32, table += 128) {
        const x = v128.load(row);
        let i = lowNibbles(x);
        low = look(table, i, false, low);
        high = look(table, i, true, high);
        i = highNibbles(x);
        low = look(table + 32, i, false, low);
        high = look(table + 32, i, true, high);
        const y = v128.load(row + 16);
        i = lowNibbles(y);
        low = look(table + 64, i, false, low);
        high = look(table + 64, i, true, high);
        i = highNibbles(y);
        low = look(table + 96, i, false, low);
        high = look(table + 96, i, true, high);
      }
    }
    a = i32x4.add(a, i32x4.extend_low_i16x8_s(low));
    b = i32x4.add(b, i32x4.extend_high_i16x8_s(low));
    c = i32x4.add(c, i32x4.extend_low_i16x8_s(high));
    d = i32x4.add(d, i32x4.extend_high_i16x8_s(high));
  }
  const step = v128.load32_splat(header);
  const none = f32x4.splat(0);
  scaled(a, b, step, none, halves, out);
  scaled(c, d, step, none, halves + 16, out + 32);
}

export function scoreTables16(plan: usize, tables: usize, tiles: usize, n: usize, out: usize): void {
  const bytes = codeBytes(plan);
  const codes = codesOffset(plan);
  const signs = signsOffset(plan);
  const signRows = signBytes(plan);
  const three = bitsOf(plan) == 3;
  const signTables = tables + 16 + (dimOf(plan) / codesPerTable(bitsOf(plan))) * 32;
  for (const end = tiles + n * 4; tiles < end; tiles += 4, out += 64) {
    const tile = <usize>load<u32>(tiles);
    if (three) sum16(true, tile + codes, bytes, tables, tile, out);
    else sum16(false, tile + codes, bytes, tables, tile, out);
    if (sketchRowsOf(plan) == 0) continue;
    const work = signTables + 16 + sketchRowsOf(plan) * 8;
    sum16(false, tile + signs, signRows, signTables, tile + 32, work);
    addSigns(out, work, factorOf(plan));
  }
}
