/**
 * ⟨q, R_p μ⟩ for runs of positions, without the key's bytes: with the pairs of q and μ as complex numbers it is
 *
 *   s(p) = Re Σ a_i e^(j f_i p) + rest,   a_i = conj(q_i) μ_i,   rest = what does not turn
 *
 * a sum of waves that one query fixes. Positions are taken in spans of SPAN tokens, seen from the middle: with
 * b_i = a_i e^(j f_i middle) and τ = ±1/2, ±3/2, …
 *
 *   s(middle ± τ) = C(τ) ∓ S(τ),   C = Σ Re b_i cos f_i τ,   S = Σ Im b_i sin f_i τ
 *
 * so that one sum serves two tokens. Pairs that turn less than SMOOTH radians from the middle of a span to its end are
 * not summed token by token: cos f τ ≈ α₀ + α₂ τ², sin f τ ≈ β₁ τ + β₃ τ³, interpolated at Chebyshev's nodes, and it
 * suffices to sum the four coefficients. That is the only approximation besides f32 rounding: an error of at most
 * |a_i| (f_i τ)⁴/192 for the worst τ, which `waveError` gives exactly; with SMOOTH = .4 below 1.4e-4 |a_i|, and for
 * most pairs, which turn slower, far less.
 *
 * DEVIATION: other than R_p μ itself (centring.ts: `turnMean`) this is not the definition of the score but within that
 * bound of it; attention uses it unless exact offsets are asked for.
 */
import { dot } from "./float.js";
import { pairOf, putTurn, type Rope, ropeFrequencies } from "./rope.js";

const { fround } = Math;

/** Tokens of a span, counted from position 0. */
export const SPAN = 32;
const HALF = SPAN / 2;
/** Radians from the middle of a span to its last token up to which a pair counts as smooth. */
const SMOOTH = 0.4;

export interface Waves {
  readonly rope: Rope;
  readonly frequencies: Float64Array;
  /** Pairs in the order of the tables: those that are summed, then the smooth ones. */
  readonly order: readonly number[];
  /** How many are summed, and channels of all tables: a multiple of 4, zeros at the end. */
  readonly summed: number;
  readonly channels: number;
  /** (summed, 2, HALF): cos and sin of f τ. */
  readonly table: Float32Array;
  /** (channels − summed, 4): α₀, β₁, α₂, β₃. */
  readonly smooth: Float32Array;
  /** (channels − summed,): largest error of a smooth pair over |a|. */
  readonly errors: Float64Array;
}

const tau = (k: number): number => k + 0.5;

export function createWaves(rope: Rope): Waves {
  const frequencies = ropeFrequencies(rope);
  const pairs = Array.from(frequencies.keys());
  const isSmooth = (i: number): boolean => frequencies[i]! * tau(HALF - 1) <= SMOOTH;
  const fast = pairs.filter((i) => !isSmooth(i));
  const order = [...fast, ...pairs.filter(isSmooth)];
  const channels = Math.ceil(order.length / 4) * 4;
  const table = new Float32Array(fast.length * 2 * HALF);
  const turn = new Float64Array(2);
  fast.forEach((i, n) => {
    for (let k = 0; k < HALF; k++) {
      putTurn(frequencies[i]! * tau(k), turn, 0);
      table[2 * n * HALF + k] = turn[0]!;
      table[(2 * n + 1) * HALF + k] = turn[1]!;
    }
  });
  const smooth = new Float32Array((channels - fast.length) * 4);
  const errors = new Float64Array(channels - fast.length);
  order.slice(fast.length).forEach((i, n) => {
    const coefficients = smoothWave(frequencies[i]!);
    smooth.set(coefficients, 4 * n);
    errors[n] = smoothError(frequencies[i]!, coefficients);
  });
  return { rope, frequencies, order, summed: fast.length, channels, table, smooth, errors };
}

