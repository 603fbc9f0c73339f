/**
 * Cells of many levels (5 to 8 bits) without comparing with each boundary. A uniform grid over |z| is laid so that no
 * two boundaries share a field; a table says how many boundaries are in lower fields, and one comparison with the
 * next boundary settles the rest. The field of a value never falls when the value grows, so this is exact whatever
 * the rounding. Values as in cells.ts: integers a, bits of |z| less one ulp for negatives.
 */

const FIELDS: i32 = 512;
/** FIELDS bytes: boundaries in the fields below. */
const counts: usize = memory.data(512);
/** 128 words: the largest integer below each positive boundary, and behind the last one that which nothing exceeds. */
const keys: usize = memory.data(512, 16);

/** 2^23: added to a value below it, it leaves the value's nearest integer in the last bits. */
const MAGIC: f32 = 8388608;
/** The bits of 2^23 + FIELDS − 1; as unsigned numbers infinity and every NaN are beyond. */
const LAST: u32 = 0x4b000000 + 511;

@inline
function fieldOf(a: f32, density: f32): i32 {
  return <i32>min<u32>(reinterpret<u32>(a * density + MAGIC), LAST) & (FIELDS - 1);
}

/** Makes the tables for `side` positive boundaries; returns the fields per unit, or 0 where two share a field. */
export function prepareGrid(positive: usize, side: i32): f32 {
  const density: f32 = <f32>511 / load<f32>(positive + (<usize>(side - 1) << 2)); // the last one in the last field
  let field = 0;
  for (let k = 0; k < side; k++) {
    const bound = load<f32>(positive + (<usize>k << 2));
    const own = fieldOf(bound, density);
    if (k > 0 && own < field) return 0;
    for (; field <= own; field++) store<u8>(counts + field, <u8>k);
    store<i32>(keys + (<usize>k << 2), reinterpret<i32>(bound) - 1);
  }
  for (; field < FIELDS; field++) store<u8>(counts + field, <u8>side);
  store<i32>(keys + (<usize>side << 2), 0x7fffffff);
  return density;
}

/** #{ k : a ≥ bits of boundary k } in each 32-bit lane. */
@inline
export function countByGrid(a: v128, density: v128): v128 {
  const shifted = f32x4.add(f32x4.mul(a, density), f32x4.splat(MAGIC));
  const field = v128.and(i32x4.min_u(shifted, i32x4.splat(LAST)), i32x4.splat(FIELDS - 1));
  const m0 = <usize>load<u8>(counts + i32x4.extract_lane(field, 0));
  const m1 = <usize>load<u8>(counts + i32x4.extract_lane(field, 1));
  const m2 = <usize>load<u8>(counts + i32x4.extract_lane(field, 2));
  const m3 = <usize>load<u8>(counts + i32x4.extract_lane(field, 3));
  let m = i32x4.splat(<i32>m0);
  m = i32x4.replace_lane(m, 1, <i32>m1);
  m = i32x4.replace_lane(m, 2, <i32>m2);
  m = i32x4.replace_lane(m, 3, <i32>m3);
  let key = v128.load32_zero(keys + (m0 << 2));
  key = v128.load32_lane(keys + (m1 << 2), key, 1);
  key = v128.load32_lane(keys + (m2 << 2), key, 2);
  key = v128.load32_lane(keys + (m3 << 2), key, 3);
  return i32x4.sub(m, i32x4.gt_s(a, key));
}
