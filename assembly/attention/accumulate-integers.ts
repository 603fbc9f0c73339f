/**
 * Weighted sums of values in blocks of up to four tiles: levels and weights (times the stored scales) as integers, two
 * tokens at a time, exact sums, and one multiplication per block and coordinate (src/kernels/integers.ts).
 *
 * Sums are kept in the order in which lookups find them: for each sixteen bytes of a row (the last ones may overlap
 * those before), pass, and nibble, sixteen coordinates. gatherSums brings them in order.
 */
import { floats } from "../half";
import { join, max4 } from "../lanes";
import { bitsOf, dimOf, factorOf, levelsOf, scratchOf, sketchRowsOf } from "../plan";
import {
  firstCode,
  groupBytes,
  groupCodes,
  highNibbles,
  highStep,
  integerPlanes,
  LARGEST,
  largest,
  lowNibbles,
  passesOf,
  topBits,
} from "./nibbles";
import { integerScale, signLevels } from "./score-integers";
import { LEAST } from "./tables";
import { codeBytes, codesOffset, signBytes, signsOffset } from "./tile";

const USUAL: i32 = 0;
const SKIPPED: i32 = 1;
const BROKEN: i32 = 2;

/** A row of weights as integers: 128 bytes, then the factor of the block's sums, f32, and how it is, i32. */
const WEIGHT_BYTES: usize = 144;
/** Pairs of 64 tokens of 32 coordinates. */
const PAIR_BYTES: usize = 4096;

/** weights: (16·tiles,) · halves, as integers. unit: what a level's integers are multiples of. */
function prepareWeights(weights: usize, tiles: usize, n: usize, halves: usize, unit: f32, out: usize): void {
  const sign = i32x4.splat(0x7fffffff);
  const none = f32x4.splat(0);
  const products = out + WEIGHT_BYTES; // f32, overwritten by whoever comes next
  let most = none;
  let sum = none;
  for (let i: usize = 0; i < n; i++) {
    const half = <usize>load<u32>(tiles + i * 4) + halves;
    for (let t: usize = 0; t < 16; t += 4) {
      const p = v128.load(weights + i * 64 + t * 4);
      const s = floats(v128.load16x4_u(half + t * 2));
      const w = v128.and(f32x4.mul(p, s), f32x4.ne(p, none));
      v128.store(products + i * 64 + t * 4, w);
      const a = v128.and(w, sign);
      most = f32x4.max(most, a);
      sum = f32x4.add(sum, a);
    }
  }
  const total = join(sum);
  const usual = total > LEAST && total < Infinity;
  store<i32>(out, usual ? USUAL : total <= LEAST ? SKIPPED : BROKEN, 132);
  if (!usual) return;
  const scale = integerScale(max4(most), total);
  store<f32>(out, unit / scale, 128);
  const s = f32x4.splat(scale);
  for (let at: usize = 0; at < n * 64; at += 32) {
    const a = f32x4.nearest(f32x4.mul(v128.load(products + at), s));
    const b = f32x4.nearest(f32x4.mul(v128.load(products + at + 16), s));
    v128.store(
      out + (at >> 1),
      i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(a), i32x4.trunc_sat_f32x4_s(b)),
    );
  }
}

/** acc: (4,) += sums · factor. */
@inline
function addSums(acc: usize, sums: v128, factor: v128): void {
  v128.store(acc, f32x4.add(v128.load(acc), f32x4.mul(f32x4.convert_i32x4_s(sums), factor)));
}

/** The bytes of a row that a pass looks up; planes of three bits lie `plane` bytes apart. */
@inline
function rowBytes(last: bool, row: usize, plane: usize): v128 {
  if (!last) return v128.load(row);
  return topBits(v128.load(row), v128.load(row + plane), v128.load(row + plane * 2));
}

