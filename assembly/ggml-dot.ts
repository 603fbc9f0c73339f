/** ⟨query, key⟩ over ggml q8_0 and q4_0 rows, as src/kernels/ggml-dot.ts defines it: blocks of 32, each in lane order. */
import { fromF16 } from "./half";
import { addProduct, join } from "./lanes";

/** acc + four products with the signed bytes in `codes`: the low four of its eight i16, or the high four. */
@inline
function low(acc: v128, codes: v128, query: usize): v128 {
  return addProduct(acc, v128.load(query), f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(codes)));
}
@inline
function high(acc: v128, codes: v128, query: usize): v128 {
  return addProduct(acc, v128.load(query), f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(codes)));
}

/** acc + sixteen products. codes: i8x16. */
@inline
function sixteen(acc: v128, codes: v128, query: usize): v128 {
  const a = i16x8.extend_low_i8x16_s(codes);
  const b = i16x8.extend_high_i8x16_s(codes);
  return high(low(high(low(acc, a, query), a, query + 16), b, query + 32), b, query + 48);
}

/** fp16 d | 32 × i8. */
export function dotQ8(query: usize, bytes: usize, rows: usize, dim: usize, out: usize): void {
  for (const end = out + rows * 4; out < end; out += 4) {
    let sum: f32 = 0;
    for (let at: usize = 0; at < dim * 4; at += 128, bytes += 34) {
      let acc = sixteen(f32x4.splat(0), v128.load(bytes + 2), query + at);
      acc = sixteen(acc, v128.load(bytes + 18), query + at + 64);
      sum += join(acc) * fromF16(load<u16>(bytes));
    }
    store<f32>(out, sum);
  }
}

/** fp16 d | 16 bytes: element i in the low nibble of byte i, element i + 16 in the high one, both + 8. */
export function dotQ4(query: usize, bytes: usize, rows: usize, dim: usize, out: usize): void {
  const mask = i8x16.splat(15);
  const eight = i8x16.splat(8);
  for (const end = out + rows * 4; out < end; out += 4) {
    let sum: f32 = 0;
    for (let at: usize = 0; at < dim * 4; at += 128, bytes += 18) {
      const v = v128.load(bytes + 2);
      let acc = sixteen(f32x4.splat(0), i8x16.sub(v128.and(v, mask), eight), query + at);
      acc = sixteen(acc, i8x16.sub(v128.and(i16x8.shr_u(v, 4), mask), eight), query + at + 64);
      sum += join(acc) * fromF16(load<u16>(bytes));
    }
    store<f32>(out, sum);
  }
}
