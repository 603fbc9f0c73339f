/** Slips of a sketch, of what is stored and of what is read: every one is named, and right ones conform. */
import { expect, it } from "vitest";
import { dataOf } from "./data.js";
import { sketchSweep } from "./sketches.js";

it.each([
  ["llama/turbo4-qjl", 128, "gauss"],
  ["turbo3+qjl", 64, "mixed"],
] as const)("%s at %i", (format, dim, data) => {
  const { conforming, outcomes } = sketchSweep(format, dim, data, dataOf(data, dim, 7, 48));
  expect(conforming).toEqual(["exact", "exact"]);
  expect(outcomes.length).toBeGreaterThan(20);
  expect(outcomes.filter((o) => !o.right).map((o) => `${o.evidence} ${o.note} -> ${o.got}`)).toEqual([]);
});
