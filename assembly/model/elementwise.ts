/** What a transformer does between its matrix products. All arrays f32, lengths multiples of 4 unless said. */
import { exp4 } from "./exp";

/** x += y. (n,) */
export function add(x: usize, y: usize, n: i32): void {
  const end = x + (<usize>n << 2);
  for (; x < end; x += 16) {
    v128.store(x, f32x4.add(v128.load(x), v128.load(y)));
    y += 16;
  }
}

/** Every row of x += bias. x: (rows, n), bias: (n,). */
export function addRows(x: usize, bias: usize, rows: i32, n: i32): void {
  for (let r = 0; r < rows; r++) add(x + ((<usize>r * n) << 2), bias, n);
}

/** gate <- silu(gate) up, silu(g) = g / (1 + e^-g). (n,) */
export function silu(gate: usize, up: usize, n: i32): void {
  const one = f32x4.splat(1);
  const end = gate + (<usize>n << 2);
  for (; gate < end; gate += 16) {
    const g = v128.load(gate);
    v128.store(gate, f32x4.mul(f32x4.div(g, f32x4.add(one, exp4(f32x4.neg(g)))), v128.load(up)));
    up += 16;
  }
}

/** Each row of out <- x / sqrt(mean x^2 + epsilon) weight. x, out: (rows, n). */
export function rmsNorm(x: usize, weight: usize, out: usize, rows: i32, n: i32, epsilon: f32): void {
  const bytes = <usize>n << 2;
  for (let r = 0; r < rows; r++) {
    let s = f32x4.splat(0);
    for (let i: usize = 0; i < bytes; i += 16) {
      const v = v128.load(x + i);
      s = f32x4.add(s, f32x4.mul(v, v));
    }
    const sum = f32x4.extract_lane(s, 0) + f32x4.extract_lane(s, 2) + (f32x4.extract_lane(s, 1) + f32x4.extract_lane(s, 3));
    const scale = f32x4.splat(<f32>1 / sqrt<f32>(sum / <f32>n + epsilon));
    for (let i: usize = 0; i < bytes; i += 16)
      v128.store(out + i, f32x4.mul(f32x4.mul(v128.load(x + i), scale), v128.load(weight + i)));
    x += bytes;
    out += bytes;
  }
}

/**
 * RoPE in place: x (tokens, heads, headDim), the first 2 pairs.. values of a head turned; table (tokens, pairs, 2)
 * holds cos, sin. Pair i is (2i, 2i + 1), or (i, i + pairs) where `split`. Any lengths.
 */
export function rope(x: usize, table: usize, tokens: i32, heads: i32, headDim: i32, pairs: i32, split: i32): void {
  const step: usize = split ? 4 : 8;
  const other: usize = split ? <usize>pairs << 2 : 4;
  for (let t = 0; t < tokens; t++) {
    for (let h = 0; h < heads; h++) {
      let a = x;
      for (let i = 0; i < pairs; i++) {
        const c = load<f32>(table + (<usize>i << 3));
        const s = load<f32>(table + (<usize>i << 3), 4);
        const u = load<f32>(a);
        const v = load<f32>(a + other);
        store<f32>(a, u * c - v * s);
        store<f32>(a + other, u * s + v * c);
        a += step;
      }
      x += <usize>headDim << 2;
    }
    table += <usize>pairs << 3;
  }
}

/** to: (n,) u16 <- from: (n,) f32 as halves, ties to even; |x| < 65520. Any n. */
export function halves(from: usize, to: usize, n: i32): void {
  for (let i = 0; i < n; i++) {
    const bits = load<u32>(from + (<usize>i << 2));
    const abs = bits & 0x7fffffff;
    const sign = (bits >> 16) & 0x8000;
    const small = reinterpret<u32>(reinterpret<f32>(abs) + <f32>0.5) - 0x3f000000;
    const normal = (abs - 0x38000000 + 0xfff + ((abs >> 13) & 1)) >> 13;
    store<u16>(to + (<usize>i << 1), <u16>(sign | (abs < 0x38800000 ? small : normal)));
  }
}
