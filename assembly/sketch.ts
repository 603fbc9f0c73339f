/** The QJL sketch of src/core/qjl.ts: projections in lane order, eight rows of S at a time (rows are a multiple of 8). */
import { addProduct, join4 } from "./lanes";
import { dimOf, matrixOf, sketchRowsOf } from "./plan";

/** out: (8,) ← eight rows of S times x. */
function project8(matrix: usize, x: usize, dim: usize, out: usize): void {
  const bytes = dim * 4;
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  let e = a;
  let f = a;
  let g = a;
  let h = a;
  for (const end = x + bytes; x < end; x += 16, matrix += 16) {
    const v = v128.load(x);
    let row = matrix;
    a = addProduct(a, v128.load(row), v);
    b = addProduct(b, v128.load((row += bytes)), v);
    c = addProduct(c, v128.load((row += bytes)), v);
    d = addProduct(d, v128.load((row += bytes)), v);
    e = addProduct(e, v128.load((row += bytes)), v);
    f = addProduct(f, v128.load((row += bytes)), v);
    g = addProduct(g, v128.load((row += bytes)), v);
    h = addProduct(h, v128.load((row += bytes)), v);
  }
  v128.store(out, join4(a, b, c, d));
  v128.store(out + 16, join4(e, f, g, h));
}

export function project(plan: usize, x: usize, rows: usize, out: usize): void {
  const dim = dimOf(plan);
  const sketchRows = sketchRowsOf(plan);
  for (let r: usize = 0; r < rows; r++, x += dim * 4) {
    let matrix = matrixOf(plan);
    for (let j: usize = 0; j < sketchRows; j += 8, matrix += dim * 32, out += 32) project8(matrix, x, dim, out);
  }
}

/** signs: bit j ← !(⟨row j of S, x⟩ < 0). eight: room for 8 f32. */
export function projectSigns(plan: usize, x: usize, eight: usize, signs: usize): void {
  const dim = dimOf(plan);
  const zero = f32x4.splat(0);
  let matrix = matrixOf(plan);
  for (const end = signs + sketchRowsOf(plan) / 8; signs < end; signs++, matrix += dim * 32) {
    project8(matrix, x, dim, eight);
    const below = i32x4.bitmask(f32x4.lt(v128.load(eight), zero));
    const behind = i32x4.bitmask(f32x4.lt(v128.load(eight + 16), zero));
    store<u8>(signs, <u8>~(below | (behind << 4)));
  }
}

/** −0 in the lanes whose bit of the low nibble of `word` is 0, +0 elsewhere: XOR with it gives ±. */
@inline
function minus(word: v128): v128 {
  const clear = i32x4.eq(v128.and(word, i32x4(1, 2, 4, 8)), i32x4.splat(0));
  return i32x4.shl(clear, 31);
}

/** Lanes of Σ ±pⱼ, + where bit j is set. p: (rows,) f32. */
@inline
export function signedSum(p: usize, signs: usize, rows: usize): v128 {
  let acc = f32x4.splat(0);
  for (const end = signs + rows / 8; signs < end; signs++, p += 32) {
    const word = i32x4.splat(load<u8>(signs));
    acc = f32x4.add(acc, v128.xor(v128.load(p), minus(word)));
    acc = f32x4.add(acc, v128.xor(v128.load(p + 16), minus(i32x4.shr_u(word, 4))));
  }
  return acc;
}

/** sums[j] += ±w, + where bit j is set. sums: (rows,) f32. */
@inline
export function addSigned(sums: usize, signs: usize, rows: usize, w: f32): void {
  const weight = f32x4.splat(w);
  for (const end = signs + rows / 8; signs < end; signs++, sums += 32) {
    const word = i32x4.splat(load<u8>(signs));
    v128.store(sums, f32x4.add(v128.load(sums), v128.xor(weight, minus(word))));
    const next = v128.xor(weight, minus(i32x4.shr_u(word, 4)));
    v128.store(sums + 16, f32x4.add(v128.load(sums + 16), next));
  }
}

/** ±weight by bit `j` of the signs. */
@inline
function signed(weight: f32, signs: u32, j: u32): v128 {
  return f32x4.splat((signs >>> j) & 1 ? weight : -weight);
}

/** x += weight · Sᵀ signs, row after row of S, eight rows while a coordinate is in a register. */
export function addSketch(plan: usize, weight: f32, signs: usize, x: usize): void {
  const bytes = dimOf(plan) * 4;
  let matrix = matrixOf(plan);
  for (const end = signs + sketchRowsOf(plan) / 8; signs < end; signs++, matrix += bytes * 7) {
    const word = <u32>load<u8>(signs);
    const a = signed(weight, word, 0);
    const b = signed(weight, word, 1);
    const c = signed(weight, word, 2);
    const d = signed(weight, word, 3);
    const e = signed(weight, word, 4);
    const f = signed(weight, word, 5);
    const g = signed(weight, word, 6);
    const h = signed(weight, word, 7);
    for (let at: usize = 0; at < bytes; at += 16, matrix += 16) {
      let row = matrix;
      let sum = addProduct(v128.load(x + at), a, v128.load(row));
      sum = addProduct(sum, b, v128.load((row += bytes)));
      sum = addProduct(sum, c, v128.load((row += bytes)));
      sum = addProduct(sum, d, v128.load((row += bytes)));
      sum = addProduct(sum, e, v128.load((row += bytes)));
      sum = addProduct(sum, f, v128.load((row += bytes)));
      sum = addProduct(sum, g, v128.load((row += bytes)));
      v128.store(x + at, addProduct(sum, h, v128.load(row + bytes)));
    }
  }
}
