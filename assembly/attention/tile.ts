/**
 * Vectors of sixteen tokens laid out for attention, in as many bytes as they have in a row each (src/kernels/tile.ts):
 *
 *   keys     scales × 16 | [residual norms × 16] | byte 0 of all, byte 1 of all, …       | [sign bytes the same]
 *   values   scales × 16 | [residual norms × 16] | codes of vector 0, of vector 1, …     | [signs of 0, …]
 *
 * so every field begins at 16 times its place in a vector. Codes of 3 bits are regrouped (nibbles.ts); those of values
 * then lie in three planes: first bytes of all groups, second ones, third ones.
 */
import { bitsOf, codesAt, dimOf, signsAt, sketchRowsOf } from "../plan";
import { regroup, ungroup } from "./nibbles";

@inline export function codesOffset(plan: usize): usize { return codesAt(plan) * 16; }
@inline export function signsOffset(plan: usize): usize { return signsAt(plan) * 16; }
@inline export function codeBytes(plan: usize): usize { return (dimOf(plan) * bitsOf(plan)) >> 3; }
@inline export function signBytes(plan: usize): usize { return sketchRowsOf(plan) >> 3; }

/** Three bytes; reads one more where `last` is not set. */
@inline
function load3(p: usize): u32 {
  return <u32>load<u16>(p) | (<u32>load<u8>(p, 2) << 16);
}
@inline
function store3(p: usize, v: u32, step: usize): void {
  store<u8>(p, <u8>v);
  store<u8>(p + step, <u8>(v >> 8));
  store<u8>(p + step * 2, <u8>(v >> 16));
}
@inline
function gather3(p: usize, step: usize): u32 {
  return <u32>load<u8>(p) | (<u32>load<u8>(p + step) << 8) | (<u32>load<u8>(p + step * 2) << 16);
}

@inline
function halvesToTile(plan: usize, row: usize, tile: usize, t: usize): void {
  store<u16>(tile + t * 2, load<u16>(row));
  if (codesAt(plan) == 4) store<u16>(tile + 32 + t * 2, load<u16>(row, 2));
}
@inline
function halvesToRow(plan: usize, tile: usize, t: usize, row: usize): void {
  store<u16>(row, load<u16>(tile + t * 2));
  if (codesAt(plan) == 4) store<u16>(row, load<u16>(tile + 32 + t * 2), 2);
}

