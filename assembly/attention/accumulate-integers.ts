/**
 * Weighted sums of values in blocks of up to eight tiles: levels and weights (times the stored scales) as integers, two
 * tokens at a time, exact sums, and one multiplication per block and coordinate (src/kernels/integers.ts). Tiles have the
 * bytes of two tokens in turn (tile.ts): what is looked up is in pairs. Levels are integers of two bytes, looked up in
 * two planes, or multiples of 256, of one.
 *
 * Sums are kept in the order in which lookups find them: for each sixteen bytes of a row (the last ones may overlap
 * those before), pass, and nibble, sixteen coordinates. gatherSums brings them in order.
 */
import { floats } from "../half";
import { join, max4 } from "../lanes";
import { bitsOf, byteLevelsOf, byteUnitOf, dimOf, levelsOf, scratchOf, sketchRowsOf } from "../plan";
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
import { integerScale, MOST_SUM, signLevels } from "./score-integers";
import { LEAST, ROUNDER } from "./tables";
import { codeBytes, codesOffset, signBytes, signsOffset } from "./tile";

/** The sum of magnitudes that 128 integers of one factor may have: 127 · 256 times it fits 31 bits. */
const MOST_BYTE_SUM: f32 = 65900;

const USUAL: i32 = 0;
const SKIPPED: i32 = 1;
const BROKEN: i32 = 2;

/** A row of weights as integers: 256 bytes, then the factor of the block's sums, f32, and how it is, i32. */
const WEIGHT_BYTES: usize = 272;
const FACTOR: usize = 256;
const HOW: usize = 260;
/** Pairs of 128 tokens of 32 coordinates. */
const PAIR_BYTES: usize = 8192;

/** Four weights times halves, 0 where a weight is 0; returns their magnitudes. */
@inline
function scaledWeights(weights: v128, halves: usize, out: usize): v128 {
  const product = f32x4.mul(weights, floats(v128.load16x4_u(halves)));
  const scaled = v128.and(product, f32x4.ne(weights, f32x4.splat(0)));
  v128.store(out, scaled);
  return v128.and(scaled, i32x4.splat(0x7fffffff));
}