/** Integers of bytes 0 … 7, and 8 … 15, of their low and high planes. */
@inline
function lowPairs(low: v128, high: v128): v128 {
  return v128.shuffle<u8>(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
@inline
function highPairs(low: v128, high: v128): v128 {
  return v128.shuffle<u8>(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

@inline
function storePairs(low: v128, high: v128, index: v128, out: usize): void {
  const l = i8x16.swizzle(low, index);
  const h = i8x16.swizzle(high, index);
  v128.store(out, lowPairs(l, h));
  v128.store(out + 16, highPairs(l, h));
}

/** One pass for one row of weights: 32 coordinates, acc: (32,). row: of the first tile's first vector. */
@inline
function sumPass(
  last: bool,
  tiles: usize,
  n: usize,
  offset: usize,
  stride: usize,
  plane: usize,
  planes: usize,
  weights: usize,
  acc: usize,
): void {
  const low = v128.load(planes);
  const high = v128.load(planes + 16);
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let e = a;
  let f = a;
  let g = a;
  let h = a;
  let w = weights;
  for (const end = tiles + n * 4; tiles < end; tiles += 4) {
    let row = <usize>load<u32>(tiles) + offset;
    for (const stop = w + 32; w < stop; w += 4, row += stride * 2) {
      const s = v128.load32_splat(w);
      const v0 = rowBytes(last, row, plane);
      const v1 = rowBytes(last, row + stride, plane);
      //  u  bytes 0 … 7 of both tokens in turn, v bytes 8 … 15: a lookup's planes, in turn, are pairs
      const u = v128.shuffle<u8>(v0, v1, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      const v = v128.shuffle<u8>(v0, v1, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      let i = lowNibbles(u);
      let l = i8x16.swizzle(low, i);
      let k = i8x16.swizzle(high, i);
      a = i32x4.add(a, i32x4.dot_i16x8_s(lowPairs(l, k), s));
      b = i32x4.add(b, i32x4.dot_i16x8_s(highPairs(l, k), s));
      i = lowNibbles(v);
      l = i8x16.swizzle(low, i);
      k = i8x16.swizzle(high, i);
      c = i32x4.add(c, i32x4.dot_i16x8_s(lowPairs(l, k), s));
      d = i32x4.add(d, i32x4.dot_i16x8_s(highPairs(l, k), s));
      i = highNibbles(u);
      l = i8x16.swizzle(low, i);
      k = i8x16.swizzle(high, i);
      e = i32x4.add(e, i32x4.dot_i16x8_s(lowPairs(l, k), s));
      f = i32x4.add(f, i32x4.dot_i16x8_s(highPairs(l, k), s));
      i = highNibbles(v);
      l = i8x16.swizzle(low, i);
      k = i8x16.swizzle(high, i);
      g = i32x4.add(g, i32x4.dot_i16x8_s(lowPairs(l, k), s));
      h = i32x4.add(h, i32x4.dot_i16x8_s(highPairs(l, k), s));
    }
  }
  const factor = v128.load32_splat(weights + 128);
  addSums(acc, a, factor);
  addSums(acc + 16, b, factor);
  addSums(acc + 32, c, factor);
  addSums(acc + 48, d, factor);
  addSums(acc + 64, e, factor);
  addSums(acc + 80, f, factor);
  addSums(acc + 96, g, factor);
  addSums(acc + 112, h, factor);
}

/** The same lookups, kept: out: for each pair of tokens eight registers. */
@inline
function decodePass(
  last: bool,
  tiles: usize,
  n: usize,
  offset: usize,
  stride: usize,
  plane: usize,
  planes: usize,
  out: usize,
): void {
  const low = v128.load(planes);
  const high = v128.load(planes + 16);
  for (const end = tiles + n * 4; tiles < end; tiles += 4) {
    let row = <usize>load<u32>(tiles) + offset;
    for (const stop = out + 1024; out < stop; out += 128, row += stride * 2) {
      const v0 = rowBytes(last, row, plane);
      const v1 = rowBytes(last, row + stride, plane);
      const u = v128.shuffle<u8>(v0, v1, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      const v = v128.shuffle<u8>(v0, v1, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
      storePairs(low, high, lowNibbles(u), out);
      storePairs(low, high, lowNibbles(v), out + 32);
      storePairs(low, high, highNibbles(u), out + 64);
      storePairs(low, high, highNibbles(v), out + 96);
    }
  }
}

/** Decoded pairs times one row of weights. pairs: tokens/2. */
@inline
function sumDecoded(decoded: usize, pairs: usize, weights: usize, acc: usize): void {
  let a = i32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let e = a;
  let f = a;
  let g = a;
  let h = a;
  let w = weights;
  for (const end = w + pairs * 4; w < end; w += 4, decoded += 128) {
    const s = v128.load32_splat(w);
    a = i32x4.add(a, i32x4.dot_i16x8_s(v128.load(decoded), s));
    b = i32x4.add(b, i32x4.dot_i16x8_s(v128.load(decoded + 16), s));
    c = i32x4.add(c, i32x4.dot_i16x8_s(v128.load(decoded + 32), s));
    d = i32x4.add(d, i32x4.dot_i16x8_s(v128.load(decoded + 48), s));
    e = i32x4.add(e, i32x4.dot_i16x8_s(v128.load(decoded + 64), s));
    f = i32x4.add(f, i32x4.dot_i16x8_s(v128.load(decoded + 80), s));
    g = i32x4.add(g, i32x4.dot_i16x8_s(v128.load(decoded + 96), s));
    h = i32x4.add(h, i32x4.dot_i16x8_s(v128.load(decoded + 112), s));
  }
  const factor = v128.load32_splat(weights + 128);
  addSums(acc, a, factor);
  addSums(acc + 16, b, factor);
  addSums(acc + 32, c, factor);
  addSums(acc + 48, d, factor);
  addSums(acc + 64, e, factor);
  addSums(acc + 80, f, factor);
  addSums(acc + 96, g, factor);
  addSums(acc + 112, h, factor);
}

/** Sixteen-byte pieces of a plane of `bytes` bytes. */
@inline
function piecesOf(bytes: usize): usize {
  return (bytes + 15) >> 4;
}

/** Where a piece begins, from the beginning of the plane: the last one ends with it. May be below 0. */
@inline
function pieceAt(piece: usize, bytes: usize): usize {
  return piece * 16 + 16 <= bytes ? piece * 16 : bytes - 16;
}

function sumOne(
  last: bool, tiles: usize, n: usize, offset: usize, stride: usize, plane: usize, planes: usize, weights: usize, acc: usize,
): void {
  if (last) sumPass(true, tiles, n, offset, stride, plane, planes, weights, acc);
  else sumPass(false, tiles, n, offset, stride, plane, planes, weights, acc);
}

/** One kind of codes (those of vectors, or a sketch's bits). acc: (rows, accStride) bytes. */
function accumulateCodes(
  bits: i32,
  levels: usize,
  planes: usize,
  weights: usize,
  weightStride: usize,
  rows: usize,
  tiles: usize,
  n: usize,
  halves: usize,
  offset: usize,
  bytes: usize,
  acc: usize,
  accStride: usize,
  work: usize,
): void {
  integerPlanes(levels, bits, planes);
  const unit = largest(levels, bits) / LARGEST;
  const passes = passesOf(bits);
  const plane = bytes / groupBytes(bits);
  const integers = work + PAIR_BYTES;
  let live: usize = 0;
  for (let r: usize = 0; r < rows; r++) {
    const row = integers + r * WEIGHT_BYTES;
    prepareWeights(weights + r * weightStride, tiles, n, halves, unit, row);
    const how = load<i32>(row, 132);
    if (how == USUAL) live++;
    else if (how == BROKEN) {
      const nan = f32x4.splat(NaN);
      const size = piecesOf(plane) * passes * 128;
      for (let at = acc + r * accStride, end = at + size; at < end; at += 16) v128.store(at, nan);
    }
  }
  if (live == 0) return;
  let at: usize = 0;
  for (let piece: usize = 0; piece < piecesOf(plane); piece++) {
    for (let p: usize = 0; p < passes; p++, at += 128) {
      const last = bits == 3 && p == 3;
      const from = offset + pieceAt(piece, plane) + (bits == 3 && !last ? plane * p : 0);
      if (live > 1) {
        if (last) decodePass(true, tiles, n, from, bytes, plane, planes + p * 32, work);
        else decodePass(false, tiles, n, from, bytes, plane, planes + p * 32, work);
      }
      for (let r: usize = 0; r < rows; r++) {
        const row = integers + r * WEIGHT_BYTES;
        if (load<i32>(row, 132) != USUAL) continue;
        const sums = acc + r * accStride + at;
        if (live > 1) sumDecoded(work, n * 8, row, sums);
        else sumOne(last, tiles, n, from, bytes, plane, planes + p * 32, row, sums);
      }
    }
  }
}

/** f32 of a row of sums of codes. */
@inline
function sumsOf(bits: i32, bytes: usize): usize {
  return piecesOf(bytes / groupBytes(bits)) * passesOf(bits) * 32;
}

/**
 * weights: (rows, weightStride) bytes of f32; tiles: pointers, n of them, at most 4; acc: (rows, accStride) bytes; work:
 * 4096 + 144 · rows + 256 bytes.
 */
export function accumulateIntegers(
  plan: usize,
  weights: usize,
  weightStride: usize,
  rows: usize,
  tiles: usize,
  n: usize,
  acc: usize,
  accStride: usize,
  work: usize,
): void {
  const bits = bitsOf(plan);
  const bytes = codeBytes(plan);
  const planes = scratchOf(plan);
  accumulateCodes(
    bits, levelsOf(plan), planes, weights, weightStride, rows, tiles, n, 0, codesOffset(plan), bytes, acc, accStride, work,
  );
  if (sketchRowsOf(plan) == 0) return;
  accumulateCodes(
    1, signLevels(plan), planes, weights, weightStride, rows, tiles, n, 32, signsOffset(plan), signBytes(plan),
    acc + sumsOf(bits, bytes) * 4, accStride, work,
  );
}

function gather(bits: i32, bytes: usize, sums: usize, out: usize): void {
  const codes = groupCodes(bits);
  const plane = bytes / groupBytes(bits);
  for (let piece: usize = 0; piece < piecesOf(plane); piece++)
    for (let p: usize = 0; p < passesOf(bits); p++)
      for (let nibble: usize = 0; nibble < 2; nibble++)
        for (let lane: usize = 0; lane < 16; lane++, sums += 4) {
          const byte = pieceAt(piece, plane) + lane;
          if (byte >= plane) continue; // before the row, too: it is unsigned
          const i = byte * codes + firstCode(bits, p) + nibble * highStep(bits);
          store<f32>(out + i * 4, load<f32>(sums));
        }
}

/** sums: a row of acc → out: (dim,) and, with a sketch, (sketch rows,), in order. */
export function gatherSums(plan: usize, sums: usize, out: usize): void {
  const bits = bitsOf(plan);
  const bytes = codeBytes(plan);
  gather(bits, bytes, sums, out);
  if (sketchRowsOf(plan) > 0) gather(1, signBytes(plan), sums + sumsOf(bits, bytes) * 4, out + dimOf(plan) * 4);
}
