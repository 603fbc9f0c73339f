/**
 * Scores by lookup: the products of a query with the levels of a code, rounded to integers, in tables of sixteen entries,
 * one for a nibble of codes: one code of 3 or 4 bits, two of 2 bits, four of 1 bit (code i of it at bit i · bits).
 *
 *   8 bits    T[j] = round((p_j − min p) / step), step = (largest range of a table) / 255
 *             score = (Σ T · step + Σ min p) · scale; at most 257 tables, so that a sum fits sixteen bits
 *             4 bits: coordinates of the query above 2.25 times its rms are halved and looked up twice, where they are at
 *             most 16 and none is above 4.5 times; so the step does not depend on the largest one
 *   16 bits   T[j] = round(p_j / step), step = (largest Σ max|p| of 64 tables in a row) / 32700
 *             score = Σ T · step · scale; no 64 entries can overflow sixteen bits, whatever the codes
 *
 * Error against exact products, relative to the rms score of Gaussian queries and keys at dim 128: 8 bits 1.5e-2 at 4 bits
 * (1.3e-2, 9e-3, 6e-3 at 3, 2, 1), 16 bits 1.4e-3 (1.1e-3, 1.1e-3, 5e-4). Below 4 bits it grows with the largest coordinate
 * of the rotated query over its rms. Integer sums are exact, so no order is part of the definition but that of Σ min p, which
 * runs in lanes (table mod 4).
 */
const { fround } = Math;

/** Tables whose sum stays in sixteen bits. */
export const SPAN = 64;
/** 32767 less the roundings of a span. */
const MOST = 32700;
/** Ranges and sums up to this count as 0: what is divided by them stays finite. */
export const LEAST = fround(1e-30);

export const codesPerTable = (bits: number): number => (bits >= 3 ? 1 : 4 >> (bits - 1));

/** Coordinates that may be looked up twice. */
export const MOST_TWICE = 16;
const listsTwice = (bits: number, entryBytes: 1 | 2): boolean => bits === 4 && entryBytes === 1;

/** Prepared tables: bytes of header and tables, each of one or two bytes an entry, and of coordinates looked up twice. */
export const tableBytes = (n: number, bits: number, entryBytes: 1 | 2): number =>
  16 + (n / codesPerTable(bits)) * 16 * entryBytes + (listsTwice(bits, entryBytes) ? MOST_TWICE : 0);

/** Nearest integer, ties to even. */
export function nearest(x: number): number {
  const r = Math.round(x);
  return Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : r;
}
/** The nearest integer from low to high; 0 for NaN. */
export const clampedInteger = (x: number, low: number, high: number): number =>
  Number.isNaN(x) ? 0 : Math.min(high, Math.max(low, nearest(x)));

/** The smallest or largest entry of a table of the codes from x[at] on. */
function end(
  x: Float32Array,
  at: number,
  per: number,
  low: number,
  high: number,
  pick: (a: number, b: number) => number,
): number {
  let sum = 0;
  for (let k = 0; k < per; k++) {
    const e = pick(fround(x[at + k]! * low), fround(x[at + k]! * high));
    sum = k === 0 ? e : fround(sum + e);
  }
  return sum;
}

function entry(x: Float32Array, at: number, bits: number, levels: Float32Array, j: number): number {
  let p = 0;
  for (let k = 0; k < codesPerTable(bits); k++) {
    const product = fround(x[at + k]! * levels[(j >> (k * bits)) & ((1 << bits) - 1)]!);
    p = k === 0 ? product : fround(p + product);
  }
  return p;
}

/** Coordinates above 2.25 times the rms of x: where looking them up twice, halved, is enough; else none. */
export function lookedUpTwice(x: Float32Array): number[] {
  const lanes = new Float32Array(4);
  x.forEach((v, i) => {
    lanes[i & 3]! += fround(v * v);
  });
  const squares = fround(fround(lanes[0]! + lanes[2]!) + fround(lanes[1]! + lanes[3]!));
  const limit = fround(fround(2.25) * fround(Math.sqrt(fround(squares / x.length))));
  const above = [...x.keys()].filter((i) => Math.abs(x[i]!) > limit);
  const enough = above.length <= MOST_TWICE && above.every((i) => Math.abs(x[i]!) <= fround(2 * limit));
  return enough ? above : [];
}