/** weights: (16·tiles,) · halves, as integers. unit: what a level's integers are multiples of. mostSum: of magnitudes. */
function prepareWeights(
  weights: usize, tiles: usize, n: usize, halves: usize, unit: f32, mostSum: f32, out: usize,
): void {
  const products = out + WEIGHT_BYTES; // f32, overwritten by whoever comes next
  let most = f32x4.splat(0);
  let sum = most;
  for (let i: usize = 0; i < n; i++, weights += 64) {
    const half = <usize>load<u32>(tiles + i * 4) + halves;
    const to = products + i * 64;
    const a = scaledWeights(v128.load(weights), half, to);
    const b = scaledWeights(v128.load(weights + 16), half + 8, to + 16);
    const c = scaledWeights(v128.load(weights + 32), half + 16, to + 32);
    const d = scaledWeights(v128.load(weights + 48), half + 24, to + 48);
    most = f32x4.pmax(f32x4.pmax(f32x4.pmax(f32x4.pmax(most, a), b), c), d);
    sum = f32x4.add(f32x4.add(f32x4.add(f32x4.add(sum, a), b), c), d);
  }
  const total = join(sum);
  const usual = total > LEAST && total < Infinity;
  store<i32>(out, usual ? USUAL : total <= LEAST ? SKIPPED : BROKEN, HOW);
  if (!usual) return;
  const scale = integerScale(max4(most), total, mostSum);
  store<f32>(out, unit / scale, FACTOR);
  const s = f32x4.splat(scale);
  const rounder = i32x4.splat(ROUNDER);
  for (let at: usize = 0; at < n * 64; at += 32) {
    const a = i32x4.sub(f32x4.add(f32x4.mul(v128.load(products + at), s), rounder), rounder);
    const b = i32x4.sub(f32x4.add(f32x4.mul(v128.load(products + at + 16), s), rounder), rounder);
    v128.store(out + (at >> 1), i16x8.narrow_i32x4_s(a, b));
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
function storePairs(one: bool, low: v128, high: v128, index: v128, out: usize): void {
  const l = lowBytes(one, low, index);
  const h = i8x16.swizzle(high, index);
  v128.store(out, lowPairs(l, h));
  v128.store(out + 16, highPairs(l, h));
}

/** The planes of a pass: `one` byte a level, or two. */
@inline
function lowPlane(one: bool, planes: usize): v128 {
  return one ? i8x16.splat(0) : v128.load(planes);
}
@inline
function highPlane(one: bool, planes: usize): v128 {
  return one ? v128.load(planes) : v128.load(planes + 16);
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
  const low = lowPlane(one, planes);
  const high = highPlane(one, planes);
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
@inline
function decodePass(
  one: bool,
  last: bool,
  tiles: usize,
  n: usize,
  offset: usize,
  step: usize,
  plane: usize,
  planes: usize,
  out: usize,
): void {
  const low = lowPlane(one, planes);
  const high = highPlane(one, planes);
  for (const end = tiles + n * 4; tiles < end; tiles += 4) {
    let pair = <usize>load<u32>(tiles) + offset;
    for (const stop = out + 1024; out < stop; out += 128, pair += step) {
      const u = rowBytes(last, pair, plane);
      const v = rowBytes(last, pair + 16, plane);
      storePairs(one, low, high, lowNibbles(u), out);
      storePairs(one, low, high, lowNibbles(v), out + 32);
      storePairs(one, low, high, highNibbles(u), out + 64);
      storePairs(one, low, high, highNibbles(v), out + 96);
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
  one: bool, last: bool, tiles: usize, n: usize, offset: usize, step: usize, plane: usize, planes: usize, weights: usize,
  acc: usize,
): void {
  if (one) {
    if (last) sumPass(true, true, tiles, n, offset, step, plane, planes, weights, acc);
    else sumPass(true, false, tiles, n, offset, step, plane, planes, weights, acc);
  } else if (last) sumPass(false, true, tiles, n, offset, step, plane, planes, weights, acc);
  else sumPass(false, false, tiles, n, offset, step, plane, planes, weights, acc);
}

function decodeOne(
  one: bool, last: bool, tiles: usize, n: usize, offset: usize, step: usize, plane: usize, planes: usize, out: usize,
): void {
  if (one) {
    if (last) decodePass(true, true, tiles, n, offset, step, plane, planes, out);
    else decodePass(true, false, tiles, n, offset, step, plane, planes, out);
  } else if (last) decodePass(false, true, tiles, n, offset, step, plane, planes, out);
  else decodePass(false, false, tiles, n, offset, step, plane, planes, out);
}

/**
 * One kind of codes (those of vectors, or a sketch's bits). planes: (passes, 1 or 2, 16) bytes of integer levels, unit:
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
  const size: usize = one ? 16 : 32;
  let at: usize = 0;
  for (let piece: usize = 0; piece < piecesOf(plane); piece++) {
    for (let p: usize = 0; p < passes; p++, at += 128) {
      const last = bits == 3 && p == 3;
      const from = offset + pieceAt(piece, plane) * 2 + (bits == 3 && !last ? apart * p : 0);
      if (live > 1) decodeOne(one, last, tiles, n, from, bytes * 2, apart, planes + p * size, work);
      for (let r: usize = 0; r < rows; r++) {
        const row = integers + r * WEIGHT_BYTES;
        if (load<i32>(row, HOW) != USUAL) continue;
        const sums = acc + r * accStride + at;
        if (live > 1) sumDecoded(work, n * 8, row, sums);
        else sumOne(one, last, tiles, n, from, bytes * 2, apart, planes + p * size, row, sums);
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
  let planes = byteLevelsOf(plan);
  let unit = byteUnitOf(plan);
  if (!one) {
    planes = scratchOf(plan);
    integerPlanes(levelsOf(plan), bits, planes);
    unit = largest(levelsOf(plan), bits) / LARGEST;
  }
  accumulateCodes(
    one, bits, planes, unit, weights, weightStride, rows, tiles, n, 0, codesOffset(plan), bytes, acc, accStride, work,
  );
  if (sketchRowsOf(plan) == 0) return;
  planes = scratchOf(plan);
  if (one) signBytePlanes(planes);
  else integerPlanes(signLevels(plan), 1, planes);
  unit = one ? <f32>(1.0 / (127 * 256)) : 1 / LARGEST;
  accumulateCodes(
    one, 1, planes, unit, weights, weightStride, rows, tiles, n, 32, signsOffset(plan), signBytes(plan),
    acc + sumsOf(bits, bytes) * 4, accStride, work,
  );
}

/** planes: (4, 16) bytes: −127 or 127 for bit p of an index. */
function signBytePlanes(planes: usize): void {
  for (let p: usize = 0; p < 4; p++)
    for (let j: usize = 0; j < 16; j++) store<i8>(planes + p * 16 + j, (j >> p) & 1 ? 127 : -127);
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
