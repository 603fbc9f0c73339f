/**
 * Bytes of codes as nibbles, each an index into a table of sixteen. A byte holds 8/bits codes: one or two lookups per
 * nibble, with tables that look at some of its bits only. Three bits are regrouped when vectors are laid out in tiles:
 * of eight codes in three bytes the low three bits of each nibble are codes 0 … 5, and the top bits, byte after byte,
 * are codes 6 (low nibbles) and 7 (high ones).
 *
 * A pass p looks up the low and the high nibbles of bytes with one table, and finds the codes at
 *
 *   bits   passes   of a byte (of three bytes where bits = 3)
 *   4      1        0, 1
 *   3      4        2p, 2p + 1; the last of top bits
 *   2      2        p, 2 + p
 *   1      4        p, 4 + p
 */

/** Bytes that hold a whole number of codes: 3 for 3 bits, else 1; and the codes in them. */
@inline export function groupBytes(bits: i32): usize { return bits == 3 ? 3 : 1; }
@inline export function groupCodes(bits: i32): usize { return bits == 3 ? 8 : <usize>(8 / bits); }
/** Pairs of nibbles in a group. */
@inline export function passesOf(bits: i32): usize { return groupCodes(bits) >> 1; }

/** The code of a group that a pass finds in low nibbles; in high ones it is `highStep` further. */
@inline export function firstCode(bits: i32, pass: usize): usize { return bits >= 3 ? pass * 2 : pass; }
@inline export function highStep(bits: i32): usize { return bits >= 3 ? 1 : groupCodes(bits) >> 1; }

/** Which level the table of a pass has at index j. */
@inline
export function levelIndex(bits: i32, pass: usize, j: usize): usize {
  return bits >= 3 ? j & ((1 << bits) - 1) : (j >> (pass * bits)) & ((1 << bits) - 1);
}

@inline export function lowNibbles(v: v128): v128 { return v128.and(v, i8x16.splat(15)); }
@inline export function highNibbles(v: v128): v128 { return v128.and(i16x8.shr_u(v, 4), i8x16.splat(15)); }

/** Codes 6 and 7 of three bytes, as low and high nibbles. */
@inline
export function topBits(a: v128, b: v128, c: v128): v128 {
  const top = i8x16.splat(<i8>0x88);
  return v128.or(
    v128.or(i16x8.shr_u(v128.and(a, top), 3), i16x8.shr_u(v128.and(b, top), 2)),
    i16x8.shr_u(v128.and(c, top), 1),
  );
}

/** 24 stream bits of eight 3-bit codes → three bytes of nibbles, and back. */
export function regroup(w: u32): u32 {
  let out: u32 = 0;
  for (let k: u32 = 0; k < 3; k++) {
    const nibbles = ((w >> (6 * k)) & 7) | (((w >> (6 * k + 3)) & 7) << 4);
    const top = (((w >> (18 + k)) & 1) << 3) | (((w >> (21 + k)) & 1) << 7);
    out |= (nibbles | top) << (8 * k);
  }
  return out;
}
export function ungroup(v: u32): u32 {
  let w: u32 = 0;
  for (let k: u32 = 0; k < 3; k++) {
    const byte = v >> (8 * k);
    w |= ((byte & 7) | (((byte >> 4) & 7) << 3)) << (6 * k);
    w |= (((byte >> 3) & 1) << (18 + k)) | (((byte >> 7) & 1) << (21 + k));
  }
  return w;
}
