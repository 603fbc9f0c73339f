/**
 * Causal attention over contiguous keys and values, f32 or f16.
 *
 * keys, values: (kvHeads, capacity, headDim); queries, out: (n, heads, headDim), query i sees the first
 * total - n + i + 1 tokens. Queries go through in groups of QUERIES that share a key/value head, keys in tiles of
 * TILE; halves are widened one tile at a time. Scores of a group stay in scratch: softmax in two passes.
 */
import { dequantise } from "./dequantise";
import { dots4x1, dots4x2 } from "./dots";
import { exp4 } from "./exp";

const QUERIES: i32 = 16;
const TILE: i32 = 64;

// @ts-ignore: decorator
@inline
function rounded(tokens: i32): i32 {
  return (tokens + TILE - 1) & ~(TILE - 1);
}

/** Bytes of scratch a thread needs: the scores of a group, and one tile of f32. */
export function attendScratch(total: i32, headDim: i32): usize {
  return <usize>(QUERIES * rounded(total) + TILE * headDim) << 2;
}

/** Scores -> weights: x[0..count) <- softmax, x[count..padded) <- 0. padded a multiple of 4. */
function softmax(x: usize, count: i32, padded: i32): void {
  const end = x + (<usize>padded << 2);
  for (let i = count; i < padded; i++) store<f32>(x + (<usize>i << 2), <f32>-Infinity); // e^-87 in the sum
  let most = v128.load(x);
  for (let p = x + 16; p < end; p += 16) most = f32x4.pmax(most, v128.load(p));
  const top = max(
    max(f32x4.extract_lane(most, 0), f32x4.extract_lane(most, 1)),
    max(f32x4.extract_lane(most, 2), f32x4.extract_lane(most, 3)),
  );
  const shift = f32x4.splat(top);
  let sum = f32x4.splat(0);
  for (let p = x; p < end; p += 16) {
    const e = exp4(f32x4.sub(v128.load(p), shift));
    sum = f32x4.add(sum, e);
    v128.store(p, e);
  }
  const total = f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 2) + (f32x4.extract_lane(sum, 1) + f32x4.extract_lane(sum, 3));
  const scale = f32x4.splat(<f32>1 / total);
  for (let p = x; p < end; p += 16) v128.store(p, f32x4.mul(v128.load(p), scale));
  for (let i = count; i < padded; i++) store<f32>(x + (<usize>i << 2), 0);
}

/** Two queries: out[q][0..16) += sum of weights[q][i] rows[i][0..16). */
function accumulate2(
  weights: usize,
  weightStride: usize,
  rows: usize,
  rowBytes: usize,
  count: i32,
  out: usize,
  outStride: usize,
): void {
  const out1 = out + outStride;
  let a0 = v128.load(out);
  let a1 = v128.load(out + 16);
  let a2 = v128.load(out + 32);
  let a3 = v128.load(out + 48);
  let b0 = v128.load(out1);
  let b1 = v128.load(out1 + 16);
  let b2 = v128.load(out1 + 32);
  let b3 = v128.load(out1 + 48);
  for (let i = 0; i < count; i++) {
    const p = v128.load32_splat(weights);
    const q = v128.load32_splat(weights + weightStride);
    let v = v128.load(rows);
    a0 = f32x4.add(a0, f32x4.mul(p, v));
    b0 = f32x4.add(b0, f32x4.mul(q, v));
    v = v128.load(rows + 16);
    a1 = f32x4.add(a1, f32x4.mul(p, v));
    b1 = f32x4.add(b1, f32x4.mul(q, v));
    v = v128.load(rows + 32);
    a2 = f32x4.add(a2, f32x4.mul(p, v));
    b2 = f32x4.add(b2, f32x4.mul(q, v));
    v = v128.load(rows + 48);
    a3 = f32x4.add(a3, f32x4.mul(p, v));
    b3 = f32x4.add(b3, f32x4.mul(q, v));
    weights += 4;
    rows += rowBytes;
  }
  v128.store(out, a0);
  v128.store(out + 16, a1);
  v128.store(out + 32, a2);
  v128.store(out + 48, a3);
  v128.store(out1, b0);
  v128.store(out1 + 16, b1);
  v128.store(out1 + 32, b2);
  v128.store(out1 + 48, b3);
}

