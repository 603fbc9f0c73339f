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
 * not summed token by token: cos f τ ≈ α₀ + α₂ τ² + α₄ τ⁴, sin f τ ≈ β₁ τ + β₃ τ³ + β₅ τ⁵, interpolated at Chebyshev's
 * nodes, and it suffices to sum the six coefficients. That is the only approximation besides f32 rounding: an error of
 * about |a_i| (f_i τ)⁶/23040 for the worst τ, which `waveError` gives exactly; with SMOOTH = .8 at most 1.2e-5 |a_i| for the
 * fastest such pair, and for most, which turn slower, far less: over all pairs about what rounding is.
 *
 * So attention's share of the mean is R_p μ's of centring.ts but for roundings, and reads no table of positions.
 */
import { dot } from "./float.js";
import { pairOf, putTurn, type Rope, ropeFrequencies } from "./rope.js";

const { fround } = Math;

/** Tokens of a span, counted from position 0. */
export const SPAN = 32;
const HALF = SPAN / 2;
/** Radians from the middle of a span to its last token up to which a pair counts as smooth. */
const SMOOTH = 0.8;

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
  /** (channels − summed, 8): α₀, β₁, α₂, β₃, α₄, β₅, 0, 0. */
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
  const smooth = new Float32Array((channels - fast.length) * 8);
  const errors = new Float64Array(channels - fast.length);
  order.slice(fast.length).forEach((i, n) => {
    const coefficients = smoothWave(frequencies[i]!);
    smooth.set(coefficients, 8 * n);
    errors[n] = smoothError(frequencies[i]!, coefficients);
  });
  return { rope, frequencies, order, summed: fast.length, channels, table, smooth, errors };
}

/** α₀, β₁, α₂, β₃, α₄, β₅. */
type Coefficients = readonly [number, number, number, number, number, number];

/** cos f τ and sin f τ / τ as parabolas in τ², through Chebyshev's three nodes of 0 … τ² of the last token. */
function smoothWave(f: number): Coefficients {
  const most = tau(HALF - 1) ** 2;
  const off = Math.sqrt(3) / 2;
  const squares = [(1 - off) / 2, 1 / 2, (1 + off) / 2].map((share) => share * most);
  const turn = new Float64Array(2);
  const waves = squares.map((square) => {
    putTurn(f * Math.sqrt(square), turn, 0);
    return [turn[0]!, turn[1]! / Math.sqrt(square)] as const;
  });
  const [even, odd] = ([0, 1] as const).map((part) =>
    parabola(
      squares,
      waves.map((wave) => wave[part]),
    ),
  );
  return [even![0], odd![0], even![1], odd![1], even![2], odd![2]];
}

/** c₀, c₁, c₂ of c₀ + c₁ x + c₂ x² through three points. */
function parabola(x: readonly number[], y: readonly number[]): readonly [number, number, number] {
  const [x0, x1, x2] = x as [number, number, number];
  const [y0, y1, y2] = y as [number, number, number];
  const first = (y1 - y0) / (x1 - x0);
  const second = ((y2 - y1) / (x2 - x1) - first) / (x2 - x0);
  return [y0 - first * x0 + second * x0 * x1, first - second * (x0 + x1), second];
}

function smoothError(f: number, [a0, b1, a2, b3, a4, b5]: Coefficients): number {
  const turn = new Float64Array(2);
  let most = 0;
  for (let k = 0; k < HALF; k++) {
    const t = tau(k);
    putTurn(f * t, turn, 0);
    const cosine = a0 + a2 * t ** 2 + a4 * t ** 4;
    const sine = b1 * t + b3 * t ** 3 + b5 * t ** 5;
    most = Math.max(most, Math.hypot(turn[0]! - cosine, turn[1]! - sine));
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
  // Smooth channels in two sums, one channel after the other in turn.
  const sums = [Float32Array.of(wave[2 * channels]!, 0, 0, 0, 0, 0), new Float32Array(6)];
  for (let n = summed; n < channels; n++) {
    const sum = sums[(n - summed) & 1]!;
    for (let i = 0; i < 6; i++) sum[i]! += fround(b[2 * n + (i & 1)]! * smooth[8 * (n - summed) + i]!);
  }
  const [a0, b1, a2, b3, a4, b5] = sums[0]!.map((x, i) => x + sums[1]![i]!);
  for (let k = 0; k < HALF; k++) {
    const t = tau(k);
    const square = t * t; // exact
    let cosines = 0;
    let sines = 0;
    for (let n = 0; n < summed; n++) {
      cosines = fround(cosines + fround(b[2 * n]! * table[2 * n * HALF + k]!));
      sines = fround(sines + fround(b[2 * n + 1]! * table[(2 * n + 1) * HALF + k]!));
    }
    cosines = fround(cosines + fround(a0! + fround(fround(a2! + fround(a4! * square)) * square)));
    sines = fround(sines + fround(t * fround(b1! + fround(fround(b3! + fround(b5! * square)) * square))));
    out[HALF + k] = cosines - sines;
    out[HALF - 1 - k] = cosines + sines;
  }
}
