/**
 * The signed Walsh–Hadamard transform of src/core/wht.ts. Butterflies of one stage do not touch each other, so any
 * grouping of stages that keeps their order for each value gives the same bits: five stages within 32 values in
 * eight registers, then up to three stages at a time between registers.
 */
import { addProduct } from "./lanes";
import { afterOf, beforeOf, blockOf, dimOf, unitOf } from "./plan";

/** Stages h = 1 and 2 on eight values x0…x7 in (v, w): the first four, or with `second` the last four. */
@inline
function quad(s: v128, d: v128, second: bool): v128 {
  //  s   x0+x1 x2+x3 x4+x5 x6+x7     d   x0−x1 x2−x3 x4−x5 x6−x7
  //  e   s0 s2 d0 d2                 o   s1 s3 d1 d3
  //  p   z0 z4 z1 z5                 m   z2 z6 z3 z7
  const e = v128.shuffle<f32>(s, d, 0, 2, 4, 6);
  const o = v128.shuffle<f32>(s, d, 1, 3, 5, 7);
  const p = f32x4.add(e, o);
  const m = f32x4.sub(e, o);
  return second ? v128.shuffle<f32>(p, m, 1, 3, 5, 7) : v128.shuffle<f32>(p, m, 0, 2, 4, 6);
}

@inline function evens(v: v128, w: v128): v128 { return v128.shuffle<f32>(v, w, 0, 2, 4, 6); }
@inline function odds(v: v128, w: v128): v128 { return v128.shuffle<f32>(v, w, 1, 3, 5, 7); }

/**
 * dst ← stages 1, 2, 4, 8, 16 of signs ⊙ src on 32 values. Returns acc + squares of src, in lane order.
 */
@inline
function first32(src: usize, signs: usize, dst: usize, acc: v128): v128 {
  let a = v128.load(src);
  let b = v128.load(src + 16);
  let c = v128.load(src + 32);
  let d = v128.load(src + 48);
  acc = addProduct(addProduct(addProduct(addProduct(acc, a, a), b, b), c, c), d, d);
  a = f32x4.mul(a, v128.load(signs));
  b = f32x4.mul(b, v128.load(signs + 16));
  c = f32x4.mul(c, v128.load(signs + 32));
  d = f32x4.mul(d, v128.load(signs + 48));
  let e = v128.load(src + 64);
  let f = v128.load(src + 80);
  let g = v128.load(src + 96);
  let h = v128.load(src + 112);
  acc = addProduct(addProduct(addProduct(addProduct(acc, e, e), f, f), g, g), h, h);
  e = f32x4.mul(e, v128.load(signs + 64));
  f = f32x4.mul(f, v128.load(signs + 80));
  g = f32x4.mul(g, v128.load(signs + 96));
  h = f32x4.mul(h, v128.load(signs + 112));
  let s = f32x4.add(evens(a, b), odds(a, b));
  let t = f32x4.sub(evens(a, b), odds(a, b));
  a = quad(s, t, false);
  b = quad(s, t, true);
  s = f32x4.add(evens(c, d), odds(c, d));
  t = f32x4.sub(evens(c, d), odds(c, d));
  c = quad(s, t, false);
  d = quad(s, t, true);
  s = f32x4.add(evens(e, f), odds(e, f));
  t = f32x4.sub(evens(e, f), odds(e, f));
  e = quad(s, t, false);
  f = quad(s, t, true);
  s = f32x4.add(evens(g, h), odds(g, h));
  t = f32x4.sub(evens(g, h), odds(g, h));
  g = quad(s, t, false);
  h = quad(s, t, true);
  // h = 4: neighbours
  s = f32x4.add(a, b); b = f32x4.sub(a, b); a = s;
  s = f32x4.add(c, d); d = f32x4.sub(c, d); c = s;
  s = f32x4.add(e, f); f = f32x4.sub(e, f); e = s;
  s = f32x4.add(g, h); h = f32x4.sub(g, h); g = s;
  // h = 8
  s = f32x4.add(a, c); c = f32x4.sub(a, c); a = s;
  s = f32x4.add(b, d); d = f32x4.sub(b, d); b = s;
  s = f32x4.add(e, g); g = f32x4.sub(e, g); e = s;
  s = f32x4.add(f, h); h = f32x4.sub(f, h); f = s;
  // h = 16
  v128.store(dst, f32x4.add(a, e));
  v128.store(dst + 64, f32x4.sub(a, e));
  v128.store(dst + 16, f32x4.add(b, f));
  v128.store(dst + 80, f32x4.sub(b, f));
  v128.store(dst + 32, f32x4.add(c, g));
  v128.store(dst + 96, f32x4.sub(c, g));
  v128.store(dst + 48, f32x4.add(d, h));
  v128.store(dst + 112, f32x4.sub(d, h));
  return acc;
}