/**
 * out: tableBytes(n, bits, 1): step f32, Σ min f32, coordinates looked up twice u32, 4 bytes; the tables; with 4 bits those
 * coordinates, u8 each.
 */
export function makeTables8(levels: Float32Array, bits: number, query: Float32Array, out: Uint8Array): void {
  const per = codesPerTable(bits);
  const low = levels.reduce((a, b) => Math.min(a, b));
  const high = levels.reduce((a, b) => Math.max(a, b));
  const twice = listsTwice(bits, 1) ? lookedUpTwice(query) : [];
  const x = query.slice();
  for (const i of twice) x[i]! *= 0.5;
  const smallest = new Float32Array(x.length / per);
  const lanes = new Float32Array(4);
  let widest = 0;
  for (let t = 0; t < smallest.length; t++) {
    smallest[t] = end(x, t * per, per, low, high, Math.min);
    widest = Math.max(widest, fround(end(x, t * per, per, low, high, Math.max) - smallest[t]!));
    lanes[t & 3]! += smallest[t]!;
  }
  const once = fround(fround(lanes[0]! + lanes[2]!) + fround(lanes[1]! + lanes[3]!));
  const bias = twice.reduce((sum, i) => fround(sum + smallest[i]!), once);
  setFloats(out, [fround(widest / 255), bias]);
  new DataView(out.buffer, out.byteOffset).setUint32(8, twice.length, true);
  out.set(twice, 16 + 16 * smallest.length);
  const scale = widest > LEAST ? fround(255 / widest) : 0;
  for (let t = 0; t < smallest.length; t++)
    for (let j = 0; j < 16; j++) {
      const above = fround(entry(x, t * per, bits, levels, j) - smallest[t]!);
      out[16 + 16 * t + j] = clampedInteger(fround(above * scale), 0, 255);
    }
}

/** out: tableBytes(n, bits, 2): step f32, 12 bytes; then for each table the low bytes, the high bytes. */
export function makeTables16(levels: Float32Array, bits: number, x: Float32Array, out: Uint8Array): void {
  const per = codesPerTable(bits);
  const low = levels.reduce((a, b) => Math.min(a, b));
  const high = levels.reduce((a, b) => Math.max(a, b));
  const tables = x.length / per;
  let widest = 0;
  for (let from = 0; from < tables; from += SPAN) {
    let sum = 0;
    for (let t = from; t < Math.min(tables, from + SPAN); t++) {
      const [a, b] = [end(x, t * per, per, low, high, Math.min), end(x, t * per, per, low, high, Math.max)];
      sum = fround(sum + Math.max(-a, b));
    }
    widest = Math.max(widest, sum);
  }
  setFloats(out, [fround(widest / MOST)]);
  const scale = widest > LEAST ? fround(MOST / widest) : 0;
  for (let t = 0; t < tables; t++)
    for (let j = 0; j < 16; j++) {
      const value = clampedInteger(fround(entry(x, t * per, bits, levels, j) * scale), -32768, 32767);
      out[16 + 32 * t + j] = value;
      out[16 + 32 * t + 16 + j] = value >> 8;
    }
}

/** (Σ T · step + bias), before the scale. codes: (n,) of a vector. */
export function sumTables(codes: Uint8Array, bits: number, entryBytes: 1 | 2, tables: Uint8Array): number {
  const per = codesPerTable(bits);
  const view = new DataView(tables.buffer, tables.byteOffset);
  let sum = 0;
  const twice = listsTwice(bits, entryBytes) ? view.getUint32(8, true) : 0;
  for (let i = 0; i < twice; i++) {
    const t = tables[16 + 16 * codes.length + i]!;
    sum += tables[16 + 16 * t + codes[t]!]!;
  }
  for (let t = 0; t < codes.length / per; t++) {
    let j = 0;
    for (let k = 0; k < per; k++) j |= codes[t * per + k]! << (k * bits);
    const at = 16 + 16 * entryBytes * t + j;
    sum += entryBytes === 1 ? tables[at]! : (view.getInt8(at + 16) << 8) | tables[at]!;
  }
  const bias = entryBytes === 1 ? view.getFloat32(4, true) : 0;
  return fround(fround(sum * view.getFloat32(0, true)) + bias);
}

export function setFloats(bytes: Uint8Array, values: readonly number[]): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  values.forEach((value, i) => {
    view.setFloat32(4 * i, value, true);
  });
}
