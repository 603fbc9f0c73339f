/**
 * Theory, two-sided and with a standard error; every check also runs on mutants, and each mutant must be killed by
 * at least one of them.
 */
import { describe, expect, test } from "vitest";
import { meanAbsoluteCoordinate } from "../../src/core/qjl.js";
import { randomStream } from "../../src/core/random.js";
import { signSumDistortion, sphereDistortion } from "./expected-distortion.js";
import { deviation, sample, sampleVariance } from "./statistics.js";
import { decodedDirection, estimate, mutants, reference, type Subject, sketchEstimate } from "./subject.js";

const LIMIT = 5; // standard errors
const gaussian = (n: number, seed: number): Float32Array => {
  const stream = randomStream(seed, "data");
  return Float32Array.from({ length: n }, () => stream.normal());
};
const unit = (x: Float32Array): Float32Array => {
  const norm = Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));
  return x.map((v) => v / norm);
};
const distance = (a: Float32Array, b: Float32Array): number =>
  a.reduce((sum, v, i) => sum + (v - b[i]!) ** 2, 0);

/** Standard errors between D over fresh random directions and the codebook's own D on the sphere. */
function randomDirections(s: Subject, dim: number, bits: number, n = 1500): number {
  const errors = Array.from({ length: n }, (_, i) => {
    const x = gaussian(dim, i);
    return distance(unit(x), decodedDirection(s, x, bits, i));
  });
  return deviation(sample(errors), sphereDistortion(dim, bits));
}

/** The same over seeds for a constant vector: z are sums of signs, whose distribution is exact. */
function constantVectors(s: Subject, dim: number, bits: number, n = 1500): number {
  const x = new Float32Array(dim).fill(-0.5);
  const errors = Array.from({ length: n }, (_, seed) =>
    distance(unit(x), decodedDirection(s, x, bits, seed)),
  );
  return deviation(sample(errors), signSumDistortion(dim & -dim, bits));
}

/** Standard errors between the mean estimate over seeds and ⟨q,x⟩, with a sketch. */
function sketchBias(s: Subject, kind: "gaussian" | "orthogonal", n = 2000): number {
  const x = gaussian(32, 1).map((v, i) => v * (i % 5 ? 1 : 4));
  const q = gaussian(32, 2).map((v, i) => v + x[i]!);
  const estimates = Array.from({ length: n }, (_, seed) => estimate(s, q, x, 2, "least-squares", seed, kind));
  return deviation(
    sample(estimates),
    q.reduce((sum, v, i) => sum + v * x[i]!, 0),
  );
}

describe("distortion is the codebook's own", () => {
  test.each(
    [32, 64, 96, 128, 192, 256, 576].flatMap((dim) => [1, 2, 3, 4].map((bits) => [dim, bits] as const)),
  )("dim %i, %i bits: random directions", (dim, bits) =>
    expect(randomDirections(reference, dim, bits)).toBeLessThan(LIMIT),
  );
  test.each([5, 6, 7, 8])("dim 128, %i bits: random directions", (bits) =>
    expect(randomDirections(reference, 128, bits, 800)).toBeLessThan(LIMIT),
  );
  test.each([64, 128, 256].flatMap((dim) => [2, 3, 4].map((bits) => [dim, bits] as const)))(
    "dim %i, %i bits: a constant vector has the D of sums of signs",
    (dim, bits) => {
      expect(constantVectors(reference, dim, bits)).toBeLessThan(LIMIT);
      // Sums of ±1 are a lattice, not a Gaussian: 8 % more at dim 128, up to 33 % at dim 64 (without signs: 60 times).
      expect(signSumDistortion(dim, bits)).toBeLessThan(
        (dim >= 128 ? 1.09 : 1.33) * sphereDistortion(dim, bits),
      );
    },
  );
  test("Walsh rows cost no more than random directions", () => {
    for (const row of [1, 5, 64, 127]) {
      const x = Float32Array.from({ length: 128 }, (_, i) => {
        let ones = 0;
        for (let both = i & row; both; both >>= 1) ones += both & 1;
        return ones % 2 ? -3 : 3;
      });
      const errors = Array.from({ length: 600 }, (_, seed) =>
        distance(unit(x), decodedDirection(reference, x, 4, seed)),
      );
      expect(deviation(sample(errors), signSumDistortion(128, 4))).toBeLessThan(LIMIT);
    }
  });
});

