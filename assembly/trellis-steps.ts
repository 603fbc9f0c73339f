/**
 * Steps of the path search over a trellis (src/core/trellis.ts), one function for each pair of code and window bits. The
 * costs of the states stay in registers, four to a register. Window w = state + m · states ends in a state and comes from
 * state w >> bits; the table entries of four neighbouring states are contiguous.
 *
 * costs: (states,) f32, read and written. z: (count,) f32. kept: for each coordinate the m that each state chose, a byte
 * each (with windows of 4 and codes of 1 bit a bit each). Returns the end of kept.
 */

/** from + (value − entries)², entries being four of the table. */
@inline
function cost(from: v128, value: v128, table: usize, group: i32): v128 {
  const error = f32x4.sub(value, v128.load(table + (<usize>group << 4)));
  return f32x4.add(from, f32x4.mul(error, error));
}

/** All four lanes become lane i. */
@inline
function lane(v: v128, i: i32): v128 {
  if (i == 0) return v128.shuffle<f32>(v, v, 0, 0, 0, 0);
  if (i == 1) return v128.shuffle<f32>(v, v, 1, 1, 1, 1);
  if (i == 2) return v128.shuffle<f32>(v, v, 2, 2, 2, 2);
  return v128.shuffle<f32>(v, v, 3, 3, 3, 3);
}

/** Which of four is the least, the first of equals: 0 … 3 in each lane. b < a: ab, d < c: cd, the less of c and d < that of a and b: last. */
@inline
function choice(ab: v128, cd: v128, last: v128): v128 {
  // A true lane is −1.
  return i32x4.sub(v128.and(last, i32x4.splat(2)), v128.bitselect(cd, ab, last));
}

/** b where it is less than a. */
@inline
function less(a: v128, b: v128): v128 {
  return f32x4.pmin(a, b);
}

