/**
 * Weighted sums of values in blocks of up to eight tiles: levels and weights (times the stored scales) as integers, two
 * tokens at a time, exact sums, and one multiplication per block and coordinate (src/kernels/integers.ts). Tiles have the
 * bytes of two tokens in turn (tile.ts): what is looked up is in pairs. Levels are integers of two bytes, looked up in
 * two planes, or multiples of 256, of one.
 *
 * Sums are kept in the order in which lookups find them (gather-sums.ts).
 */
import { bitsOf, bytePlanesOf, byteUnitOf, signPlanesOf, sketchRowsOf, wordPlanesOf, wordUnitOf } from "../plan";
import { BROKEN, FACTOR, HOW, MOST_BYTE_SUM, prepareWeights, USUAL, WEIGHT_BYTES } from "./block-weights";
import { pieceAt, piecesOf, sumsOf } from "./gather-sums";
import { groupBytes, highNibbles, lowNibbles, passesOf, topBits } from "./nibbles";
import { MOST_SUM, SIGN_WORD_UNIT } from "./score-integers";
import { codeBytes, codesOffset, signBytes, signsOffset } from "./tile";

/** What the levels −1 and 1 of a sketch's bits are multiples of as integers of one byte. */
const SIGN_BYTE_UNIT: f32 = 1.0 / (127 * 256);
/** Pairs of 128 tokens of 32 coordinates. */
const PAIR_BYTES: usize = 8192;

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

