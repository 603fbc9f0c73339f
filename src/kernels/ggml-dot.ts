/**
 * ⟨query, key⟩ over rows of ggml blocks (q8_0: fp16 d + 32 int8; q4_0: fp16 d + 16 bytes, element i in the low nibble of
 * byte i, element i + 16 in the high one): what turbo scores are compared with. The query as integers of sixteen bits,
 * step = max|q| / 32767; per block exact sums in four lanes (lane j has elements 2j, 2j + 1 of every eight), times d, blocks
 * added in order; at last the lanes joined, times the step. The engines quantise the query to eight bits, a block at a time
 * (DEVIATION, more exact).
 */
import { fromF16 } from "../core/float.js";
import { clampedInteger, LEAST } from "./tables.js";

const { fround } = Math;

/** A query as both kinds of rows take it. */
export interface GgmlQuery {
  readonly step: number;
  readonly values: Int16Array;
}

export function ggmlQuery(query: Float32Array): GgmlQuery {
  const most = query.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  const usual = most > LEAST && most < Number.POSITIVE_INFINITY;
  const scale = usual ? fround(32767 / most) : 0;
  return {
    step: usual ? fround(most / 32767) : most <= LEAST ? 0 : Number.NaN,
    values: Int16Array.from(query, (x) => clampedInteger(fround(x * scale), -32768, 32767)),
  };
}

function dotRow(
  { step, values }: GgmlQuery,
  row: Uint8Array,
  blockBytes: number,
  code: (block: number, i: number) => number,
): number {
  const acc = new Float32Array(4);
  const sums = new Int32Array(4);
  for (let at = 0, from = 0; at < row.length; at += blockBytes, from += 32) {
    sums.fill(0);
    for (let i = 0; i < 32; i++) sums[(i >> 1) & 3]! += values[from + i]! * code(at, i);
    const d = fromF16(row[at]! | (row[at + 1]! << 8));
    for (let j = 0; j < 4; j++) acc[j]! += fround(fround(sums[j]!) * d);
  }
  return fround(fround(fround(acc[0]! + acc[2]!) + fround(acc[1]! + acc[3]!)) * step);
}

/** row: blocks of 34 bytes, as many as the query has 32 values. */
export const dotQ8Row = (query: GgmlQuery, row: Uint8Array): number =>
  dotRow(query, row, 34, (at, i) => (row[at + 2 + i]! << 24) >> 24);

/** row: blocks of 18 bytes. */
export const dotQ4Row = (query: GgmlQuery, row: Uint8Array): number =>
  dotRow(query, row, 18, (at, i) => {
    const byte = row[at + 2 + (i & 15)]!;
    return (i < 16 ? byte & 15 : byte >> 4) - 8;
  });
