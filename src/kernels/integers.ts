/**
 * Scores and sums by integers: levels as integers up to ±8191, queries and weights as sixteen-bit integers whose
 * magnitudes sum to no more than 262,000, so that any sum of products fits 32 bits and is exact.
 *
 *   c_j = round(level_j · 8191 / max|level|)      x_i = round(x · s),  s = min(32767 / max|x|, 262000 / Σ|x|)
 *   ⟨x, levels⟩ ≈ Σ c x · (max|level| / 8191) / s
 *
 * Values may be summed with levels of one byte (byte-levels.ts) as well: c_j = 256 n_j, and 65,900 for 262,000.
 *
 * Values are summed in blocks of up to 128 tokens, of which weights times stored scales are the x; a block whose |x| sum to
 * 1e-30 or less is left out, one whose sum is not finite makes NaN. A weight of exactly 0 adds nothing, whatever the
 * scale. Relative error 1.5e-4 of scores, 2e-4 of sums, and that of the levels where they are of one byte.
 *
 * Sums lie as lookups find them: kernels read sixteen bytes of a row (the last sixteen may overlap those before), in
 * passes of two codes of each byte, one in the low and one in the high nibbles.
 */
import { BYTE_STEP, byteLevels } from "./byte-levels.js";
import { clampedInteger, LEAST } from "./tables.js";

const { fround } = Math;

export const LARGEST = 8191;
const MOST_SUM = 262000;
/** The same for levels of one byte: 127 · 256 times it, and 128 roundings, fit 31 bits. */
const MOST_BYTE_SUM = 65900;

/** Bytes that hold a whole number of codes, and the codes in them. */
const groupBytes = (bits: number): number => (bits === 3 ? 3 : 1);
const groupCodes = (bits: number): number => (bits === 3 ? 8 : 8 / bits);

/** For each pass over a group: which codes low and high nibbles have. */
function passes(bits: number): [low: number, high: number][] {
  const half = groupCodes(bits) / 2;
  return Array.from({ length: half }, (_, p) => (bits >= 3 ? [2 * p, 2 * p + 1] : [p, p + half]));
}

/** Coordinates of a vector of n codes in the order in which keys are looked up. */
export function keyOrder(bits: number, n: number): number[] {
  const order: number[] = [];
  for (let g = 0; g < n; g += groupCodes(bits))
    for (const [low, high] of passes(bits)) order.push(g + low, g + high);
  return order;
}

/** The coordinate of each sum of values; −1 where there is none. */
export function sumOrder(bits: number, n: number): number[] {
  const plane = (n * bits) / 8 / groupBytes(bits);
  const order: number[] = [];
  for (let piece = 0; piece < plane; piece += 16)
    for (const pair of passes(bits))
      for (const code of pair)
        for (let lane = 0; lane < 16; lane++) {
          const byte = Math.min(piece, plane - 16) + lane;
          order.push(byte < 0 ? -1 : byte * groupCodes(bits) + code);
        }
  return order;
}

/** f32 of the sums of a vector of n codes. */
export const sumFloats = (bits: number, n: number): number =>
  Math.ceil((n * bits) / 8 / groupBytes(bits) / 16) * passes(bits).length * 32;

const largest = (levels: Float32Array): number => levels.reduce((most, x) => Math.max(most, Math.abs(x)), 0);

export function integerLevels(levels: Float32Array): Int16Array {
  const most = largest(levels);
  const scale = most > 0 ? fround(LARGEST / most) : 0;
  return Int16Array.from(levels, (x) => clampedInteger(fround(x * scale), -32768, 32767));
}

/** What a level's integers are multiples of. */
export const integerUnit = (levels: Float32Array): number => fround(largest(levels) / LARGEST);

interface Magnitudes {
  readonly most: number;
  readonly sum: number;
}

/** Largest and sum of |x|, in lanes. x: (4k,). */
function magnitudes(x: Float32Array): Magnitudes {
  const lanes = new Float32Array(4);
  let most = 0;
  for (let i = 0; i < x.length; i++) {
    const a = Math.abs(x[i]!);
    most = Math.max(most, a);
    lanes[i & 3]! += a;
  }
  return { most, sum: fround(fround(lanes[0]! + lanes[2]!) + fround(lanes[1]! + lanes[3]!)) };
}

const scaleOf = ({ most, sum }: Magnitudes, mostSum: number): number =>
  Math.min(fround(32767 / most), fround(mostSum / sum));

const toIntegers = (x: Float32Array, scale: number): Int16Array =>
  Int16Array.from(x, (v) => clampedInteger(fround(v * scale), -32768, 32767));

/** A query as integers, and what their products with integer levels are multiples of. x: (n,). */
export function integerQuery(levels: Float32Array, x: Float32Array): { step: number; values: Int16Array } {
  const size = magnitudes(x);
  if (!(size.sum > LEAST && size.sum < Number.POSITIVE_INFINITY))
    return { step: size.sum <= LEAST ? 0 : Number.NaN, values: toIntegers(x, 0) };
  const scale = scaleOf(size, MOST_SUM);
  return { step: fround(integerUnit(levels) / scale), values: toIntegers(x, scale) };
}

/** The levels of a sketch's bits. */
export const SIGN_LEVELS = Float32Array.of(-1, 1);

/** Bytes of an integer level: what sums of values are looked up in. */
export type LevelBytes = 1 | 2;

/** Integer levels for sums of values, and what they are multiples of. */
export function levelsForSums(levels: Float32Array, bytes: LevelBytes): { unit: number; values: Int16Array } {
  if (bytes === 2) return { unit: integerUnit(levels), values: integerLevels(levels) };
  const { unit, values } = byteLevels(levels);
  return { unit, values: Int16Array.from(values, (n) => BYTE_STEP * n) };
}

/**
 * Weights of a block as integers with the factor of its sums; "skip" for a block that adds nothing, NaN for one that is
 * not finite. products: (tokens,) weights times scales; unit: what levels are multiples of.
 */
export function integerWeights(
  products: Float32Array,
  unit: number,
  bytes: LevelBytes,
): { factor: number; values: Int16Array } | "skip" | "nan" {
  const size = magnitudes(products);
  if (size.sum <= LEAST) return "skip";
  if (!(size.sum < Number.POSITIVE_INFINITY)) return "nan";
  const scale = scaleOf(size, bytes === 1 ? MOST_BYTE_SUM : MOST_SUM);
  return { factor: fround(unit / scale), values: toIntegers(products, scale) };
}