/** One query, four values: out[0..4) += sum of weights[i] rows[i][0..4). */
function accumulate1(weights: usize, rows: usize, rowBytes: usize, count: i32, out: usize): void {
  let a = v128.load(out);
  for (let i = 0; i < count; i++) {
    a = f32x4.add(a, f32x4.mul(v128.load32_splat(weights), v128.load(rows)));
    weights += 4;
    rows += rowBytes;
  }
  v128.store(out, a);
}

/** One tile of keys or values as f32: where it lies, or widened into `widened`. */
// @ts-ignore: decorator
@inline
function tileOf(type: i32, base: usize, token: i32, count: i32, headDim: i32, widened: usize): usize {
  if (type == 0) return base + ((<usize>token * headDim) << 2);
  dequantise(type, base + ((<usize>token * headDim) << 1), widened, count * headDim);
  return widened;
}

/** Heads begin..end. type: 0 f32, 1 f16 (of keys and values). headDim a multiple of 4. */
export function attend(
  begin: i32,
  end: i32,
  type: i32,
  queries: usize,
  n: i32,
  heads: i32,
  kvHeads: i32,
  headDim: i32,
  keys: usize,
  values: usize,
  capacity: i32,
  total: i32,
  scale: f32,
  out: usize,
  scratch: usize,
): void {
  const rowBytes = <usize>headDim << 2;
  const tokenBytes = <usize>heads * rowBytes;
  const planeBytes = (<usize>capacity * headDim) << (type == 0 ? 2 : 1);
  const scoreBytes = <usize>rounded(total) << 2;
  const widened = scratch + <usize>QUERIES * scoreBytes;
  for (let head = begin; head < end; head++) {
    const plane = <usize>(head / (heads / kvHeads)) * planeBytes;
    for (let first = 0; first < n; first += QUERIES) {
      const group = min(QUERIES, n - first);
      const q = queries + <usize>first * tokenBytes + <usize>head * rowBytes;
      const o = out + <usize>first * tokenBytes + <usize>head * rowBytes;
      const seen = total - n + first + group; // by the last of the group
      for (let token = 0; token < seen; token += TILE) {
        const count = min(TILE, seen - token);
        const tile = tileOf(type, keys + plane, token, count, headDim, widened);
        const quads = (count + 3) & ~3; // rows past the end are in the plane: capacity is a multiple of 4
        let i = 0;
        for (; i + 2 <= group; i += 2)
          for (let j = 0; j < quads; j += 4)
            dots4x2(tile + <usize>j * rowBytes, q + <usize>i * tokenBytes, rowBytes, rowBytes, tokenBytes,
              scratch + <usize>i * scoreBytes + (<usize>(token + j) << 2), scoreBytes);
        if (i < group)
          for (let j = 0; j < quads; j += 4)
            dots4x1(tile + <usize>j * rowBytes, q + <usize>i * tokenBytes, rowBytes, rowBytes,
              scratch + <usize>i * scoreBytes + (<usize>(token + j) << 2));
      }
      const padded = (seen + 3) & ~3;
      for (let i = 0; i < group; i++) {
        const row = scratch + <usize>i * scoreBytes;
        for (let j: usize = 0; j < <usize>padded << 2; j += 16)
          v128.store(row + j, f32x4.mul(v128.load(row + j), f32x4.splat(scale)));
        softmax(row, seen - group + i + 1, padded);
        memory.fill(o + <usize>i * tokenBytes, 0, rowBytes);
      }
      for (let token = 0; token < seen; token += TILE) {
        const count = min(TILE, seen - token);
        const tile = tileOf(type, values + plane, token, count, headDim, widened);
        const weights = scratch + (<usize>token << 2);
        for (let i = 0; i < group; ) {
          const row = weights + <usize>i * scoreBytes;
          const to = o + <usize>i * tokenBytes;
          let c: usize = 0;
          if (i + 2 <= group) {
            for (; c + 64 <= rowBytes; c += 64) accumulate2(row, scoreBytes, tile + c, rowBytes, count, to + c, tokenBytes);
            for (; c < rowBytes; c += 16) {
              accumulate1(row, tile + c, rowBytes, count, to + c);
              accumulate1(row + scoreBytes, tile + c, rowBytes, count, to + tokenBytes + c);
            }
            i += 2;
          } else {
            for (; c < rowBytes; c += 16) accumulate1(row, tile + c, rowBytes, count, to + c);
            i += 1;
          }
        }
      }
    }
  }
}