/** What bytes 0 … 7, and 8 … 15, of two planes are as integers: two coordinates of one token and of the other in turn. */
@inline
function lowPairs(low: v128, high: v128): v128 {
  return v128.shuffle<u8>(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
}
@inline
function highPairs(low: v128, high: v128): v128 {
  return v128.shuffle<u8>(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
}

/** The low bytes of integers: 0 where one byte is all there is. */
@inline
function lowBytes(one: bool, low: v128, index: v128): v128 {
  return one ? low : i8x16.swizzle(low, index);
}

@inline
function storePairs(low: v128, high: v128, index: v128, out: usize): void {
  const l = i8x16.swizzle(low, index);
  const h = i8x16.swizzle(high, index);
  v128.store(out, lowPairs(l, h));
  v128.store(out + 16, highPairs(l, h));
}

/** One pass for one row of weights: 32 coordinates, acc: (32,). offset: of the first pair in a tile, `step` bytes each. */
@inline
function sumPass(
  one: bool,
  last: bool,
  tiles: usize,
  n: usize,
  offset: usize,
  step: usize,
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
    let pair = <usize>load<u32>(tiles) + offset;
    for (const stop = w + 32; w < stop; w += 4, pair += step) {
      const s = v128.load32_splat(w);
      let v = rowBytes(last, pair, plane);
      let i = lowNibbles(v);
      let l = lowBytes(one, low, i);
      let k = i8x16.swizzle(high, i);
      a = i32x4.add(a, i32x4.dot_i16x8_s(lowPairs(l, k), s));
      b = i32x4.add(b, i32x4.dot_i16x8_s(highPairs(l, k), s));
      i = highNibbles(v);
      l = lowBytes(one, low, i);
      k = i8x16.swizzle(high, i);
      e = i32x4.add(e, i32x4.dot_i16x8_s(lowPairs(l, k), s));
      f = i32x4.add(f, i32x4.dot_i16x8_s(highPairs(l, k), s));
      v = rowBytes(last, pair + 16, plane);
      i = lowNibbles(v);
      l = lowBytes(one, low, i);
      k = i8x16.swizzle(high, i);
      c = i32x4.add(c, i32x4.dot_i16x8_s(lowPairs(l, k), s));
      d = i32x4.add(d, i32x4.dot_i16x8_s(highPairs(l, k), s));
      i = highNibbles(v);
      l = lowBytes(one, low, i);
      k = i8x16.swizzle(high, i);
      g = i32x4.add(g, i32x4.dot_i16x8_s(lowPairs(l, k), s));
      h = i32x4.add(h, i32x4.dot_i16x8_s(highPairs(l, k), s));
    }
  }
  const factor = v128.load32_splat(weights + FACTOR);
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
function decodePass(
  last: bool, tiles: usize, n: usize, offset: usize, step: usize, plane: usize, planes: usize, out: usize,
): void {
  const low = v128.load(planes);
  const high = v128.load(planes + 16);
  for (const end = tiles + n * 4; tiles < end; tiles += 4) {
    let pair = <usize>load<u32>(tiles) + offset;
    for (const stop = out + 1024; out < stop; out += 128, pair += step) {
      const u = rowBytes(last, pair, plane);
      const v = rowBytes(last, pair + 16, plane);
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
  const factor = v128.load32_splat(weights + FACTOR);
  addSums(acc, a, factor);
  addSums(acc + 16, b, factor);
  addSums(acc + 32, c, factor);
  addSums(acc + 48, d, factor);
  addSums(acc + 64, e, factor);
  addSums(acc + 80, f, factor);
  addSums(acc + 96, g, factor);
  addSums(acc + 112, h, factor);
}

function sumOne(
  one: bool, last: bool, tiles: usize, n: usize, offset: usize, step: usize, plane: usize, planes: usize, weights: usize,
  acc: usize,
): void {
  if (one) {
    if (last) sumPass(true, true, tiles, n, offset, step, plane, planes, weights, acc);
    else sumPass(true, false, tiles, n, offset, step, plane, planes, weights, acc);
  } else if (last) sumPass(false, true, tiles, n, offset, step, plane, planes, weights, acc);
  else sumPass(false, false, tiles, n, offset, step, plane, planes, weights, acc);
}

/**
 * One kind of codes (those of vectors, or a sketch's bits). planes: (passes, 2, 16) bytes of integer levels, of low ones 0 where `one`; unit:
 * what they are multiples of; acc: (rows, accStride) bytes.
 */
function accumulateCodes(
  one: bool,
  bits: i32,
  planes: usize,
  unit: f32,
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
  const mostSum = one ? MOST_BYTE_SUM : MOST_SUM;
  const passes = passesOf(bits);
  const plane = bytes / groupBytes(bits);
  const integers = work + PAIR_BYTES;
  let live: usize = 0;
  for (let r: usize = 0; r < rows; r++) {
    const row = integers + r * WEIGHT_BYTES;
    prepareWeights(weights + r * weightStride, tiles, n, halves, unit, mostSum, row);
    const how = load<i32>(row, HOW);
    if (how == USUAL) live++;
    else if (how == BROKEN) {
      const nan = f32x4.splat(NaN);
      const size = piecesOf(plane) * passes * 128;
      for (let at = acc + r * accStride, end = at + size; at < end; at += 16) v128.store(at, nan);
    }
  }
  if (live == 0) return;
  // Of two tokens: planes, pieces and rows are twice as long.
  const apart = plane * 2;
  let at: usize = 0;
  for (let piece: usize = 0; piece < piecesOf(plane); piece++) {
    for (let p: usize = 0; p < passes; p++, at += 128) {
      const last = bits == 3 && p == 3;
      const from = offset + pieceAt(piece, plane) * 2 + (bits == 3 && !last ? apart * p : 0);
      if (live > 1) decodePass(last, tiles, n, from, bytes * 2, apart, planes + p * 32, work);
      for (let r: usize = 0; r < rows; r++) {
        const row = integers + r * WEIGHT_BYTES;
        if (load<i32>(row, HOW) != USUAL) continue;
        const sums = acc + r * accStride + at;
        if (live > 1) sumDecoded(work, n * 8, row, sums);
        else sumOne(one, last, tiles, n, from, bytes * 2, apart, planes + p * 32, row, sums);
      }
    }
  }
}

/**
 * levelBytes: 1 or 2, of integer levels; weights: (rows, weightStride) bytes of f32; tiles: pointers, n of them, at most
 * 8; acc: (rows, accStride) bytes; work: 8192 + 272 · rows + 512 bytes.
 */
export function accumulateIntegers(
  plan: usize,
  levelBytes: i32,
  weights: usize,
  weightStride: usize,
  rows: usize,
  tiles: usize,
  n: usize,
  acc: usize,
  accStride: usize,
  work: usize,
): void {
  const one = levelBytes == 1;
  const bits = bitsOf(plan);
  const bytes = codeBytes(plan);
  const planes = one ? bytePlanesOf(plan) : wordPlanesOf(plan);
  const unit = one ? byteUnitOf(plan) : wordUnitOf(plan);
  accumulateCodes(
    one, bits, planes, unit, weights, weightStride, rows, tiles, n, 0, codesOffset(plan), bytes, acc, accStride, work,
  );
  if (sketchRowsOf(plan) == 0) return;
  const signPlanes = signPlanesOf(plan) + (one ? 128 : 0);
  const signUnit = one ? SIGN_BYTE_UNIT : SIGN_WORD_UNIT;
  accumulateCodes(
    one, 1, signPlanes, signUnit, weights, weightStride, rows, tiles, n, 32, signsOffset(plan), signBytes(plan),
    acc + sumsOf(bits, bytes) * 4, accStride, work,
  );
}
