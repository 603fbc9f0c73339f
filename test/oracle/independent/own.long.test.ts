/** Our own formats as another author might get them wrong, alone: at least 95 % are named first. */
import { expect, it } from "vitest";
import { compositeSweep } from "./composite.js";
import { dataOf } from "./data.js";
import { sweep, table } from "./sweep.js";

it.each([
  ["turbo1", 128, "gauss"],
  ["turbo2", 256, "mixed"],
  ["turbo3", 64, "outliers"],
  ["turbo4", 128, "gauss"],
] as const)("%s at %i, %s", (format, dim, data) => {
  const all = sweep({ format, dim, data, x: dataOf(data, dim, 1) });
  const lines = table(all, (o) => `${o.evidence} ${o.note} -> ${o.got}`);
  expect(all.filter((o) => o.right).length / all.length, lines).toBeGreaterThanOrEqual(0.95);
});

it.each([
  ["turbo2.5", 128, "gauss"],
  ["turbo3.5", 256, "mixed"],
] as const)("%s at %i, %s", (format, dim, data) => {
  const { conforming, outcomes } = compositeSweep(format, dim, data, dataOf(data, dim, 1));
  // The harness sums in f64: a norm may be one place off.
  expect(conforming.filter((v) => v !== "exact" && v !== "tolerated")).toEqual([]);
  expect(outcomes.every((o) => o.detected)).toBe(true);
  const lines = table(outcomes, (o) => `${o.evidence} ${o.note} -> ${o.got}`);
  expect(outcomes.filter((o) => o.right).length / outcomes.length, lines).toBeGreaterThanOrEqual(0.95);
});
