/** Levels of a code as integers of one byte: how near they come, and that no unit would bring them nearer. */
import { expect, test } from "vitest";
import { gaussianCodebook } from "../../src/core/codebook.js";
import { BYTE_STEP, byteLevels } from "../../src/kernels/byte-levels.js";

/** Σ (level − unit · value)² over Σ level², each level alike. */
function errorOf(levels: Float32Array, values: Int8Array, unit: number): number {
  let [error, squares] = [0, 0];
  levels.forEach((x, j) => {
    error += (x - unit * BYTE_STEP * values[j]!) ** 2;
    squares += x * x;
  });
  return error / squares;
}

test.each([
  [1, 0, 1e-7],
  [2, 1e-5, 3e-4],
  [3, 1e-4, 2e-3],
  [4, 1e-3, 3e-3],
])("%i bits: relative rms error from %f to %f", (bits, least, most) => {
  const levels = gaussianCodebook(bits).centroids;
  const { values, unit } = byteLevels(levels);
  const error = errorOf(levels, values, unit);
  expect(Math.sqrt(error)).toBeGreaterThanOrEqual(least);
  expect(Math.sqrt(error)).toBeLessThan(most);
  expect(values.map((v, j) => v + values[values.length - 1 - j]!)).toEqual(new Int8Array(values.length));
  if (bits === 1) return;
  for (const other of [unit * (1 - 1e-4), unit * (1 + 1e-4)])
    expect(errorOf(levels, values, other)).toBeGreaterThan(error);
});

test("levels that are all 0 are integers of no size", () => {
  expect(byteLevels(new Float32Array(4))).toEqual({ values: new Int8Array(4), unit: 0 });
});
