/** Every slip of the weight types, polar and trellis codes: all are detected, at least 95 % are named first. */
import { expect, it } from "vitest";
import { codedSweep } from "./coded.js";
import { dataOf } from "./data.js";
import { table } from "./sweep.js";

it.each([
  ["llama/tq3_1s", 128, "gauss"],
  ["llama/tq4_1s", 64, "outliers"],
  ["polar3.875", 128, "gauss"],
  ["trellis1", 128, "gauss"],
  ["trellis2", 128, "gauss"],
  ["trellis3", 64, "outliers"],
  ["trellis3x", 128, "heavy"],
] as const)("%s at %i, %s", (format, dim, data) => {
  const { conforming, outcomes } = codedSweep(format, dim, data, dataOf(data, dim, 1, 64));
  expect(conforming).toEqual(["exact", "exact"]);
  expect(outcomes.every((o) => o.detected)).toBe(true);
  const lines = table(outcomes, (o) => `${o.evidence} ${o.note} -> ${o.got}`);
  expect(outcomes.filter((o) => o.right).length / outcomes.length, lines).toBeGreaterThanOrEqual(0.95);
});
