/**
 * Codes → levels, sixteen coordinates at a time, and what is then done with the levels. Tables of up to 16 f32 are
 * kept as four planes of bytes, looked up with one swizzle each; larger ones are gathered.
 */
import { addProduct } from "./lanes";

// What `walk` does with a level, x being the f32 at the same coordinate of `at`:
/** x ← scale · level */
export const SCALE = 0;
/** acc + level · x */
export const DOT = 1;
/** x ← x + scale · level */
export const ADD = 2;
/** acc + level², and x ← level */
export const SQUARE = 3;

/**
 * planes: (4, 16) bytes ← byte k of each of the 16 f32 at `table`, for k in 0..3. Always reads 64 bytes; entries that
 * no code names are whatever lies behind the table in the plan.
 */
export function preparePlanes(table: usize, planes: usize): void {
  const a = v128.load(table);
  const b = v128.load(table + 16);
  const c = v128.load(table + 32);
  const d = v128.load(table + 48);
  //  bytes 0 and 1 of f32 0…7, of 8…15; then bytes 2 and 3
  let ab = v128.shuffle<u8>(a, b, 0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
  let cd = v128.shuffle<u8>(c, d, 0, 4, 8, 12, 16, 20, 24, 28, 1, 5, 9, 13, 17, 21, 25, 29);
  v128.store(planes, v128.shuffle<u64>(ab, cd, 0, 2));
  v128.store(planes + 16, v128.shuffle<u64>(ab, cd, 1, 3));
  ab = v128.shuffle<u8>(a, b, 2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31);
  cd = v128.shuffle<u8>(c, d, 2, 6, 10, 14, 18, 22, 26, 30, 3, 7, 11, 15, 19, 23, 27, 31);
  v128.store(planes + 32, v128.shuffle<u64>(ab, cd, 0, 2));
  v128.store(planes + 48, v128.shuffle<u64>(ab, cd, 1, 3));
}

@inline
function use(mode: i32, level: v128, scale: v128, at: usize, acc: v128): v128 {
  if (mode == SCALE) v128.store(at, f32x4.mul(level, scale));
  else if (mode == ADD) v128.store(at, addProduct(v128.load(at), scale, level));
  else if (mode == DOT) return addProduct(acc, level, v128.load(at));
  else {
    v128.store(at, level);
    return addProduct(acc, level, level);
  }
  return acc;
}

@inline
function gather(table: usize, codes: usize): v128 {
  let v = v128.load32_zero(table + (<usize>load<u8>(codes) << 2));
  v = v128.load32_lane(table + (<usize>load<u8>(codes, 1) << 2), v, 1);
  v = v128.load32_lane(table + (<usize>load<u8>(codes, 2) << 2), v, 2);
  return v128.load32_lane(table + (<usize>load<u8>(codes, 3) << 2), v, 3);
}

/**
 * Does `mode` with sixteen codes (bytes) of a vector; returns acc, and its sum with theirs if the mode makes one.
 * small: the table has at most 16 levels and p0…p3 are its planes.
 */
@inline
export function sixteen(
  mode: i32,
  small: bool,
  codes: usize,
  table: usize,
  p0: v128,
  p1: v128,
  p2: v128,
  p3: v128,
  scale: v128,
  at: usize,
  acc: v128,
): v128 {
  if (!small) {
    acc = use(mode, gather(table, codes), scale, at, acc);
    acc = use(mode, gather(table, codes + 4), scale, at + 16, acc);
    acc = use(mode, gather(table, codes + 8), scale, at + 32, acc);
    return use(mode, gather(table, codes + 12), scale, at + 48, acc);
  }
  const c = v128.load(codes);
  const b0 = i8x16.swizzle(p0, c);
  const b1 = i8x16.swizzle(p1, c);
  const b2 = i8x16.swizzle(p2, c);
  const b3 = i8x16.swizzle(p3, c);
  //  low    b0 b1 of coordinates 0…7           high   of 8…15
  //  level  words of b0 b1 and of b2 b3 in turn: four f32
  const low01 = v128.shuffle<u8>(b0, b1, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  const low23 = v128.shuffle<u8>(b2, b3, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  acc = use(mode, v128.shuffle<u16>(low01, low23, 0, 8, 1, 9, 2, 10, 3, 11), scale, at, acc);
  acc = use(mode, v128.shuffle<u16>(low01, low23, 4, 12, 5, 13, 6, 14, 7, 15), scale, at + 16, acc);
  const high01 = v128.shuffle<u8>(b0, b1, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  const high23 = v128.shuffle<u8>(b2, b3, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  acc = use(mode, v128.shuffle<u16>(high01, high23, 0, 8, 1, 9, 2, 10, 3, 11), scale, at + 32, acc);
  return use(mode, v128.shuffle<u16>(high01, high23, 4, 12, 5, 13, 6, 14, 7, 15), scale, at + 48, acc);
}

/** Does `mode` with the n codes of a vector in order; returns the lanes of the sum, if it makes one. planes: of preparePlanes. */
@inline
export function walk(
  mode: i32,
  small: bool,
  codes: usize,
  n: usize,
  table: usize,
  planes: usize,
  scale: v128,
  at: usize,
): v128 {
  const p0 = v128.load(planes);
  const p1 = v128.load(planes + 16);
  const p2 = v128.load(planes + 32);
  const p3 = v128.load(planes + 48);
  let acc = f32x4.splat(0);
  for (const end = codes + n; codes < end; codes += 32, at += 128) {
    acc = sixteen(mode, small, codes, table, p0, p1, p2, p3, scale, at, acc);
    acc = sixteen(mode, small, codes + 16, table, p0, p1, p2, p3, scale, at + 64, acc);
  }
  return acc;
}
