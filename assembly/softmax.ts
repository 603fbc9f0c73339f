/** Softmax weights, as src/core/exp.ts defines e^x: the same operations in the same order, four at a time. */

/** x <- x * scale, returns the largest number (NaN is none; -Infinity if there is none). */
export function scaleMax(x: usize, n: usize, scale: f32): f32 {
  const end = x + n * 4;
  const s = f32x4.splat(scale);
  // pmax(a, b) is a < b ? b : a, so that NaN never is a maximum. Four at a time: none waits for another.
  let a = f32x4.splat(-Infinity);
  let b = a;
  let c = a;
  let d = a;
  for (; x + 64 <= end; x += 64) {
    const v0 = f32x4.mul(v128.load(x), s);
    const v1 = f32x4.mul(v128.load(x + 16), s);
    const v2 = f32x4.mul(v128.load(x + 32), s);
    const v3 = f32x4.mul(v128.load(x + 48), s);
    v128.store(x, v0);
    v128.store(x + 16, v1);
    v128.store(x + 32, v2);
    v128.store(x + 48, v3);
    a = f32x4.pmax(a, v0);
    b = f32x4.pmax(b, v1);
    c = f32x4.pmax(c, v2);
    d = f32x4.pmax(d, v3);
  }
  a = f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, d));
  for (; x + 16 <= end; x += 16) {
    const v = f32x4.mul(v128.load(x), s);
    v128.store(x, v);
    a = f32x4.pmax(a, v);
  }
  for (; x < end; x += 4) {
    const v = load<f32>(x) * scale;
    store<f32>(x, v);
    a = f32x4.pmax(a, f32x4.splat(v));
  }
  //  a   0 1 2 3, then 02 13 02 13, then all
  a = f32x4.pmax(a, v128.shuffle<f32>(a, a, 2, 3, 2, 3));
  a = f32x4.pmax(a, v128.shuffle<f32>(a, a, 1, 0, 1, 0));
  return f32x4.extract_lane(a, 0) + 0; // which zero it is depends on lanes: +0
}

// e^x for x <= 0: x = n ln 2 + r; Cephes' polynomial of e^r; 2^n by its bits; 0 below -87.

/** 1.5 * 2^23, so that its sum with x is n in its low bits. */
@inline function rounder(): v128 { return f32x4.splat(12582912); }
@inline
function shift(x: v128): v128 {
  return f32x4.add(f32x4.mul(x, f32x4.splat(<f32>1.44269504088896341)), rounder());
}
/** r. n: shifted - rounder. */
@inline
function remainder(x: v128, n: v128): v128 {
  return f32x4.sub(
    f32x4.sub(x, f32x4.mul(n, f32x4.splat(<f32>0.693359375))),
    f32x4.mul(n, f32x4.splat(<f32>-2.1219444e-4)),
  );
}
/** p r + c. */
@inline
function horner(p: v128, r: v128, c: f32): v128 {
  return f32x4.add(f32x4.mul(p, r), f32x4.splat(c));
}
/** e^r 2^n, or 0. p: the polynomial but for its last two terms. */
@inline
function power(x: v128, p: v128, r: v128, shifted: v128): v128 {
  const e = f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), f32x4.add(r, f32x4.splat(1)));
  const two = i32x4.shl(i32x4.add(i32x4.sub(shifted, rounder()), i32x4.splat(127)), 23);
  return v128.andnot(f32x4.mul(e, two), f32x4.lt(x, f32x4.splat(-87)));
}

@inline
function expNegative(x: v128): v128 {
  const shifted = shift(x);
  const r = remainder(x, f32x4.sub(shifted, rounder()));
  let p = horner(f32x4.splat(<f32>1.987569150e-4), r, <f32>1.3981999507e-3);
  p = horner(p, r, <f32>8.3334519073e-3);
  p = horner(p, r, <f32>4.1665795894e-2);
  p = horner(p, r, <f32>1.6666665459e-1);
  p = horner(p, r, <f32>5.0000001201e-1);
  return power(x, p, r, shifted);
}

