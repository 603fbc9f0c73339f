/**
 * Rotary position embedding as a described object (Su et al., arXiv 2104.09864): at position p pair i of a head turns by
 * the angle p·fᵢ,
 *
 *   (a, b) → (a·cos − b·sin, a·sin + b·cos),   fᵢ = θ^(−2i/dimensions), scaled
 *
 * Scaling changes frequencies only: `linear` divides all by the factor; `llama3` (Llama 3.1) those whose wavelength is
 * long against the original context, with a smooth passage; `yarn` (arXiv 2309.00071) those that turn less than `slow`
 * times in it, with a ramp up to `fast` times; `factors` are divisors pair by pair, as files give them (rope_freqs).
 * YaRN also lengthens queries and keys by a constant: no matter of angles, so not here (`yarnMagnitude`).
 *
 * Angles are on the bit path of centred caches, and engines' pow, cos and sin differ in last bits: roots, sines and cosines
 * here are f64 + − × ÷ in one order, so that every host has the same f32 table.
 */
import { assertInteger, assertOneOf } from "./check.js";

export const ROPE_PAIRINGS = ["adjacent", "half-split"] as const;
/** Pair i is (2i, 2i + 1), or (i, i + dimensions/2) (NeoX, Hugging Face). */
export type RopePairing = (typeof ROPE_PAIRINGS)[number];

export type RopeScaling =
  | { readonly type: "none" }
  | { readonly type: "linear"; readonly factor: number }
  | {
      readonly type: "llama3";
      readonly factor: number;
      readonly lowFrequency: number;
      readonly highFrequency: number;
      readonly originalContext: number;
    }
  | {
      readonly type: "yarn";
      readonly factor: number;
      readonly originalContext: number;
      /** Turns in the original context from which on a pair is left alone, and below which it is divided. */
      readonly fast: number;
      readonly slow: number;
    };

export interface Rope {
  readonly pairing: RopePairing;
  /** Values of a head that turn, the first ones; even. */
  readonly dimensions: number;
  readonly theta: number;
  readonly scaling: RopeScaling;
  /** (dimensions/2,): what each frequency is divided by besides. */
  readonly factors?: readonly number[];
}

const SCALING_TYPES = ["none", "linear", "llama3", "yarn"] as const;
/** Fields of each scaling, all positive numbers. */
const SCALING_FIELDS: Readonly<Record<string, readonly string[]>> = {
  none: [],
  linear: ["factor"],
  llama3: ["factor", "lowFrequency", "highFrequency", "originalContext"],
  yarn: ["factor", "originalContext", "fast", "slow"],
};

function assertPositive(value: unknown, name: string): asserts value is number {
  if (typeof value !== "number") throw new TypeError(`"${name}" expected a number, got ${typeof value}`);
  if (!(value > 0 && Number.isFinite(value)))
    throw new RangeError(`"${name}" expected a finite number above 0, got ${value}`);
}

/** A checked copy. dim: values of a head. @throws TypeError, RangeError. */
export function checkRope(rope: unknown, dim: number): Rope {
  if (typeof rope !== "object" || rope === null)
    throw new TypeError(`"rope" expected an object, got ${rope === null ? "null" : typeof rope}`);
  const { pairing, dimensions, theta, scaling = { type: "none" }, factors } = rope as Partial<Rope>;
  assertOneOf(pairing, "rope.pairing", ROPE_PAIRINGS);
  assertInteger(dimensions, "rope.dimensions", 2, dim);
  if (dimensions % 2 !== 0)
    throw new RangeError(`"rope.dimensions" expected an even number, got ${dimensions}`);
  assertPositive(theta, "rope.theta");
  if (theta < 1) throw new RangeError(`"rope.theta" expected at least 1, got ${theta}`);
  assertOneOf(scaling.type, "rope.scaling.type", SCALING_TYPES);
  const fields = SCALING_FIELDS[scaling.type]!;
  const given = scaling as Readonly<Record<string, unknown>>;
  for (const field of fields) assertPositive(given[field], `rope.scaling.${field}`);
  if (scaling.type === "llama3" && !(scaling.lowFrequency < scaling.highFrequency))
    throw new RangeError(
      `"rope.scaling.lowFrequency" expected below highFrequency ${scaling.highFrequency}, got ${scaling.lowFrequency}`,
    );
  if (factors !== undefined) {
    if (!Array.isArray(factors))
      throw new TypeError(`"rope.factors" expected an array, got ${typeof factors}`);
    if (factors.length !== dimensions / 2)
      throw new RangeError(`"rope.factors" expected ${dimensions / 2} numbers, got ${factors.length}`);
    factors.forEach((factor, i) => {
      assertPositive(factor, `rope.factors[${i}]`);
    });
  }
  return {
    pairing,
    dimensions,
    theta,
    scaling: Object.fromEntries(
      ["type", ...fields].map((field) => [field, given[field]]),
    ) as unknown as RopeScaling,
    ...(factors === undefined ? {} : { factors: [...factors] }),
  };
}

/** Indices of the two values of pair i. */
export const pairOf = ({ pairing, dimensions }: Rope, i: number): readonly [number, number] =>
  pairing === "adjacent" ? [2 * i, 2 * i + 1] : [i, i + dimensions / 2];

/** xⁿ by n − 1 multiplications. */
function power(x: number, n: number): number {
  let product = 1;
  for (let i = 0; i < n; i++) product *= x;
  return product;
}

