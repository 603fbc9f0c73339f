/**
 * Codes ↔ the bit stream of src/core/bits.ts: code i occupies stream bits i·bits … i·bits + bits − 1, and stream bit
 * k is bit k & 7 of byte k >> 3. Eight codes take `bits` whole bytes. n: a multiple of 32.
 */

/** The `bytes` low bytes of v, bytes in 1..7. */
@inline
function putBytes(out: usize, v: u64, bytes: i32): void {
  if (bytes & 4) {
    store<u32>(out, <u32>v);
    out += 4;
    v >>>= 32;
  }
  if (bytes & 2) {
    store<u16>(out, <u16>v);
    out += 2;
    v >>>= 16;
  }
  if (bytes & 1) store<u8>(out, <u8>v);
}

/**
 * Pairs of codes, pairs of pairs, and once more: eight codes in each 64-bit lane. In each step the upper half of a lane
 * moves down to where the lower one ends; nothing is above it, and `low` keeps what it would fall on.
 */
@inline
function packAny(bits: i32, codes: usize, n: usize, out: usize): void {
  const low1 = i32x4.splat(((1 << bits) - 1) * 0x10001);
  const low2 = i32x4.splat((1 << (2 * bits)) - 1);
  const low4 = i64x2.splat((<i64>1 << (4 * bits)) - 1);
  for (const end = codes + n; codes < end; codes += 16) {
    let v = v128.load(codes);
    v = v128.bitselect(v, i16x8.shr_u(v, 8 - bits), low1);
    v = v128.bitselect(v, i32x4.shr_u(v, 16 - 2 * bits), low2);
    v = v128.bitselect(v, i64x2.shr_u(v, 32 - 4 * bits), low4);
    putBytes(out, i64x2.extract_lane(v, 0), bits);
    out += bits;
    putBytes(out, i64x2.extract_lane(v, 1), bits);
    out += bits;
  }
}

/** codes: (n,) bytes, each below 2^bits → out: n·bits/8 bytes, and no byte more. */
export function pack(bits: i32, codes: usize, n: usize, out: usize): void {
  if (bits == 4) {
    for (const end = codes + n; codes < end; codes += 32, out += 16) {
      const v = v128.load(codes);
      const w = v128.load(codes + 16);
      const mask = i16x8.splat(0xff);
      const a = v128.and(v128.or(v, i16x8.shr_u(v, 4)), mask);
      const b = v128.and(v128.or(w, i16x8.shr_u(w, 4)), mask);
      v128.store(out, i8x16.narrow_i16x8_u(a, b));
    }
  } else if (bits == 3) packAny(3, codes, n, out);
  else if (bits == 2) packAny(2, codes, n, out);
  else if (bits == 8) memory.copy(out, codes, n);
  else if (bits == 1) {
    for (const end = codes + n; codes < end; codes += 16, out += 2)
      store<u16>(out, <u16>i8x16.bitmask(i8x16.neg(v128.load(codes))));
  } else packAny(bits, codes, n, out);
}

/**
 * How sixteen codes are found in the 16 bytes that end where they end (the bytes before them are somebody else's
 * and harmless to read; memory below the first vector is never short of 16). A code lies in two neighbouring bytes:
 *   0   16   indices of the two bytes of codes 0…7
 *  16   16   the same for codes 8…15
 *  32   16   2^(16 − bits − first bit in the first byte): multiplied by it, a 16-bit lane has the code on top
 */
export function prepareSpread(bits: i32, spread: usize): void {
  for (let i = 0; i < 8; i++) {
    const bit = i * bits;
    const low = 16 - 2 * bits + (bit >> 3);
    const p = spread + (<usize>i << 1);
    store<u8>(p, <u8>low);
    store<u8>(p + 1, <u8>(low + 1));
    store<u8>(p + 16, <u8>(low + bits));
    store<u8>(p + 17, <u8>(low + bits + 1));
    const lift = 1 << (16 - bits - (bit & 7));
    store<u16>(p + 32, <u16>lift);
  }
}

/** packed: n·bits/8 bytes → codes: (n,) bytes. spread: of prepareSpread. */
export function unpack(bits: i32, packed: usize, n: usize, codes: usize, spread: usize): void {
  const end = codes + n;
  if (bits == 4) {
    const mask = i8x16.splat(15);
    for (; codes < end; codes += 32, packed += 16) {
      //  low    c0 c2 c4 …      high   c1 c3 c5 …
      const v = v128.load(packed);
      const low = v128.and(v, mask);
      const high = v128.and(i16x8.shr_u(v, 4), mask);
      v128.store(codes, v128.shuffle<u8>(low, high, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23));
      v128.store(
        codes + 16,
        v128.shuffle<u8>(low, high, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31),
      );
    }
    return;
  }
  if (bits == 8) {
    memory.copy(codes, packed, n);
    return;
  }
  const first = v128.load(spread);
  const second = v128.load(spread + 16);
  const lift = v128.load(spread + 32);
  const down = 16 - bits;
  const step = <usize>(2 * bits);
  for (packed += step - 16; codes < end; codes += 16, packed += step) {
    const v = v128.load(packed);
    const a = i16x8.shr_u(i16x8.mul(i8x16.swizzle(v, first), lift), down);
    const b = i16x8.shr_u(i16x8.mul(i8x16.swizzle(v, second), lift), down);
    v128.store(codes, i8x16.narrow_i16x8_u(a, b));
  }
}