/** cos f τ and sin f τ / τ as lines in τ², through Chebyshev's two nodes of 0 … τ² of the last token. */
function smoothWave(f: number): readonly [number, number, number, number] {
  const most = tau(HALF - 1) ** 2;
  const nodes = [(1 - Math.SQRT1_2) / 2, (1 + Math.SQRT1_2) / 2].map((share) => share * most);
  const turn = new Float64Array(2);
  const [low, high] = nodes.map((square) => {
    const t = Math.sqrt(square);
    putTurn(f * t, turn, 0);
    return { square, cosine: turn[0]!, sine: turn[1]! / t };
  });
  const width = high!.square - low!.square;
  const even = (high!.cosine - low!.cosine) / width;
  const odd = (high!.sine - low!.sine) / width;
  return [low!.cosine - even * low!.square, low!.sine - odd * low!.square, even, odd];
}

function smoothError(f: number, [a0, b1, a2, b3]: readonly [number, number, number, number]): number {
  const turn = new Float64Array(2);
  let most = 0;
  for (let k = 0; k < HALF; k++) {
    const t = tau(k);
    putTurn(f * t, turn, 0);
    most = Math.max(most, Math.hypot(turn[0]! - a0 - a2 * t * t, turn[1]! - b1 * t - b3 * t ** 3));
  }
  return most;
}

/** Numbers of one query and one mean: Re a (channels), Im a (channels), rest. */
export const waveFloats = ({ channels }: Waves): number => 2 * channels + 1;

/** query, mean: (dim,) → out: (waveFloats,). */
export function putWave(waves: Waves, query: Float32Array, mean: Float32Array, out: Float32Array): void {
  const { rope, order, channels } = waves;
  out.fill(0);
  order.forEach((i, n) => {
    const [x, y] = pairOf(rope, i);
    out[n] = fround(query[x]! * mean[x]!) + fround(query[y]! * mean[y]!);
    out[channels + n] = fround(query[x]! * mean[y]!) - fround(query[y]! * mean[x]!);
  });
  out[2 * channels] = dot(query.subarray(rope.dimensions), mean.subarray(rope.dimensions));
}

/** Turn of the middle of span `span` → out: cos (channels), sin (channels). */
export function putSpanTurn({ frequencies, order, channels }: Waves, span: number, out: Float32Array): void {
  const turn = new Float64Array(2);
  out.fill(0);
  order.forEach((i, n) => {
    putTurn((span * SPAN + HALF - 0.5) * frequencies[i]!, turn, 0);
    out[n] = turn[0]!;
    out[channels + n] = turn[1]!;
  });
}

/** Largest error of the sum of waves, besides rounding. wave: of putWave. */
export function waveError({ summed, channels, errors }: Waves, wave: Float32Array): number {
  let sum = 0;
  for (let n = summed; n < channels; n++)
    sum += errors[n - summed]! * Math.hypot(wave[n]!, wave[channels + n]!);
  return sum;
}

/** s of the SPAN positions of a span. wave: of putWave; turn: of putSpanTurn; b: (2·channels,) of working space. */
export function sumWaves(
  { summed, channels, table, smooth }: Pick<Waves, "summed" | "channels" | "table" | "smooth">,
  wave: Float32Array,
  turn: Float32Array,
  b: Float32Array,
  out: Float32Array,
): void {
  for (let n = 0; n < channels; n++) {
    const [re, im, c, s] = [wave[n]!, wave[channels + n]!, turn[n]!, turn[channels + n]!];
    b[2 * n] = fround(re * c) - fround(im * s);
    b[2 * n + 1] = fround(re * s) + fround(im * c);
  }
  const coefficients = Float32Array.of(wave[2 * channels]!, 0, 0, 0);
  for (let n = summed; n < channels; n++)
    for (let lane = 0; lane < 4; lane++)
      coefficients[lane]! += fround(b[2 * n + (lane & 1)]! * smooth[4 * (n - summed) + lane]!);
  const [a0, b1, a2, b3] = coefficients;
  for (let k = 0; k < HALF; k++) {
    const t = tau(k);
    const square = t * t; // exact
    let cosines = fround(a0! + fround(a2! * square));
    let sines = fround(t * fround(b1! + fround(b3! * square)));
    for (let n = 0; n < summed; n++) {
      cosines = fround(cosines + fround(b[2 * n]! * table[2 * n * HALF + k]!));
      sines = fround(sines + fround(b[2 * n + 1]! * table[(2 * n + 1) * HALF + k]!));
    }
    out[HALF + k] = cosines - sines;
    out[HALF - 1 - k] = cosines + sines;
  }
}
