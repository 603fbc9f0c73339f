/** ⟨query, key⟩ and weighted sums over f32 rows, in lane order and vector after vector. */
import { addProduct, dot, join4 } from "./lanes";

/** Four keys at a time: each has its own running lanes, so the order within a key is kept. */
export function dotF32(query: usize, keys: usize, rows: usize, dim: usize, out: usize): void {
  const bytes = dim * 4;
  if ((dim & 3) == 0) {
    for (; rows >= 4; rows -= 4, keys += bytes * 4, out += 16) {
      let a = f32x4.splat(0);
      let b = a;
      let c = a;
      let d = a;
      let key = keys;
      for (let at: usize = 0; at < bytes; at += 16, key += 16) {
        const q = v128.load(query + at);
        const next = key + bytes * 2;
        a = addProduct(a, q, v128.load(key));
        b = addProduct(b, q, v128.load(key + bytes));
        c = addProduct(c, q, v128.load(next));
        d = addProduct(d, q, v128.load(next + bytes));
      }
      v128.store(out, join4(a, b, c, d));
    }
  }
  for (; rows > 0; rows--, keys += bytes, out += 4) store<f32>(out, dot(query, keys, dim));
}

/** Four values are added in turn to sums that were loaded once. */
export function accumulateF32(weights: usize, values: usize, rows: usize, dim: usize, acc: usize): void {
  const bytes = dim * 4;
  const whole = bytes & ~15;
  for (; rows >= 4; rows -= 4, weights += 16, values += bytes * 4) {
    const w = v128.load(weights);
    const a = v128.shuffle<f32>(w, w, 0, 0, 0, 0);
    const b = v128.shuffle<f32>(w, w, 1, 1, 1, 1);
    const c = v128.shuffle<f32>(w, w, 2, 2, 2, 2);
    const d = v128.shuffle<f32>(w, w, 3, 3, 3, 3);
    let value = values;
    for (let at: usize = 0; at < whole; at += 16, value += 16) {
      const next = value + bytes * 2;
      let sum = addProduct(v128.load(acc + at), a, v128.load(value));
      sum = addProduct(sum, b, v128.load(value + bytes));
      sum = addProduct(sum, c, v128.load(next));
      v128.store(acc + at, addProduct(sum, d, v128.load(next + bytes)));
    }
    for (let at = whole; at < bytes; at += 4)
      for (let r: usize = 0; r < 4; r++) addOne(weights + r * 4, values + r * bytes + at, acc + at);
  }
  for (; rows > 0; rows--, weights += 4, values += bytes) {
    const w = v128.load32_splat(weights);
    for (let at: usize = 0; at < whole; at += 16)
      v128.store(acc + at, addProduct(v128.load(acc + at), w, v128.load(values + at)));
    for (let at = whole; at < bytes; at += 4) addOne(weights, values + at, acc + at);
  }
}

@inline
function addOne(weight: usize, value: usize, acc: usize): void {
  store<f32>(acc, load<f32>(acc) + load<f32>(weight) * load<f32>(value));
}
