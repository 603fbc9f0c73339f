/**
 * ⟨query, key⟩ over ggml q8_0 and q4_0 rows, as src/kernels/ggml-dot.ts defines it: the query as sixteen-bit integers, exact
 * sums of a block in four lanes, blocks added in f32.
 */
import { fromF16 } from "./half";
import { join, max4 } from "./lanes";

/** Sums of pairs of products: codes i8x16, query: sixteen i16. */
@inline
function sixteen(codes: v128, query: usize): v128 {
  return i32x4.add(
    i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(codes), v128.load(query)),
    i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(codes), v128.load(query + 16)),
  );
}

/** acc + a block's sums · d. */
@inline
function addBlock(acc: v128, low: v128, high: v128, query: usize, bytes: usize): v128 {
  const sums = f32x4.convert_i32x4_s(i32x4.add(sixteen(low, query), sixteen(high, query + 32)));
  return f32x4.add(acc, f32x4.mul(sums, f32x4.splat(fromF16(load<u16>(bytes)))));
}

/** query: (dim,) → out: (dim,) i16. Returns their step; NaN where the query is not finite. */
function toIntegers(query: usize, dim: usize, out: usize): f32 {
  let most = f32x4.splat(0);
  for (let at: usize = 0; at < dim * 4; at += 16) most = f32x4.max(most, f32x4.abs(v128.load(query + at)));
  const largest = max4(most);
  const usual = largest > <f32>1e-30 && largest < Infinity;
  const scale = f32x4.splat(usual ? <f32>32767 / largest : 0);
  for (let at: usize = 0; at < dim * 4; at += 32) {
    const a = f32x4.nearest(f32x4.mul(v128.load(query + at), scale));
    const b = f32x4.nearest(f32x4.mul(v128.load(query + at + 16), scale));
    v128.store(out + (at >> 1), i16x8.narrow_i32x4_s(i32x4.trunc_sat_f32x4_s(a), i32x4.trunc_sat_f32x4_s(b)));
  }
  return usual ? largest / <f32>32767 : largest <= <f32>1e-30 ? 0 : NaN;
}

/** fp16 d | 32 × i8. work: 2·dim bytes. */
export function dotQ8(query: usize, bytes: usize, rows: usize, dim: usize, out: usize, work: usize): void {
  const step = toIntegers(query, dim, work);
  for (const end = out + rows * 4; out < end; out += 4) {
    let acc = f32x4.splat(0);
    for (let at = work, stop = work + dim * 2; at < stop; at += 64, bytes += 34)
      acc = addBlock(acc, v128.load(bytes + 2), v128.load(bytes + 18), at, bytes);
    store<f32>(out, join(acc) * step);
  }
}

/** fp16 d | 16 bytes: element i in the low nibble of byte i, element i + 16 in the high one, both + 8. */
export function dotQ4(query: usize, bytes: usize, rows: usize, dim: usize, out: usize, work: usize): void {
  const step = toIntegers(query, dim, work);
  const mask = i8x16.splat(15);
  const eight = i8x16.splat(8);
  for (const end = out + rows * 4; out < end; out += 4) {
    let acc = f32x4.splat(0);
    for (let at = work, stop = work + dim * 2; at < stop; at += 64, bytes += 18) {
      const v = v128.load(bytes + 2);
      const low = i8x16.sub(v128.and(v, mask), eight);
      acc = addBlock(acc, low, i8x16.sub(v128.and(i16x8.shr_u(v, 4), mask), eight), at, bytes);
    }
    store<f32>(out, join(acc) * step);
  }
}
