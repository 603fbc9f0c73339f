/**
 * The cell of every coordinate: code = #{ b : !(z < boundary[b]) }, so ties go up, NaN to the top, ±0 to the upper of
 * the two middle cells (src/core/codebook.ts).
 *
 * Boundaries that mirror about 0 need only their positive half, as integers: with t = −1 where z < 0, else 0, and
 * a = bits of |z|, + t (one ulp less for negatives, which moves their ties to the other side), m = #{ k : a ≥ bits
 * of bₖ } and the code is 2^(bits − 1) + m, all bits flipped where t is set. NaN is larger than any number here.
 */
import { countByGrid, prepareGrid } from "./grid";

/** The largest integer that is below the bits of the f32 at p. */
@inline
function below(p: usize): v128 {
  return i32x4.splat(load<i32>(p) - 1);
}

@inline
function count(codes: v128, a: v128, bound: v128): v128 {
  return i32x4.sub(codes, i32x4.gt_s(a, bound));
}

/** h ← z = h · factor · after. */
@inline
function normalized(h: usize, factor: v128, after: usize): v128 {
  const z = f32x4.mul(f32x4.mul(v128.load(h), factor), v128.load(after));
  v128.store(h, z);
  return z;
}

/** Four codes, in the low bits of 32-bit lanes; bits: 1..4, a literal. */
@inline
function cell(
  bits: i32,
  z: v128,
  b1: v128,
  b2: v128,
  b3: v128,
  b4: v128,
  b5: v128,
  b6: v128,
  b7: v128,
): v128 {
  const t = f32x4.lt(z, f32x4.splat(0));
  const a = i32x4.add(v128.and(z, i32x4.splat(0x7fffffff)), t);
  let codes = i32x4.splat(1 << (bits - 1));
  if (bits > 1) codes = count(codes, a, b1);
  if (bits > 2) codes = count(count(codes, a, b2), a, b3);
  if (bits > 3) codes = count(count(count(count(codes, a, b4), a, b5), a, b6), a, b7);
  return v128.xor(codes, t);
}

/** Sixteen codes as bytes. */
@inline
function bytes(a: v128, b: v128, c: v128, d: v128, mask: v128): v128 {
  const low = v128.and(i16x8.narrow_i32x4_s(a, b), mask);
  const high = v128.and(i16x8.narrow_i32x4_s(c, d), mask);
  return i8x16.narrow_i16x8_u(low, high);
}

/** bits: 1..4, a literal. positive: the positive boundaries. */
@inline
function few(bits: i32, h: usize, n: usize, factor: f32, after: usize, positive: usize, codes: usize): void {
  const f = f32x4.splat(factor);
  const mask = i32x4.splat(((1 << bits) - 1) * 0x10001);
  const b1 = below(positive);
  const b2 = below(positive + 4);
  const b3 = below(positive + 8);
  const b4 = below(positive + 12);
  const b5 = below(positive + 16);
  const b6 = below(positive + 20);
  const b7 = below(positive + 24);
  for (const end = codes + n; codes < end; codes += 16, h += 64, after += 64) {
    const v = cell(bits, normalized(h, f, after), b1, b2, b3, b4, b5, b6, b7);
    const w = cell(bits, normalized(h + 16, f, after + 16), b1, b2, b3, b4, b5, b6, b7);
    const x = cell(bits, normalized(h + 32, f, after + 32), b1, b2, b3, b4, b5, b6, b7);
    const y = cell(bits, normalized(h + 48, f, after + 48), b1, b2, b3, b4, b5, b6, b7);
    v128.store(codes, bytes(v, w, x, y, mask));
  }
}

/** Four codes in the low bits of 32-bit lanes, by the grid. */
@inline
function gridCell(z: v128, density: v128, middle: v128): v128 {
  const t = f32x4.lt(z, f32x4.splat(0));
  const a = i32x4.add(v128.and(z, i32x4.splat(0x7fffffff)), t);
  return v128.xor(i32x4.add(middle, countByGrid(a, density)), t);
}

