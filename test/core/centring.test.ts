/** R_p μ and the means of keys, against complex arithmetic in f64. */
import { describe, expect, test } from "vitest";
import { assertMeans, MeanEstimator, SKIPPED_TOKENS, turnMean } from "../../src/core/centring.js";
import { randomStream } from "../../src/core/random.js";
import { pairOf, type Rope, ropeFrequencies, Turns } from "../../src/core/rope.js";

const ropes: Rope[] = [
  { pairing: "adjacent", dimensions: 64, theta: 100_000, scaling: { type: "none" } },
  { pairing: "half-split", dimensions: 64, theta: 10_000, scaling: { type: "linear", factor: 2 } },
  { pairing: "adjacent", dimensions: 48, theta: 10_000, scaling: { type: "none" } },
  { pairing: "half-split", dimensions: 32, theta: 1_000_000, scaling: { type: "none" } },
];
const DIM = 64;

function turned(rope: Rope, x: ArrayLike<number>, position: number): Float64Array {
  const out = Float64Array.from(x);
  for (const [i, f] of ropeFrequencies(rope).entries()) {
    const [a, b] = pairOf(rope, i);
    const [c, s] = [Math.cos(position * f), Math.sin(position * f)];
    out[a] = x[a]! * c - x[b]! * s;
    out[b] = x[a]! * s + x[b]! * c;
  }
  return out;
}

describe.each(ropes)("$pairing, $dimensions of 64, theta $theta", (rope) => {
  const stream = randomStream(1, "means");
  const mean = Float32Array.from({ length: DIM }, () => stream.normal());

  test.each([0, 1, 1023, 131_072])("R_p μ at %d", (position) => {
    const turn = new Float32Array(rope.dimensions);
    new Turns(rope).put(position, turn);
    const out = new Float32Array(DIM);
    turnMean(rope, mean, turn, out);
    const want = turned(rope, mean, position);
    for (let i = 0; i < DIM; i++) expect(Math.abs(out[i]! - want[i]!)).toBeLessThan(1e-6);
  });

  test("the mean is found again, the first tokens left out", () => {
    const estimator = new MeanEstimator(2, DIM, rope);
    let sum = new Float64Array(DIM);
    for (let p = 0; p < 200; p++) {
      const noise = Float64Array.from(mean, (m) => m + stream.normal());
      if (p >= SKIPPED_TOKENS) sum = sum.map((s, i) => s + noise[i]! / (200 - SKIPPED_TOKENS));
      const key =
        p < SKIPPED_TOKENS ? new Float32Array(DIM).fill(1e6) : Float32Array.from(turned(rope, noise, p));
      estimator.add(0, p, key);
      estimator.add(
        1,
        p,
        key.map((x) => -x),
      );
    }
    const means = estimator.means();
    for (let i = 0; i < DIM; i++) {
      expect(Math.abs(means[i]! - sum[i]!)).toBeLessThan(1e-6);
      expect(means[DIM + i]).toBe(-means[i]!);
    }
  });
});

test("without RoPE it is the plain mean", () => {
  const estimator = new MeanEstimator(1, 2, undefined);
  for (let p = 4; p < 8; p++) estimator.add(0, p, Float32Array.of(p, -p));
  expect(estimator.means()).toEqual(Float32Array.of(5.5, -5.5));
});

test("no tokens, wrong means", () => {
  const estimator = new MeanEstimator(1, 2, undefined);
  estimator.add(0, 3, Float32Array.of(1, 1));
  expect(() => estimator.means()).toThrow(/beyond the first 4/);
  expect(() => assertMeans([1], 1)).toThrow(TypeError);
  expect(() => assertMeans(Float32Array.of(1), 2)).toThrow(/expected 2 values/);
  expect(() => assertMeans(Float32Array.of(1, Number.NaN), 2)).toThrow(/got NaN at 1/);
});