/** Sixteen of them at x, less m each: a constant is made once for all. Returns sum + each. */
@inline
function expSixteen(x: usize, m: v128, sum: v128): v128 {
  const x0 = f32x4.sub(v128.load(x), m);
  const x1 = f32x4.sub(v128.load(x + 16), m);
  const x2 = f32x4.sub(v128.load(x + 32), m);
  const x3 = f32x4.sub(v128.load(x + 48), m);
  const s0 = shift(x0);
  const s1 = shift(x1);
  const s2 = shift(x2);
  const s3 = shift(x3);
  const r0 = remainder(x0, f32x4.sub(s0, rounder()));
  const r1 = remainder(x1, f32x4.sub(s1, rounder()));
  const r2 = remainder(x2, f32x4.sub(s2, rounder()));
  const r3 = remainder(x3, f32x4.sub(s3, rounder()));
  let p0 = horner(f32x4.splat(<f32>1.987569150e-4), r0, <f32>1.3981999507e-3);
  let p1 = horner(f32x4.splat(<f32>1.987569150e-4), r1, <f32>1.3981999507e-3);
  let p2 = horner(f32x4.splat(<f32>1.987569150e-4), r2, <f32>1.3981999507e-3);
  let p3 = horner(f32x4.splat(<f32>1.987569150e-4), r3, <f32>1.3981999507e-3);
  p0 = horner(p0, r0, <f32>8.3334519073e-3);
  p1 = horner(p1, r1, <f32>8.3334519073e-3);
  p2 = horner(p2, r2, <f32>8.3334519073e-3);
  p3 = horner(p3, r3, <f32>8.3334519073e-3);
  p0 = horner(p0, r0, <f32>4.1665795894e-2);
  p1 = horner(p1, r1, <f32>4.1665795894e-2);
  p2 = horner(p2, r2, <f32>4.1665795894e-2);
  p3 = horner(p3, r3, <f32>4.1665795894e-2);
  p0 = horner(p0, r0, <f32>1.6666665459e-1);
  p1 = horner(p1, r1, <f32>1.6666665459e-1);
  p2 = horner(p2, r2, <f32>1.6666665459e-1);
  p3 = horner(p3, r3, <f32>1.6666665459e-1);
  p0 = horner(p0, r0, <f32>5.0000001201e-1);
  p1 = horner(p1, r1, <f32>5.0000001201e-1);
  p2 = horner(p2, r2, <f32>5.0000001201e-1);
  p3 = horner(p3, r3, <f32>5.0000001201e-1);
  p0 = power(x0, p0, r0, s0);
  v128.store(x, p0);
  p1 = power(x1, p1, r1, s1);
  v128.store(x + 16, p1);
  p2 = power(x2, p2, r2, s2);
  v128.store(x + 32, p2);
  p3 = power(x3, p3, r3, s3);
  v128.store(x + 48, p3);
  return f32x4.add(f32x4.add(f32x4.add(f32x4.add(sum, p0), p1), p2), p3);
}

/** x <- e^(x - max); sums[i mod 4] += each. sums: four f32. */
export function softmaxWeights(x: usize, n: usize, max: f32, sums: usize): void {
  const whole = x + (n & ~3) * 4;
  const m = f32x4.splat(max);
  let sum = v128.load(sums);
  let at = x;
  for (; at + 64 <= whole; at += 64) sum = expSixteen(at, m, sum);
  for (; at < whole; at += 16) {
    const w = expNegative(f32x4.sub(v128.load(at), m));
    v128.store(at, w);
    sum = f32x4.add(sum, w);
  }
  v128.store(sums, sum);
  for (let lane = sums; at < x + n * 4; at += 4, lane += 4) {
    const w = f32x4.extract_lane(expNegative(f32x4.splat(load<f32>(at) - max)), 0);
    store<f32>(at, w);
    store<f32>(lane, load<f32>(lane) + w);
  }
}

/**
 * One tile of online softmax: scores x (n,) become weights, the state goes on. state: eight f32, the running maximum, the
 * scale, the factor that earlier sums shrink by, one unused, four sums of weights.
 */
export function weighTile(x: usize, n: usize, state: usize): void {
  const most = scaleMax(x, n, load<f32>(state, 4));
  const before = load<f32>(state);
  let max = before;
  let factor: f32 = 1;
  if (most > before) {
    max = most;
    store<f32>(state, max);
    if (before != -Infinity) factor = f32x4.extract_lane(expNegative(f32x4.splat(before - most)), 0);
  }
  store<f32>(state, factor, 8);
  const sums = v128.load(state, 16);
  v128.store(state, f32x4.splat(0), 16);
  // Where nothing was seen yet, every score is -Infinity and so would be the maximum.
  softmaxWeights(x, n, max == -Infinity ? <f32>0 : max, state + 16);
  v128.store(state, f32x4.add(f32x4.mul(sums, f32x4.splat(factor)), v128.load(state, 16)), 16);
}