/** Mirrored boundaries in a grid. bits: 5..8. */
function many(bits: i32, density: f32, h: usize, n: usize, factor: f32, after: usize, codes: usize): void {
  const f = f32x4.splat(factor);
  const d = f32x4.splat(density);
  const middle = i32x4.splat(1 << (bits - 1));
  const mask = i32x4.splat(((1 << bits) - 1) * 0x10001);
  for (const end = codes + n; codes < end; codes += 16, h += 64, after += 64) {
    const v = gridCell(normalized(h, f, after), d, middle);
    const w = gridCell(normalized(h + 16, f, after + 16), d, middle);
    const x = gridCell(normalized(h + 32, f, after + 32), d, middle);
    const y = gridCell(normalized(h + 48, f, after + 48), d, middle);
    v128.store(codes, bytes(v, w, x, y, mask));
  }
}

/** Any bits, any boundaries: the definition itself. */
function any(bits: i32, h: usize, n: usize, factor: f32, after: usize, boundaries: usize, codes: usize): void {
  const f = f32x4.splat(factor);
  const top = (1 << bits) - 1;
  const last = boundaries + (<usize>top << 2);
  const mask = i32x4.splat(top * 0x10001);
  for (const end = codes + n; codes < end; codes += 16, h += 64, after += 64) {
    const a = normalized(h, f, after);
    const b = normalized(h + 16, f, after + 16);
    const c = normalized(h + 32, f, after + 32);
    const d = normalized(h + 48, f, after + 48);
    let i = i32x4.splat(top);
    let j = i;
    let k = i;
    let l = i;
    for (let p = boundaries; p < last; p += 4) {
      const bound = v128.load32_splat(p);
      i = i32x4.add(i, f32x4.lt(a, bound));
      j = i32x4.add(j, f32x4.lt(b, bound));
      k = i32x4.add(k, f32x4.lt(c, bound));
      l = i32x4.add(l, f32x4.lt(d, bound));
    }
    v128.store(codes, bytes(i, j, k, l, mask));
  }
}

/** True where the boundaries are 0 and pairs ±b, b > 0, about the middle. */
function mirrored(bits: i32, boundaries: usize): bool {
  const side = (<usize>1 << (bits - 1)) - 1;
  const middle = boundaries + side * 4;
  if (load<f32>(middle) != 0) return false;
  for (let k: usize = 4; k <= side * 4; k += 4) {
    const b = load<f32>(middle + k);
    if (!(b > 0) || load<f32>(middle - k) != -b) return false;
  }
  return true;
}

// The ways to find cells, which a plan's boundaries allow: an f32, and any above 0 is the density of the grid.
const BY_COUNT: f32 = -1;
const BY_POSITIVE_HALF: f32 = 0;

/** The way for these boundaries; makes the grid where there is one. */
export function prepareCells(bits: i32, boundaries: usize): f32 {
  if (!mirrored(bits, boundaries)) return BY_COUNT;
  if (bits <= 4) return BY_POSITIVE_HALF;
  const density = prepareGrid(boundaries + (<usize>4 << (bits - 1)), (1 << (bits - 1)) - 1);
  return density > 0 ? density : BY_COUNT;
}

/** h: (n,) ← z = h · factor · after; codes: (n,) bytes ← the cells of z. n: a multiple of 16. way: of prepareCells. */
@inline
export function cells(
  bits: i32,
  way: f32,
  h: usize,
  n: usize,
  factor: f32,
  after: usize,
  boundaries: usize,
  codes: usize,
): void {
  const positive = boundaries + (<usize>4 << (bits - 1));
  if (way == BY_COUNT) any(bits, h, n, factor, after, boundaries, codes);
  else if (bits == 4) few(4, h, n, factor, after, positive, codes);
  else if (bits == 3) few(3, h, n, factor, after, positive, codes);
  else if (bits == 2) few(2, h, n, factor, after, positive, codes);
  else if (bits == 1) few(1, h, n, factor, after, positive, codes);
  else many(bits, way, h, n, factor, after, codes);
}
