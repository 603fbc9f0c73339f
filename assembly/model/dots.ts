/** Inner products in register tiles. Vectors are f32, a multiple of 4 long; `bytes` is their length in bytes. */

/** The sum of the four lanes of each of a, b, c, d. */
// @ts-ignore: decorator
@inline
function join(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab0 = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
  const ab1 = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
  const cd0 = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const cd1 = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  const ab = f32x4.add(ab0, ab1); // a0+a2 b0+b2 a1+a3 b1+b3
  const cd = f32x4.add(cd0, cd1);
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

export function dot(a: usize, b: usize, bytes: usize): f32 {
  let s = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) s = f32x4.add(s, f32x4.mul(v128.load(a + i), v128.load(b + i)));
  return f32x4.extract_lane(s, 0) + f32x4.extract_lane(s, 2) + (f32x4.extract_lane(s, 1) + f32x4.extract_lane(s, 3));
}

/** out[0..3] <- rows 0..3 of w times x. wStride: bytes between rows. */
export function dots4x1(w: usize, x: usize, bytes: usize, wStride: usize, out: usize): void {
  const w1 = w + wStride;
  const w2 = w1 + wStride;
  const w3 = w2 + wStride;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const v = v128.load(x + i);
    a0 = f32x4.add(a0, f32x4.mul(v128.load(w + i), v));
    a1 = f32x4.add(a1, f32x4.mul(v128.load(w1 + i), v));
    a2 = f32x4.add(a2, f32x4.mul(v128.load(w2 + i), v));
    a3 = f32x4.add(a3, f32x4.mul(v128.load(w3 + i), v));
  }
  v128.store(out, join(a0, a1, a2, a3));
}

/** out[t][0..3] <- rows 0..3 of w times x[t], t = 0, 1. wStride, xStride, outStride: bytes between rows. */
export function dots4x2(
  w: usize,
  x: usize,
  bytes: usize,
  wStride: usize,
  xStride: usize,
  out: usize,
  outStride: usize,
): void {
  const w1 = w + wStride;
  const w2 = w1 + wStride;
  const w3 = w2 + wStride;
  const x1 = x + xStride;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let b2 = f32x4.splat(0);
  let b3 = f32x4.splat(0);
  for (let i: usize = 0; i < bytes; i += 16) {
    const u = v128.load(x + i);
    const v = v128.load(x1 + i);
    let r = v128.load(w + i);
    a0 = f32x4.add(a0, f32x4.mul(r, u));
    b0 = f32x4.add(b0, f32x4.mul(r, v));
    r = v128.load(w1 + i);
    a1 = f32x4.add(a1, f32x4.mul(r, u));
    b1 = f32x4.add(b1, f32x4.mul(r, v));
    r = v128.load(w2 + i);
    a2 = f32x4.add(a2, f32x4.mul(r, u));
    b2 = f32x4.add(b2, f32x4.mul(r, v));
    r = v128.load(w3 + i);
    a3 = f32x4.add(a3, f32x4.mul(r, u));
    b3 = f32x4.add(b3, f32x4.mul(r, v));
  }
  v128.store(out, join(a0, a1, a2, a3));
  v128.store(out + outStride, join(b0, b1, b2, b3));
}