/** Four bytes of each of 16 rows, `step` apart ↔ four rows of 16 bytes. */
function transposeIn(rows: usize, step: usize, out: usize): void {
  let at = rows;
  let a = v128.load32_zero(at);
  a = v128.load32_lane(at += step, a, 1);
  a = v128.load32_lane(at += step, a, 2);
  a = v128.load32_lane(at += step, a, 3);
  let b = v128.load32_zero(at += step);
  b = v128.load32_lane(at += step, b, 1);
  b = v128.load32_lane(at += step, b, 2);
  b = v128.load32_lane(at += step, b, 3);
  let c = v128.load32_zero(at += step);
  c = v128.load32_lane(at += step, c, 1);
  c = v128.load32_lane(at += step, c, 2);
  c = v128.load32_lane(at += step, c, 3);
  let d = v128.load32_zero(at += step);
  d = v128.load32_lane(at += step, d, 1);
  d = v128.load32_lane(at += step, d, 2);
  d = v128.load32_lane(at += step, d, 3);
  //  ab01  bytes 0 of eight tokens, bytes 1 of them
  const ab01 = v128.shuffle<u8>(a, b, 0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
  const ab23 = v128.shuffle<u8>(a, b, 2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31);
  const cd01 = v128.shuffle<u8>(c, d, 0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
  const cd23 = v128.shuffle<u8>(c, d, 2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31);
  v128.store(out, v128.shuffle<u64>(ab01, cd01, 0, 2));
  v128.store(out + 16, v128.shuffle<u64>(ab01, cd01, 1, 3));
  v128.store(out + 32, v128.shuffle<u64>(ab23, cd23, 0, 2));
  v128.store(out + 48, v128.shuffle<u64>(ab23, cd23, 1, 3));
}

function transposeOut(tile: usize, out: usize, step: usize): void {
  const a = v128.load(tile);
  const b = v128.load(tile + 16);
  const c = v128.load(tile + 32);
  const d = v128.load(tile + 48);
  //  ab  bytes 0 and 1 of tokens 0 … 7, of 8 … 15
  const abl = v128.shuffle<u8>(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const abh = v128.shuffle<u8>(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  const cdl = v128.shuffle<u8>(c, d, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const cdh = v128.shuffle<u8>(c, d, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  let v = v128.shuffle<u16>(abl, cdl, 0, 8, 1, 9, 2, 10, 3, 11);
  v128.store32_lane(out, v, 0);
  v128.store32_lane(out += step, v, 1);
  v128.store32_lane(out += step, v, 2);
  v128.store32_lane(out += step, v, 3);
  v = v128.shuffle<u16>(abl, cdl, 4, 12, 5, 13, 6, 14, 7, 15);
  v128.store32_lane(out += step, v, 0);
  v128.store32_lane(out += step, v, 1);
  v128.store32_lane(out += step, v, 2);
  v128.store32_lane(out += step, v, 3);
  v = v128.shuffle<u16>(abh, cdh, 0, 8, 1, 9, 2, 10, 3, 11);
  v128.store32_lane(out += step, v, 0);
  v128.store32_lane(out += step, v, 1);
  v128.store32_lane(out += step, v, 2);
  v128.store32_lane(out += step, v, 3);
  v = v128.shuffle<u16>(abh, cdh, 4, 12, 5, 13, 6, 14, 7, 15);
  v128.store32_lane(out += step, v, 0);
  v128.store32_lane(out += step, v, 1);
  v128.store32_lane(out += step, v, 2);
  v128.store32_lane(out += step, v, 3);
}

/** rows: (count, step) packed → tokens first … first + count − 1 of a tile of keys. count ≥ 1. */
export function tileKeys(plan: usize, rows: usize, step: usize, first: usize, count: usize, tile: usize): void {
  const bytes = codeBytes(plan);
  const codes = tile + codesOffset(plan);
  const signs = tile + signsOffset(plan);
  const three = bitsOf(plan) == 3;
  const whole = first == 0 && count == 16;
  if (whole) {
    for (let r: usize = 0; r < bytes; r += 4) transposeIn(rows + codesAt(plan) + r, step, codes + r * 16);
    for (let r: usize = 0; r < signBytes(plan); r += 4) transposeIn(rows + signsAt(plan) + r, step, signs + r * 16);
    if (three) for (let at = codes; at < codes + bytes * 16; at += 48) regroupRows(at);
  }
  for (let t = first; t < first + count; t++, rows += step) {
    halvesToTile(plan, rows, tile, t);
    if (whole) continue;
    const row = rows + codesAt(plan);
    if (three)
      for (let r: usize = 0; r < bytes; r += 3) store3(codes + r * 16 + t, regroup(load3(row + r)), 16);
    else for (let r: usize = 0; r < bytes; r++) store<u8>(codes + r * 16 + t, load<u8>(row + r));
    for (let r: usize = 0; r < signBytes(plan); r++)
      store<u8>(signs + r * 16 + t, load<u8>(rows + signsAt(plan) + r));
  }
}

/** The bits `mask` of v, moved up by `up` (or down by − up), byte by byte: none may leave its byte. */
@inline
function move(v: v128, mask: i8, up: i32): v128 {
  const some = v128.and(v, i8x16.splat(mask));
  return up >= 0 ? i16x8.shl(some, up) : i16x8.shr_u(some, -up);
}

/** regroup, of three rows of sixteen bytes. */
@inline
function regroupRows(at: usize): void {
  const a = v128.load(at);
  const b = v128.load(at + 16);
  const c = v128.load(at + 32);
  //  a  c0 c0 c0 c1 c1 c1 c2 c2 | b  c2 c3 c3 c3 c4 c4 c4 c5 | c  c5 c5 c6 c6 c6 c7 c7 c7   lowest bit first
  let x = v128.or(move(a, 0x07, 0), move(a, 0x38, 1));
  x = v128.or(x, v128.or(move(c, 0x04, 1), move(c, 0x20, 2)));
  v128.store(at, x);
  x = v128.or(v128.or(move(a, <i8>0xc0, -6), move(b, 0x01, 2)), move(b, 0x0e, 3));
  x = v128.or(x, v128.or(move(c, 0x08, 0), move(c, 0x40, 1)));
  v128.store(at + 16, x);
  x = v128.or(v128.or(move(b, 0x70, -4), move(b, <i8>0x80, -3)), move(c, 0x03, 5));
  x = v128.or(x, v128.or(move(c, 0x10, -1), move(c, <i8>0x80, 0)));
  v128.store(at + 32, x);
}

/** Tokens first … first + count − 1 of a tile of keys → rows: (count, step), the bytes of each vector only. */
export function untileKeys(plan: usize, tile: usize, first: usize, count: usize, rows: usize, step: usize): void {
  const bytes = codeBytes(plan);
  const codes = tile + codesOffset(plan);
  const signs = tile + signsOffset(plan);
  const three = bitsOf(plan) == 3;
  const whole = first == 0 && count == 16;
  if (whole) {
    for (let r: usize = 0; r < bytes; r += 4) transposeOut(codes + r * 16, rows + codesAt(plan) + r, step);
    for (let r: usize = 0; r < signBytes(plan); r += 4) transposeOut(signs + r * 16, rows + signsAt(plan) + r, step);
  }
  for (let t = first; t < first + count; t++, rows += step) {
    halvesToRow(plan, tile, t, rows);
    const row = rows + codesAt(plan);
    if (three) {
      if (whole) for (let r: usize = 0; r < bytes; r += 3) store3(row + r, ungroup(load3(row + r)), 1);
      else for (let r: usize = 0; r < bytes; r += 3) store3(row + r, ungroup(gather3(codes + r * 16 + t, 16)), 1);
    }
    if (whole) continue;
    if (!three) for (let r: usize = 0; r < bytes; r++) store<u8>(row + r, load<u8>(codes + r * 16 + t));
    for (let r: usize = 0; r < signBytes(plan); r++)
      store<u8>(rows + signsAt(plan) + r, load<u8>(signs + r * 16 + t));
  }
}

/** Bytes of two rows, a multiple of 4 of each, in turn. */
function zip(a: usize, b: usize, bytes: usize, out: usize): void {
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16, out += 32) {
    const x = v128.load(a + at);
    const y = v128.load(b + at);
    v128.store(out, v128.shuffle<u8>(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
    v128.store(out + 16, v128.shuffle<u8>(x, y, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31));
  }
  for (; at < bytes; at += 4, out += 8) {
    const x = v128.load32_zero(a + at);
    const y = v128.load32_zero(b + at);
    v128.store64_lane(out, v128.shuffle<u8>(x, y, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23), 0);
  }
}

/** Every other byte, a multiple of 4 of them. */
function unzip(from: usize, bytes: usize, out: usize): void {
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16, from += 32) {
    const x = v128.load(from);
    const y = v128.load(from + 16);
    v128.store(out + at, v128.shuffle<u8>(x, y, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30));
  }
  for (; at < bytes; at++, from += 2) store<u8>(out + at, load<u8>(from));
}

/** Where the codes, or signs, of a token's pair begin, and its own first byte. */
@inline
function pairAt(from: usize, t: usize, bytes: usize): usize {
  return from + (t >> 1) * bytes * 2 + (t & 1);
}

/** rows: (count, step) packed → tokens first … of a tile of values. */
export function tileValues(plan: usize, rows: usize, step: usize, first: usize, count: usize, tile: usize): void {
  const bytes = codeBytes(plan);
  const signs = signBytes(plan);
  const three = bitsOf(plan) == 3;
  const end = first + count;
  for (let t = first; t < end; ) {
    const two = (t & 1) == 0 && t + 1 < end;
    const row = rows + codesAt(plan);
    const to = pairAt(tile + codesOffset(plan), t, bytes);
    const signsTo = pairAt(tile + signsOffset(plan), t, signs);
    if (two) {
      if (!three) zip(row, row + step, bytes, to);
      if (signs > 0) zip(rows + signsAt(plan), rows + step + signsAt(plan), signs, signsTo);
    } else {
      if (!three) for (let at: usize = 0; at < bytes; at++) store<u8>(to + at * 2, load<u8>(row + at));
      for (let at: usize = 0; at < signs; at++) store<u8>(signsTo + at * 2, load<u8>(rows + signsAt(plan) + at));
    }
    for (const next = t + (two ? 2 : 1); t < next; t++, rows += step) {
      halvesToTile(plan, rows, tile, t);
      if (!three) continue;
      const from = rows + codesAt(plan);
      const to = pairAt(tile + codesOffset(plan), t, bytes);
      const plane = bytes / 3;
      for (let g: usize = 0; g < plane; g++) store3(to + g * 2, regroup(load3(from + g * 3)), plane * 2);
    }
  }
}

/** Tokens first … first + count − 1 of a tile of values → rows: (count, step). */
export function untileValues(plan: usize, tile: usize, first: usize, count: usize, rows: usize, step: usize): void {
  const bytes = codeBytes(plan);
  const plane = bytes / 3;
  for (let t = first; t < first + count; t++, rows += step) {
    halvesToRow(plan, tile, t, rows);
    const row = rows + codesAt(plan);
    const from = pairAt(tile + codesOffset(plan), t, bytes);
    if (bitsOf(plan) == 3)
      for (let g: usize = 0; g < plane; g++) store3(row + g * 3, ungroup(gather3(from + g * 2, plane * 2)), 1);
    else unzip(from, bytes, row);
    const signs = signBytes(plan);
    if (signs > 0) unzip(pairAt(tile + signsOffset(plan), t, signs), signs, rows + signsAt(plan));
  }
}
