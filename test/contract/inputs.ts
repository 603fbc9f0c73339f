/** Vectors and packed rows that are meant to separate two implementations: every kind that has ever gone wrong. */
import { F16_OVERFLOW } from "../../src/core/float.js";
import { type RandomStream, randomStream } from "../../src/core/random.js";
import type { VectorLayout } from "../../src/kernels/plan.js";

const SPECIAL = [
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  0,
  -0,
  1e-45,
  -1e-45,
  1.1754942e-38, // largest denormal
  1.17549435e-38,
  3.4e38,
  -3.4e38,
  F16_OVERFLOW,
  65519.996,
  6e-8,
  1,
  -1,
];

type Fill = (row: Float32Array, s: RandomStream, index: number) => void;
const pick = <T>(s: RandomStream, from: readonly T[]): T => from[s.uint32() % from.length]!;
const each = (row: Float32Array, value: (i: number) => number): void => {
  for (let i = 0; i < row.length; i++) row[i] = value(i);
};
const eachBits = (row: Float32Array, bits: () => number): void => {
  const words = new Uint32Array(row.buffer, row.byteOffset, row.length);
  for (let i = 0; i < words.length; i++) words[i] = bits();
};
const normals =
  (scale: (s: RandomStream) => number): Fill =>
  (row, s) => {
    const by = scale(s);
    each(row, () => s.normal() * by);
  };

/** One vector in turn of each kind; kinds that matter most come more than once. */
const KINDS: readonly Fill[] = [
  normals(() => 1),
  normals((s) => 10 ** (s.uniform() * 88 - 44)),
  (row, s) => each(row, () => pick(s, SPECIAL)),
  (row, s) =>
    row
      .fill(0)
      .fill(s.normal(), 0, 0)
      .set([s.normal()], s.uint32() % row.length),
  (row, s) => row.fill(s.normal()),
  (row, s) => {
    const walsh = s.uint32() % row.length;
    const scale = 2 ** ((s.uint32() % 40) - 20);
    each(row, (i) => (parity(i & walsh) ? -scale : scale));
  },
  (row, s) => eachBits(row, () => s.uint32()),
  (row, _, index) => each(row, (i) => ((index * 37 + i) % 251) + 1), // every lane different
  normals(() => 1),
  (row, s) => eachBits(row, () => s.uint32() & 0x807fffff), // denormals
  (row, s) => each(row, () => (s.uint32() & 1 ? 0 : -0)),
  (row, s) => each(row, () => s.normal() + (s.uint32() % 64 === 0 ? pick(s, SPECIAL) : 0)),
  (row, s) => each(row, () => (s.uint32() & 1 ? 3.4e38 : -3.4e38)),
  normals((s) => pick(s, [3000, 5790, 6000, 65504])), // the scale about to overflow a half
  normals((s) => 2 ** -(s.uint32() % 30)), // down to where a half is subnormal and 0
  (row, s) => {
    each(row, () => s.normal());
    row[s.uint32() % row.length] = pick(s, SPECIAL);
  },
];

function parity(bits: number): number {
  let p = 0;
  for (let b = bits; b !== 0; b >>>= 1) p ^= b & 1;
  return p;
}

/** rows vectors of dim values; `seed` names them in a failure. */
export function trickyVectors(rows: number, dim: number, seed: number): Float32Array {
  const stream = randomStream(seed, "vectors");
  const x = new Float32Array(rows * dim);
  for (let r = 0; r < rows; r++)
    KINDS[r % KINDS.length]!(x.subarray(r * dim, (r + 1) * dim), stream, seed + r);
  return x;
}

/** n random f32 without the extremes: sums over them stay informative. */
export function plainVectors(rows: number, dim: number, seed: number): Float32Array {
  const stream = randomStream(seed, "plain");
  return Float32Array.from({ length: rows * dim }, () => stream.normal());
}

/** Random bytes. */
export function randomBytes(n: number, seed: number): Uint8Array {
  const stream = randomStream(seed, "bytes");
  const words = Uint32Array.from({ length: Math.ceil(n / 4) }, () => stream.uint32());
  return new Uint8Array(words.buffer, 0, n);
}

/** Packed rows: random in every bit, the halves finite unless `wild`. */
export function packedRows(rows: number, layout: VectorLayout, seed: number, wild: boolean): Uint8Array {
  const bytes = randomBytes(rows * layout.stride, seed);
  if (wild) return bytes;
  for (let r = 0; r < rows; r++)
    for (let at = 1; at < layout.codesAt; at += 2) bytes[r * layout.stride + at]! &= 0xbf;
  return bytes;
}
