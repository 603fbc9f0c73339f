/**
 * ⟨query, key⟩ over one row of ggml blocks (q8_0: fp16 d + 32 int8; q4_0: fp16 d + 16 bytes, element i in the low
 * nibble of byte i, element i + 16 in the high one): per block the sum of query · code in four lanes, joined, times d;
 * blocks added in order. The engines quantise the query as well; here it stays f32 (DEVIATION, more exact).
 */
import { fromF16 } from "../core/float.js";

const { fround } = Math;
const lane = new Float32Array(4);

const joined = (): number => fround(fround(lane[0]! + lane[2]!) + fround(lane[1]! + lane[3]!));

/** query: (n·32,), row: n blocks of 34 bytes. */
export function dotQ8Row(query: Float32Array, row: Uint8Array): number {
  let sum = 0;
  for (let at = 0, from = 0; at < row.length; at += 34, from += 32) {
    lane.fill(0);
    for (let i = 0; i < 32; i++) lane[i & 3]! += fround(query[from + i]! * ((row[at + 2 + i]! << 24) >> 24));
    sum = fround(sum + fround(joined() * fromF16(row[at]! | (row[at + 1]! << 8))));
  }
  return sum;
}

/** query: (n·32,), row: n blocks of 18 bytes. */
export function dotQ4Row(query: Float32Array, row: Uint8Array): number {
  let sum = 0;
  for (let at = 0, from = 0; at < row.length; at += 18, from += 32) {
    lane.fill(0);
    for (let i = 0; i < 32; i++) {
      const byte = row[at + 2 + (i & 15)]!;
      const code = (i < 16 ? byte & 15 : byte >> 4) - 8;
      lane[i & 3]! += fround(query[from + i]! * code);
    }
    sum = fround(sum + fround(joined() * fromF16(row[at]! | (row[at + 1]! << 8))));
  }
  return sum;
}
