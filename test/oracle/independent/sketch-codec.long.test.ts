/** Faults of codes and norms beside a sketch: all are detected, and most are named. */
import { expect, it } from "vitest";
import { dataOf } from "./data.js";
import { sketchCodecSweep } from "./sketch-codec.js";
import { table } from "./sweep.js";

it.each([["turbo3+qjl", 64, "gauss", 0.91]] as const)("%s at %i, %s", (format, dim, data, floor) => {
  const { conforming, outcomes } = sketchCodecSweep(format, dim, data, dataOf(data, dim, 7, 40), {
    every: 2,
  });
  expect(conforming).toEqual(["exact", "exact"]);
  expect(outcomes.every((o) => o.detected)).toBe(true);
  const lines = table(outcomes, (o) => `${o.evidence} ${o.note} -> ${o.got}`);
  expect(outcomes.filter((o) => o.right).length / outcomes.length, lines).toBeGreaterThanOrEqual(floor);
});
