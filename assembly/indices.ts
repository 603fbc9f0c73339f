/**
 * Packed codes → for each coordinate the index of its level: the code itself, or with a trellis the window that ends
 * with the code (src/core/trellis.ts).
 *
 * How sixteen windows are found, in `spread`, as in pack.ts in the 16 bytes that end where their codes end:
 *   0   16   indices of the last byte of windows 0…7 and of the byte before it
 *  16   16   the same for windows 8…15
 *  32   16   2^(16 − window − bits of the last byte behind the window): multiplied by it, the window is on top of 16 bits
 *  48   16   ones where the first group of a vector has the byte before its own: that is the vector's last byte
 */
import { prepareSpread, unpack } from "./pack";
import { bitsOf, codesAt, dimOf, windowOf } from "./plan";

/** Index bits: those of codes, or of windows. */
@inline
export function indexBitsOf(plan: usize): i32 {
  return windowOf(plan) > 0 ? windowOf(plan) : bitsOf(plan);
}

/** Makes `spread`, 64 bytes. */
export function prepareIndices(plan: usize, spread: usize): void {
  const bits = bitsOf(plan);
  const window = windowOf(plan);
  if (window == 0) {
    prepareSpread(bits, spread);
    return;
  }
  for (let i = 0; i < 8; i++) {
    const end = (i + 1) * bits;
    const byte = (end - 1) >> 3;
    const last = 16 - 2 * bits + byte;
    const p = spread + (<usize>i << 1);
    store<u8>(p, <u8>last);
    store<u8>(p + 1, <u8>(last - 1));
    store<u8>(p + 16, <u8>(last + bits));
    store<u8>(p + 17, <u8>(last + bits - 1));
    const lift = 1 << (16 - window - (8 * (byte + 1) - end));
    store<u16>(p + 32, <u16>lift);
  }
  v128.store(spread + 48, i8x16.splat(0));
  store<u8>(spread + 48 + 15 - 2 * bits, 0xff);
}

/** packed: a vector's scale and codes → out: (dim,) bytes. */
export function indices(plan: usize, vector: usize, out: usize, spread: usize): void {
  const bits = bitsOf(plan);
  const dim = dimOf(plan);
  const packed = vector + codesAt(plan);
  const window = windowOf(plan);
  if (window == 0) {
    unpack(bits, packed, dim, out, spread);
    return;
  }
  const first = v128.load(spread);
  const second = v128.load(spread + 16);
  const lift = v128.load(spread + 32);
  const down = 16 - window;
  const step = <usize>(2 * bits);
  const end = out + dim;
  let at = packed + step - 16;
  const seam = i8x16.splat(load<u8>(packed + (dim >> 4) * step - 1));
  let v = v128.bitselect(seam, v128.load(at), v128.load(spread + 48));
  for (;;) {
    const a = i16x8.shr_u(i16x8.mul(i8x16.swizzle(v, first), lift), down);
    const b = i16x8.shr_u(i16x8.mul(i8x16.swizzle(v, second), lift), down);
    v128.store(out, i8x16.narrow_i16x8_u(a, b));
    out += 16;
    if (out >= end) return;
    at += step;
    v = v128.load(at);
  }
}
