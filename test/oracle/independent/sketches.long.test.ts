/** Slips of a sketch over formats, dimensions and data: every one is detected, at least 95 % are named. */
import { expect, it } from "vitest";
import { dataOf } from "./data.js";
import { sketchSweep } from "./sketches.js";
import { table } from "./sweep.js";

it.each([
  ["llama/turbo4-qjl", 256, "mixed"],
  ["llama/turbo3-qjl", 128, "gauss"],
  ["turbo1+qjl", 96, "heavy"],
  ["turbo2+qjl", 64, "gauss"],
  ["turbo4+qjl", 256, "outliers"],
] as const)("%s at %i", (format, dim, data) => {
  const { conforming, outcomes } = sketchSweep(format, dim, data, dataOf(data, dim, 11, 96));
  expect(conforming).toEqual(["exact", "exact"]);
  expect(outcomes.every((o) => o.detected)).toBe(true);
  expect(
    outcomes.filter((o) => o.right).length / outcomes.length,
    table(outcomes, (o) => `${o.evidence} ${o.note} -> ${o.got}`),
  ).toBeGreaterThan(0.95);
});

it.each([
  ["llama/turbo4-qjl", 128, "gauss"],
  ["turbo3+qjl", 64, "mixed"],
] as const)("%s at %i, two at once", (format, dim, data) => {
  const { outcomes } = sketchSweep(format, dim, data, dataOf(data, dim, 7, 48), true, 2);
  expect(outcomes.every((o) => o.detected)).toBe(true);
  expect(
    outcomes.filter((o) => o.right).length / outcomes.length,
    table(outcomes, (o) => `${o.evidence} ${o.note} -> ${o.got}`),
  ).toBeGreaterThan(0.89);
});
