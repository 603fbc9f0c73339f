import { describe, expect, test } from "vitest";
import { gaussianCodebook, quantize } from "../../src/core/codebook.js";
import { type Distribution, lloydMax } from "../../src/core/lloyd-max.js";

/** Simpson's rule: a second way to the integrals, independent of the solver's. */
function simpson(f: (t: number) => number, a: number, b: number, n = 4000): number {
  const h = (b - a) / n;
  let sum = f(a) + f(b);
  for (let i = 1; i < n; i++) sum += (i % 2 ? 4 : 2) * f(a + i * h);
  return (sum * h) / 3;
}

const density = (distribution: Distribution): { f: (t: number) => number; end: number } => {
  if (distribution === "gaussian") return { f: (t) => Math.exp((-t * t) / 2), end: 10 };
  const { sphere } = distribution as { sphere: number };
  return { f: (t) => (1 - t * t) ** ((sphere - 3) / 2), end: Math.min(1, 10 / Math.sqrt(sphere)) };
};

/** Largest departure from the fixed point: centroid conditions by Simpson, boundaries by midpoints. */
function departure(
  distribution: Distribution,
  centroids: ArrayLike<number>,
  boundaries: ArrayLike<number>,
): number {
  const { f, end } = density(distribution);
  let worst = 0;
  for (let i = 0; i < centroids.length; i++) {
    const a = i === 0 ? -end : boundaries[i - 1]!;
    const b = i === centroids.length - 1 ? end : boundaries[i]!;
    const mean = simpson((t) => t * f(t), a, b) / simpson(f, a, b);
    worst = Math.max(worst, Math.abs(mean - centroids[i]!));
    if (i > 0)
      worst = Math.max(worst, Math.abs((centroids[i - 1]! + centroids[i]!) / 2 - boundaries[i - 1]!));
  }
  return worst;
}

describe("Lloyd–Max", () => {
  // Published and re-computed figures; digits as given.
  const gaussian = [
    0.3633802, 0.1174818, 0.0345478, 0.00950101, 0.00250467, 0.00064424, 0.00016348, 0.000041185,
  ];
  const outermost = [0.79788, 1.51042, 2.15195, 2.73259];

  test.each([1, 2, 3, 4, 5, 6, 7, 8])("N(0,1) at %i bits is the fixed point to 1e-10", (bits) => {
    const book = lloydMax({ bits, distribution: "gaussian" });
    expect(departure("gaussian", book.centroids, book.boundaries)).toBeLessThan(1e-10);
    const digits = String(gaussian[bits - 1]).replace(/^0\.0*/, "").length;
    expect(Number(book.distortion.toPrecision(digits))).toBeCloseTo(gaussian[bits - 1]!, 9);
    if (bits <= 4) expect(book.centroids.at(-1)!).toBeCloseTo(outermost[bits - 1]!, 5);
    for (let i = 0; i < book.centroids.length; i++)
      expect(book.centroids[i]!).toBe(-book.centroids[book.centroids.length - 1 - i]!);
  });

  const sphere: Record<number, number[]> = {
    64: [0.35839, 0.11453, 0.03339, 0.0091315],
    128: [0.36089, 0.116, 0.03397, 0.0093148],
    256: [0.36214, 0.11674, 0.03426, 0.0094075],
  };
  test.each([
    [8, 3],
    [64, 1],
    [64, 2],
    [64, 3],
    [64, 4],
    [128, 1],
    [128, 2],
    [128, 3],
    [128, 4],
    [256, 4],
    [576, 4],
  ])("a coordinate of the unit sphere in %i dimensions at %i bits", (dim, bits) => {
    const book = lloydMax({ bits, distribution: { sphere: dim } });
    expect(departure({ sphere: dim }, book.centroids, book.boundaries)).toBeLessThan(1e-10);
    const known = sphere[dim]?.[bits - 1];
    if (known) expect(Math.abs(book.distortion / known - 1)).toBeLessThan(2e-4);
  });

  test("an un-iterated codebook is far from the fixed point", () => {
    const book = lloydMax({ bits: 4, distribution: "gaussian" });
    const stretched = book.centroids.map((c) => c * 1.001);
    const boundaries = stretched.slice(1).map((c, i) => (c + stretched[i]!) / 2);
    expect(departure("gaussian", stretched, boundaries)).toBeGreaterThan(1e-5);
  });

  test("wrong arguments say what was expected", () => {
    expect(() => lloydMax({ bits: 9, distribution: "gaussian" })).toThrow(
      /"bits" expected an integer in 1..8, got 9/,
    );
    expect(() => lloydMax({ bits: 2, distribution: { sphere: 4 } })).toThrow(RangeError);
    expect(() => lloydMax({ bits: 2, distribution: "normal" as never })).toThrow(TypeError);
  });
});

describe("frozen tables", () => {
  test.each([1, 2, 3, 4, 5, 6, 7, 8])("the f32 table of %i bits is the solver's, rounded once", (bits) => {
    const solved = lloydMax({ bits, distribution: "gaussian" });
    const frozen = gaussianCodebook(bits);
    expect(frozen.centroids).toEqual(Float32Array.from(solved.centroids));
    expect(frozen.boundaries).toEqual(Float32Array.from(solved.boundaries));
  });

  test("ties go up, ±0 to the upper middle cell, NaN to the top", () => {
    const { boundaries, centroids } = gaussianCodebook(3);
    const values = Float32Array.of(
      ...boundaries,
      0,
      -0,
      Number.NaN,
      Number.NEGATIVE_INFINITY,
      Number.POSITIVE_INFINITY,
    );
    const codes = new Uint8Array(values.length);
    quantize(values, boundaries, codes);
    expect([...codes]).toEqual([1, 2, 3, 4, 5, 6, 7, 4, 4, 7, 0, 7]);
    expect(centroids.length).toBe(8);
  });
});