describe("inner products are unbiased", () => {
  test.each(["gaussian", "orthogonal"] as const)("codes + %s sketch, 2,000 seeds", (kind) => {
    expect(sketchBias(reference, kind)).toBeLessThan(LIMIT);
  });
  test("the unbiased scale, without a sketch, 4,000 rotations; the two others are biased", () => {
    const x = gaussian(128, 5);
    const q = gaussian(128, 6).map((v, i) => v + x[i]!);
    const exact = q.reduce((sum, v, i) => sum + v * x[i]!, 0);
    const run = (rule: "unbiased" | "norm-matching" | "least-squares"): number =>
      deviation(
        sample(Array.from({ length: 4000 }, (_, seed) => estimate(reference, q, x, 2, rule, seed))),
        exact,
      );
    expect(run("unbiased")).toBeLessThan(LIMIT);
    expect(run("norm-matching")).toBeGreaterThan(LIMIT);
    expect(run("least-squares")).toBeGreaterThan(LIMIT);
  });
  test("the Gaussian sketch has its exact variance, the orthogonal one about a third of it", () => {
    const dim = 32;
    const r = gaussian(dim, 8);
    const q = gaussian(dim, 9);
    const rr = r.reduce((sum, v) => sum + v * v, 0);
    const qq = q.reduce((sum, v) => sum + v * v, 0);
    const qr = q.reduce((sum, v, i) => sum + v * r[i]!, 0);
    const exact = ((Math.PI / 2) * rr * qq - qr * qr) / dim;
    const of = (kind: "gaussian" | "orthogonal"): number[] =>
      Array.from({ length: 4000 }, (_, seed) => sketchEstimate(q, r, kind, seed));
    const gaussianEstimates = of("gaussian");
    const orthogonalEstimates = of("orthogonal");
    expect(deviation(sample(gaussianEstimates), qr)).toBeLessThan(LIMIT);
    expect(deviation(sample(orthogonalEstimates), qr)).toBeLessThan(LIMIT);
    expect(deviation(sampleVariance(gaussianEstimates), exact)).toBeLessThan(LIMIT);
    expect(deviation(sampleVariance(orthogonalEstimates), exact)).toBeGreaterThan(LIMIT);
    const ratio = sampleVariance(gaussianEstimates).mean / sampleVariance(orthogonalEstimates).mean;
    expect(ratio).toBeGreaterThan(2.3);
    expect(ratio).toBeLessThan(3.2);
  });
  test("orthogonal rows need the sphere's constant: √(π/2)/m is seen as biased", () => {
    const dim = 32;
    const x = unit(gaussian(dim, 3));
    const estimates = Array.from({ length: 20_000 }, (_, seed) => sketchEstimate(x, x, "orthogonal", seed));
    const wrong = Math.sqrt(Math.PI / 2) * meanAbsoluteCoordinate(dim) * Math.sqrt(dim); // ratio of the constants
    expect(deviation(sample(estimates), 1)).toBeLessThan(LIMIT);
    expect(deviation(sample(estimates.map((v) => v * wrong)), 1)).toBeGreaterThan(LIMIT);
  });
});

test("every mutant is killed", () => {
  const killers = {
    random: (s: Subject) => randomDirections(s, 64, 3, 400),
    constant: (s: Subject) => constantVectors(s, 128, 4, 300),
    gaussian: (s: Subject) => sketchBias(s, "gaussian", 1000),
    orthogonal: (s: Subject) => sketchBias(s, "orthogonal", 1000),
  };
  const alive = Object.entries(mutants).filter(
    ([, subject]) => !Object.values(killers).some((check) => !(check(subject) < LIMIT)),
  );
  expect(alive.map(([name]) => name)).toEqual([]);
  for (const check of Object.values(killers)) expect(check(reference)).toBeLessThan(LIMIT);
});
