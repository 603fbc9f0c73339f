/** Mutants written from the specification alone, without any part of the oracle: how many are detected and named. */
import { expect, it } from "vitest";
import { dataOf } from "./data.js";
import { conforming, sweep, table } from "./sweep.js";

it.each(["llama/turbo2", "llama/turbo3", "llama/turbo4"])("%s", (format) => {
  const x = dataOf("few", 128, 1);
  expect(conforming(format, "key", 128, x)).toEqual(["exact", "exact"]);
  const all = sweep({ format, dim: 128, data: "few", x });
  const lines = table(all, (o) => `${o.format} ${o.evidence}`);
  expect(all.every((o) => o.detected)).toBe(true);
  expect(all.filter((o) => o.right).length / all.length, lines).toBeGreaterThan(0.93);
});
