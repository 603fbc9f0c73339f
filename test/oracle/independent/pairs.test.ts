/** Pairs of faults of stock quantisers, written without any part of the oracle, each named. */
import { expect, it } from "vitest";
import { dataOf } from "./data.js";
import { sweep } from "./sweep.js";

it.each(["ggml/q5_1"])("%s: every pair, packed and decoded", (format) => {
  const all = sweep({ format, dim: 64, data: "few", x: dataOf("few", 64, 5), pairs: true });
  expect(all.length).toBeGreaterThan(60);
  expect(all.filter((o) => !o.right).map((o) => `${o.evidence}: ${o.note} → ${o.got}`)).toEqual([]);
});
