/** Formats that code some channels apart, written from the specification alone: right ones conform, slips are named. */
import { expect, it } from "vitest";
import { compositeSweep } from "./composite.js";
import { dataOf } from "./data.js";
import { table } from "./sweep.js";

it.each(["turbo3.5"])("%s", (format) => {
  const { conforming, outcomes } = compositeSweep(format, 128, "few", dataOf("few", 128, 3), { every: 8 });
  expect(conforming).toEqual(["exact", "exact"]);
  expect(outcomes.every((o) => o.detected)).toBe(true);
  const lines = table(outcomes, (o) => o.evidence);
  expect(outcomes.filter((o) => o.right).length / outcomes.length, lines).toBeGreaterThan(0.93);
});
