/** The guess is never too large, so counting from it gives the same cell for every value. */
import { expect, test } from "vitest";
import { cellGuess, guessCell } from "../../src/core/cell-guess.js";
import { randomStream } from "../../src/core/random.js";

const { fround } = Math;
const TABLES = {
  "one boundary": [0.1],
  uneven: [-3, -1e-9, 0, 1e-9, 1e-8, 0.5, 2.5, 1e4],
  "all positive": [5, 6, 7],
  dense: Array.from({ length: 255 }, (_, i) => (i - 127) / 1000),
};

test.each(Object.entries(TABLES))("%s", (_, values) => {
  const boundaries = Float32Array.from(values);
  const guess = cellGuess(boundaries);
  const r = randomStream(1, "cells");
  const near = [...boundaries].flatMap((b) => [b, fround(b * (1 + 1e-7)), fround(b * (1 - 1e-7)), -b]);
  const special = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 0, -0, 3e38, -3e38, 1e-45];
  const random = Array.from({ length: 20_000 }, () => fround(r.normal() * boundaries.at(-1)!));
  let good = 0;
  for (const v of [...near, ...special, ...random]) {
    const below = values.filter((b) => fround(b) < v).length;
    expect(guessCell(guess, v)).toBeLessThanOrEqual(below);
    if (guessCell(guess, v) === below) good++;
  }
  expect(guessCell(guess, Number.NaN)).toBe(0);
  if (values !== TABLES.uneven) expect(good).toBeGreaterThan(15_000);
});