/** The stage h between registers, on `bytes` bytes at x; h in bytes here and below. */
function stage(x: usize, bytes: usize, h: usize): void {
  for (const end = x + bytes; x < end; x += h) {
    for (const next = x + h; x < next; x += 16) {
      const a = v128.load(x);
      const b = v128.load(x + h);
      v128.store(x, f32x4.add(a, b));
      v128.store(x + h, f32x4.sub(a, b));
    }
  }
}

/** The stages h and 2h. */
function twoStages(x: usize, bytes: usize, h: usize): void {
  const h3 = h * 3;
  for (const end = x + bytes; x < end; x += h3) {
    for (const next = x + h; x < next; x += 16) {
      const y = x + h * 2;
      const a = v128.load(x);
      const b = v128.load(x + h);
      const c = v128.load(y);
      const d = v128.load(y + h);
      const ab = f32x4.add(a, b);
      const cd = f32x4.add(c, d);
      v128.store(x, f32x4.add(ab, cd));
      v128.store(y, f32x4.sub(ab, cd));
      const a_b = f32x4.sub(a, b);
      const c_d = f32x4.sub(c, d);
      v128.store(x + h, f32x4.add(a_b, c_d));
      v128.store(y + h, f32x4.sub(a_b, c_d));
    }
  }
}

/** The stages h, 2h and 4h. */
function threeStages(x: usize, bytes: usize, h: usize): void {
  const h7 = h * 7;
  for (const end = x + bytes; x < end; x += h7) {
    for (const next = x + h; x < next; x += 16) {
      const y = x + h * 2;
      const z = x + h * 4;
      const w = x + 6 * h;
      let a = v128.load(x);
      let b = v128.load(x + h);
      let c = v128.load(y);
      let d = v128.load(y + h);
      let e = v128.load(z);
      let f = v128.load(z + h);
      let g = v128.load(w);
      let i = v128.load(w + h);
      let s = f32x4.add(a, b); b = f32x4.sub(a, b); a = s;
      s = f32x4.add(c, d); d = f32x4.sub(c, d); c = s;
      s = f32x4.add(e, f); f = f32x4.sub(e, f); e = s;
      s = f32x4.add(g, i); i = f32x4.sub(g, i); g = s;
      s = f32x4.add(a, c); c = f32x4.sub(a, c); a = s;
      s = f32x4.add(b, d); d = f32x4.sub(b, d); b = s;
      s = f32x4.add(e, g); g = f32x4.sub(e, g); e = s;
      s = f32x4.add(f, i); i = f32x4.sub(f, i); f = s;
      v128.store(x, f32x4.add(a, e));
      v128.store(z, f32x4.sub(a, e));
      v128.store(x + h, f32x4.add(b, f));
      v128.store(z + h, f32x4.sub(b, f));
      v128.store(y, f32x4.add(c, g));
      v128.store(w, f32x4.sub(c, g));
      v128.store(y + h, f32x4.add(d, i));
      v128.store(w + h, f32x4.sub(d, i));
    }
  }
}

/** dst ← H (signs ⊙ src), unnormalised, block by block. Returns the lanes of Σ src². dst may be src. */
@inline
export function signedWht(src: usize, signs: usize, dst: usize, dim: usize, block: usize): v128 {
  const bytes = dim * 4;
  let acc = f32x4.splat(0);
  for (let at: usize = 0; at < bytes; at += 128) acc = first32(src + at, signs + at, dst + at, acc);
  for (let h: usize = 32; h < block; ) {
    const left = block / h;
    if (left == 2) {
      stage(dst, bytes, h * 4);
      h <<= 1;
    } else if (left == 4 || left == 16) {
      twoStages(dst, bytes, h * 4);
      h <<= 2;
    } else {
      threeStages(dst, bytes, h * 4);
      h <<= 3;
    }
  }
  return acc;
}

/** x ← second ⊙ H (first ⊙ x) · unit, row by row. */
function transform(plan: usize, x: usize, rows: usize, first: usize, second: usize): void {
  const dim = dimOf(plan);
  const block = blockOf(plan);
  const unit = f32x4.splat(unitOf(plan));
  const bytes = dim * 4;
  for (const end = x + rows * bytes; x < end; x += bytes) {
    signedWht(x, first, x, dim, block);
    for (let at: usize = 0; at < bytes; at += 16)
      v128.store(x + at, f32x4.mul(f32x4.mul(v128.load(x + at), unit), v128.load(second + at)));
  }
}

export function rotate(plan: usize, x: usize, rows: usize): void {
  transform(plan, x, rows, beforeOf(plan), afterOf(plan));
}

export function unrotate(plan: usize, x: usize, rows: usize): void {
  transform(plan, x, rows, afterOf(plan), beforeOf(plan));
}