/** The largest x ≥ 1 whose n-th power, by multiplication, is at most `value` ≥ 1. */
function root(value: number, n: number): number {
  let low = 1;
  let high = value;
  for (let step = 0; step < 1100; step++) {
    const middle = low + (high - low) / 2;
    if (middle === low || middle === high) break;
    if (power(middle, n) <= value) low = middle;
    else high = middle;
  }
  return power(high, n) <= value ? high : low;
}

/** Radians per position of each pair: (dimensions/2,). */
export function ropeFrequencies(rope: Rope): Float64Array {
  const { dimensions, theta, scaling, factors } = rope;
  const pairs = dimensions / 2;
  const base = root(theta, pairs);
  const raw = Float64Array.from({ length: pairs }, (_, i) => 1 / power(base, i));
  const scale = scalingOf(scaling, base, dimensions);
  return raw.map((f, i) => scale(f, i) / (factors?.[i] ?? 1));
}

const TURN = 2 * Math.PI;

function scalingOf(scaling: RopeScaling, base: number, dimensions: number): (f: number, i: number) => number {
  if (scaling.type === "none") return (f) => f;
  const { factor } = scaling;
  if (scaling.type === "linear") return (f) => f / factor;
  const turns = (f: number): number => (scaling.originalContext * f) / TURN;
  if (scaling.type === "llama3") {
    const { lowFrequency, highFrequency } = scaling;
    return (f) => {
      const share = (turns(f) - lowFrequency) / (highFrequency - lowFrequency);
      const kept = Math.min(1, Math.max(0, share));
      return (f / factor) * (1 - kept) + f * kept;
    };
  }
  // YaRN's ramp begins at the last pair that turns `fast` times and ends at the first that turns `slow` times at most;
  // pairs are counted on beyond those that there are.
  const last = dimensions - 1;
  let begin = 0;
  while (begin < last && turns(1 / power(base, begin + 1)) >= scaling.fast) begin++;
  let end = 0;
  while (end < last && turns(1 / power(base, end)) > scaling.slow) end++;
  const length = Math.max(0.001, end - begin);
  return (f, i) => {
    const divided = Math.min(1, Math.max(0, (i - begin) / length));
    return (f / factor) * divided + f * (1 - divided);
  };
}

/** What YaRN multiplies queries and keys by, unless the model says otherwise. */
export const yarnMagnitude = (factor: number): number => (factor <= 1 ? 1 : 0.1 * Math.log(factor) + 1);

/** π/2 in two parts: the first has 33 bits, so that its products with whole numbers below 2²⁰ are exact. */
const QUARTER = 1.5707963267341256;
const QUARTER_REST = 6.077100506506192e-11;

/** Taylor series of sine and cosine on |x| ≤ π/4, to 1e-16: 1, −1/3!, 1/5!, …; 1, −1/2!, 1/4!, … */
const series = (first: number): readonly number[] => {
  const terms = [1];
  for (let n = first; terms.length < 10; n += 2) terms.push(-terms.at(-1)! / (n * (n + 1)));
  return terms.reverse();
};
const SINE = series(2);
const COSINE = series(1);
const sum = (terms: readonly number[], x: number): number => terms.reduce((acc, term) => acc * x + term, 0);

/** out[at], out[at + 1] ← cosine, sine of `angle`, |angle| < 2²⁰. */
export function putTurn(angle: number, out: Float64Array, at: number): void {
  const quarters = Math.round(angle / QUARTER);
  const x = angle - quarters * QUARTER - quarters * QUARTER_REST;
  const s = x * sum(SINE, x * x);
  const c = sum(COSINE, x * x);
  const quadrant = quarters & 3;
  out[at] = quadrant === 0 ? c : quadrant === 1 ? -s : quadrant === 2 ? -c : s;
  out[at + 1] = quadrant === 0 ? s : quadrant === 1 ? c : quadrant === 2 ? -s : -c;
}

/** Positions below this can be turned. */
export const MOST_POSITIONS = 1 << 20;
const BLOCK = 128;

/**
 * cos and sin of every pair, position by position: f64 products of the turn of a block of 128 positions and that of the
 * position in it, rounded once to f32.
 */
export class Turns {
  readonly rope: Rope;
  readonly frequencies: Float64Array;
  /** (BLOCK, pairs, 2): turns of 0 … BLOCK − 1 positions. */
  readonly #within: Float64Array;
  /** Turn of the block that was asked for last. */
  readonly #block: Float64Array;
  #at = -1;

  constructor(rope: Rope) {
    this.rope = rope;
    this.frequencies = ropeFrequencies(rope);
    const pairs = this.frequencies.length;
    this.#within = new Float64Array(BLOCK * pairs * 2);
    this.#block = new Float64Array(pairs * 2);
    for (let p = 0; p < BLOCK; p++) this.#fill(p, this.#within, p * pairs * 2);
  }

  /** position ≤ MOST_POSITIONS → out: (pairs, 2) cos, sin. */
  put(position: number, out: Float32Array): void {
    const within = position % BLOCK;
    if (this.#at !== position - within) {
      this.#at = position - within;
      this.#fill(this.#at, this.#block, 0);
    }
    const block = this.#block;
    const inner = this.#within;
    let at = within * out.length;
    for (let i = 0; i < out.length; i += 2, at += 2) {
      const c = block[i]!;
      const s = block[i + 1]!;
      const d = inner[at]!;
      const t = inner[at + 1]!;
      out[i] = c * d - s * t;
      out[i + 1] = s * d + c * t;
    }
  }

  #fill(position: number, out: Float64Array, at: number): void {
    const { frequencies } = this;
    for (let i = 0; i < frequencies.length; i++) putTurn(position * frequencies[i]!, out, at + 2 * i);
  }
}