@inline
function bytesOf4(v: v128): v128 {
  return i8x16.swizzle(v, i8x16(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
}

/** Eight states of two windows each. */
export function steps14(table: usize, z: usize, count: usize, costs: usize, kept: usize): usize {
  let a = v128.load(costs);
  let b = v128.load(costs + 16);
  for (const end = z + count * 4; z < end; z += 4, kept++) {
    const value = v128.load32_splat(z);
    const low0 = cost(v128.shuffle<f32>(a, a, 0, 0, 1, 1), value, table, 0);
    const low1 = cost(v128.shuffle<f32>(b, b, 0, 0, 1, 1), value, table, 2);
    const high0 = cost(v128.shuffle<f32>(a, a, 2, 2, 3, 3), value, table, 1);
    const high1 = cost(v128.shuffle<f32>(b, b, 2, 2, 3, 3), value, table, 3);
    store<u8>(kept, i32x4.bitmask(f32x4.lt(low1, low0)) | (i32x4.bitmask(f32x4.lt(high1, high0)) << 4));
    a = less(low0, low1);
    b = less(high0, high1);
  }
  v128.store(costs, a);
  v128.store(costs + 16, b);
  return kept;
}

/** Four states of four windows each. */
export function steps24(table: usize, z: usize, count: usize, costs: usize, kept: usize): usize {
  let c = v128.load(costs);
  for (const end = z + count * 4; z < end; z += 4, kept += 4) {
    const value = v128.load32_splat(z);
    const c0 = cost(lane(c, 0), value, table, 0);
    const c1 = cost(lane(c, 1), value, table, 1);
    const c2 = cost(lane(c, 2), value, table, 2);
    const c3 = cost(lane(c, 3), value, table, 3);
    const a = less(c0, c1);
    const b = less(c2, c3);
    c = less(a, b);
    v128.store32_lane(kept, bytesOf4(choice(f32x4.lt(c1, c0), f32x4.lt(c3, c2), f32x4.lt(b, a))), 0);
  }
  v128.store(costs, c);
  return kept;
}

/** Two states of eight windows each: lanes 0 and 1 are the states with their even windows, lanes 2 and 3 with their odd ones. */
export function steps34(table: usize, z: usize, count: usize, costs: usize, kept: usize): usize {
  let c = v128.load64_splat(costs);
  for (const end = z + count * 4; z < end; z += 4, kept += 2) {
    const value = v128.load32_splat(z);
    const zero = lane(c, 0);
    const one = lane(c, 1);
    const c0 = cost(zero, value, table, 0);
    const c1 = cost(zero, value, table, 1);
    const c2 = cost(one, value, table, 2);
    const c3 = cost(one, value, table, 3);
    const a = less(c0, c1);
    const b = less(c2, c3);
    const least = less(a, b);
    // Twice the choice, and one more in lanes 2 and 3, is m.
    let m = i32x4.shl(choice(f32x4.lt(c1, c0), f32x4.lt(c3, c2), f32x4.lt(b, a)), 1);
    m = v128.or(m, i32x4(0, 0, 1, 1));
    const others = v128.shuffle<f32>(least, least, 2, 3, 0, 1);
    const theirs = v128.shuffle<i32>(m, m, 2, 3, 0, 1);
    const equal = v128.and(f32x4.eq(others, least), i32x4.lt_s(theirs, m));
    m = v128.bitselect(theirs, m, v128.or(f32x4.lt(others, least), equal));
    c = less(least, others);
    c = v128.shuffle<f64>(c, c, 0, 0);
    store<u8>(kept, i32x4.extract_lane(m, 0));
    store<u8>(kept + 1, i32x4.extract_lane(m, 1));
  }
  v128.store64_lane(costs, c, 0);
  return kept;
}

/** Sixteen states of four windows each. */
export function steps26(table: usize, z: usize, count: usize, costs: usize, kept: usize): usize {
  let a = v128.load(costs);
  let b = v128.load(costs + 16);
  let c = v128.load(costs + 32);
  let d = v128.load(costs + 48);
  for (const end = z + count * 4; z < end; z += 4, kept += 16) {
    const value = v128.load32_splat(z);
    let c0 = cost(lane(a, 0), value, table, 0);
    let c1 = cost(lane(b, 0), value, table, 4);
    let c2 = cost(lane(c, 0), value, table, 8);
    let c3 = cost(lane(d, 0), value, table, 12);
    let x = less(c0, c1);
    let y = less(c2, c3);
    const a1 = less(x, y);
    const m0 = choice(f32x4.lt(c1, c0), f32x4.lt(c3, c2), f32x4.lt(y, x));
    c0 = cost(lane(a, 1), value, table, 1);
    c1 = cost(lane(b, 1), value, table, 5);
    c2 = cost(lane(c, 1), value, table, 9);
    c3 = cost(lane(d, 1), value, table, 13);
    x = less(c0, c1);
    y = less(c2, c3);
    const b1 = less(x, y);
    const m1 = choice(f32x4.lt(c1, c0), f32x4.lt(c3, c2), f32x4.lt(y, x));
    c0 = cost(lane(a, 2), value, table, 2);
    c1 = cost(lane(b, 2), value, table, 6);
    c2 = cost(lane(c, 2), value, table, 10);
    c3 = cost(lane(d, 2), value, table, 14);
    x = less(c0, c1);
    y = less(c2, c3);
    const c9 = less(x, y);
    const m2 = choice(f32x4.lt(c1, c0), f32x4.lt(c3, c2), f32x4.lt(y, x));
    c0 = cost(lane(a, 3), value, table, 3);
    c1 = cost(lane(b, 3), value, table, 7);
    c2 = cost(lane(c, 3), value, table, 11);
    c3 = cost(lane(d, 3), value, table, 15);
    x = less(c0, c1);
    y = less(c2, c3);
    d = less(x, y);
    const m3 = choice(f32x4.lt(c1, c0), f32x4.lt(c3, c2), f32x4.lt(y, x));
    a = a1;
    b = b1;
    c = c9;
    v128.store(
      kept,
      i8x16.narrow_i16x8_u(i16x8.narrow_i32x4_s(m0, m1), i16x8.narrow_i32x4_s(m2, m3)),
    );
  }
  v128.store(costs, a);
  v128.store(costs + 16, b);
  v128.store(costs + 32, c);
  v128.store(costs + 48, d);
  return kept;
}

/** Eight states of eight windows each, four states at a time. */
export function steps36(table: usize, z: usize, count: usize, costs: usize, kept: usize): usize {
  let a = v128.load(costs);
  let b = v128.load(costs + 16);
  for (const end = z + count * 4; z < end; z += 4, kept += 8) {
    const value = v128.load32_splat(z);
    const f0 = lane(a, 0);
    const f1 = lane(a, 1);
    const f2 = lane(a, 2);
    const f3 = lane(a, 3);
    const f4 = lane(b, 0);
    const f5 = lane(b, 1);
    const f6 = lane(b, 2);
    const f7 = lane(b, 3);
    let c0 = cost(f0, value, table, 0);
    let c1 = cost(f1, value, table, 2);
    let c2 = cost(f2, value, table, 4);
    let c3 = cost(f3, value, table, 6);
    let x = less(c0, c1);
    let y = less(c2, c3);
    let low = less(x, y);
    let m = choice(f32x4.lt(c1, c0), f32x4.lt(c3, c2), f32x4.lt(y, x));
    c0 = cost(f4, value, table, 8);
    c1 = cost(f5, value, table, 10);
    c2 = cost(f6, value, table, 12);
    c3 = cost(f7, value, table, 14);
    x = less(c0, c1);
    y = less(c2, c3);
    let high = less(x, y);
    let n = choice(f32x4.lt(c1, c0), f32x4.lt(c3, c2), f32x4.lt(y, x));
    const first = v128.bitselect(i32x4.add(n, i32x4.splat(4)), m, f32x4.lt(high, low));
    a = less(low, high);
    c0 = cost(f0, value, table, 1);
    c1 = cost(f1, value, table, 3);
    c2 = cost(f2, value, table, 5);
    c3 = cost(f3, value, table, 7);
    x = less(c0, c1);
    y = less(c2, c3);
    low = less(x, y);
    m = choice(f32x4.lt(c1, c0), f32x4.lt(c3, c2), f32x4.lt(y, x));
    c0 = cost(f4, value, table, 9);
    c1 = cost(f5, value, table, 11);
    c2 = cost(f6, value, table, 13);
    c3 = cost(f7, value, table, 15);
    x = less(c0, c1);
    y = less(c2, c3);
    high = less(x, y);
    n = choice(f32x4.lt(c1, c0), f32x4.lt(c3, c2), f32x4.lt(y, x));
    const second = v128.bitselect(i32x4.add(n, i32x4.splat(4)), m, f32x4.lt(high, low));
    b = less(low, high);
    const words = i16x8.narrow_i32x4_s(first, second);
    v128.store64_lane(kept, i8x16.narrow_i16x8_u(words, words), 0);
  }
  v128.store(costs, a);
  v128.store(costs + 16, b);
  return kept;
}

/** Four states of sixteen windows each, of which four in a row come from one state. */
export function steps46(table: usize, z: usize, count: usize, costs: usize, kept: usize): usize {
  let c = v128.load(costs);
  for (const end = z + count * 4; z < end; z += 4, kept += 4) {
    const value = v128.load32_splat(z);
    let from = lane(c, 0);
    let c0 = cost(from, value, table, 0);
    let c1 = cost(from, value, table, 1);
    let c2 = cost(from, value, table, 2);
    let c3 = cost(from, value, table, 3);
    let x = less(c0, c1);
    let y = less(c2, c3);
    const l0 = less(x, y);
    const m0 = choice(f32x4.lt(c1, c0), f32x4.lt(c3, c2), f32x4.lt(y, x));
    from = lane(c, 1);
    c0 = cost(from, value, table, 4);
    c1 = cost(from, value, table, 5);
    c2 = cost(from, value, table, 6);
    c3 = cost(from, value, table, 7);
    x = less(c0, c1);
    y = less(c2, c3);
    const l1 = less(x, y);
    const m1 = choice(f32x4.lt(c1, c0), f32x4.lt(c3, c2), f32x4.lt(y, x));
    from = lane(c, 2);
    c0 = cost(from, value, table, 8);
    c1 = cost(from, value, table, 9);
    c2 = cost(from, value, table, 10);
    c3 = cost(from, value, table, 11);
    x = less(c0, c1);
    y = less(c2, c3);
    const l2 = less(x, y);
    const m2 = choice(f32x4.lt(c1, c0), f32x4.lt(c3, c2), f32x4.lt(y, x));
    from = lane(c, 3);
    c0 = cost(from, value, table, 12);
    c1 = cost(from, value, table, 13);
    c2 = cost(from, value, table, 14);
    c3 = cost(from, value, table, 15);
    x = less(c0, c1);
    y = less(c2, c3);
    const l3 = less(x, y);
    const m3 = choice(f32x4.lt(c1, c0), f32x4.lt(c3, c2), f32x4.lt(y, x));
    const low = less(l0, l1);
    const high = less(l2, l3);
    c = less(low, high);
    const m01 = v128.bitselect(i32x4.add(m1, i32x4.splat(4)), m0, f32x4.lt(l1, l0));
    const m23 = v128.bitselect(i32x4.add(m3, i32x4.splat(12)), i32x4.add(m2, i32x4.splat(8)), f32x4.lt(l3, l2));
    v128.store32_lane(kept, bytesOf4(v128.bitselect(m23, m01, f32x4.lt(high, low))), 0);
  }
  v128.store(costs, c);
  return kept;
}
