import { expect, test } from "vitest";
import { lloydMax } from "../../src/core/lloyd-max.js";
import { randomStream } from "../../src/core/random.js";
import { fromPolar, toPolar } from "../../src/core/recursive-polar.js";
import { POLAR_TABLES } from "../../src/core/recursive-polar-tables.js";

const directions = (angles: readonly number[]): Float32Array =>
  Float32Array.from(angles.flatMap((t) => [Math.cos(t), Math.sin(t)]));

test("frozen directions are the sectors of the circle and the Lloyd–Max points of each level", () => {
  const sectors = Array.from({ length: 16 }, (_, k) => ((k + 0.5) * Math.PI) / 8);
  expect(POLAR_TABLES[0]!.centroids).toEqual(directions(sectors));
  expect(POLAR_TABLES[0]!.boundaries).toEqual(
    directions([1, 2, 3, 4, 5, 6, 7].map((k) => (k * Math.PI) / 8)),
  );
  for (const level of [2, 3, 4]) {
    const book = lloydMax({ bits: 2, distribution: { polar: level } });
    const shifted = (angles: Float64Array): number[] => Array.from(angles, (t) => t + Math.PI / 4);
    expect(POLAR_TABLES[level - 1]!.centroids).toEqual(directions(shifted(book.centroids)));
    expect(POLAR_TABLES[level - 1]!.boundaries).toEqual(directions(shifted(book.boundaries)));
  }
});

test("a code's sector holds the angle, all around the circle", () => {
  for (let k = 0; k < 3600; k++) {
    const angle = ((k + 0.5) * 2 * Math.PI) / 3600;
    const x = Float32Array.from({ length: 16 }, (_, i) => (i % 2 ? Math.sin(angle) : Math.cos(angle)));
    const codes = new Uint8Array(15);
    toPolar(x, codes);
    expect(codes[0]).toBe(Math.floor((angle * 8) / Math.PI));
  }
});

test("distortion on Gaussian input is the paper's .0321, two-sided", () => {
  const stream = randomStream(2, "data");
  const errors: number[] = [];
  const codes = new Uint8Array(15);
  for (let i = 0; i < 20_000; i++) {
    const x = Float32Array.from({ length: 16 }, () => stream.normal());
    const y = new Float32Array(16);
    fromPolar(codes, toPolar(x.slice(), codes), y);
    errors.push(x.reduce((sum, v, j) => sum + (v - y[j]!) ** 2, 0) / 16);
  }
  const mean = errors.reduce((a, b) => a + b, 0) / errors.length;
  const se = Math.sqrt(errors.reduce((a, b) => a + (b - mean) ** 2, 0) / errors.length / errors.length);
  expect(Math.abs(mean - 0.0321)).toBeLessThan(5 * se + 5e-5); // .0321 is given to three digits
});
