/**
 * Sums in four lanes (i mod 4), joined as (l0 + l2) + (l1 + l3): the order of src/core/float.ts, which is one v128
 * accumulator and a pairwise join.
 */

/** (l0 + l2) + (l1 + l3). */
@inline
export function join(l: v128): f32 {
  //  l   l0 l1 l2 l3
  //  h   l2 l3 l2 l3
  const sum = f32x4.add(l, v128.shuffle<f32>(l, l, 2, 3, 2, 3));
  return f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 1);
}

/** The joins of four registers, one in each lane. */
@inline
export function join4(a: v128, b: v128, c: v128, d: v128): v128 {
  //  ab  a0+a2 a1+a3 b0+b2 b1+b3
  //  cd  c0+c2 c1+c3 d0+d2 d1+d3
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 1, 4, 5), v128.shuffle<f32>(a, b, 2, 3, 6, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 1, 4, 5), v128.shuffle<f32>(c, d, 2, 3, 6, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 2, 4, 6), v128.shuffle<f32>(ab, cd, 1, 3, 5, 7));
}

/** The largest lane; NaN if one is. */
@inline
export function max4(v: v128): f32 {
  return max<f32>(
    max<f32>(f32x4.extract_lane(v, 0), f32x4.extract_lane(v, 1)),
    max<f32>(f32x4.extract_lane(v, 2), f32x4.extract_lane(v, 3)),
  );
}

/** acc + x·y, lane by lane, each operation rounded. */
@inline
export function addProduct(acc: v128, x: v128, y: v128): v128 {
  return f32x4.add(acc, f32x4.mul(x, y));
}

/** n values, 1 to 3 of them, and zeros: adding products of zeros leaves a running sum as it is. */
export function loadSome(p: usize, n: usize): v128 {
  let v = v128.load32_zero(p);
  if (n > 1) v = v128.load32_lane(p + 4, v, 1);
  if (n > 2) v = v128.load32_lane(p + 8, v, 2);
  return v;
}

/** Σ xᵢ·yᵢ. x, y: (n,) f32, any n. */
export function dot(x: usize, y: usize, n: usize): f32 {
  let acc = f32x4.splat(0);
  const whole = (n & ~3) << 2;
  for (let at: usize = 0; at < whole; at += 16) acc = addProduct(acc, v128.load(x + at), v128.load(y + at));
  if (n & 3) acc = addProduct(acc, loadSome(x + whole, n & 3), loadSome(y + whole, n & 3));
  return join(acc);
}

/** Σ over a multiple of 4 values of their squares. */
export function sumOfSquares(x: usize, n: usize): f32 {
  return dot(x, x, n);
}
