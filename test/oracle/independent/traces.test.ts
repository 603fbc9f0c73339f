/** Caches written from the catalogue alone, each with one slip, over a life drawn at random. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { type TraceSetup, traceSweep } from "./trace-sweep.js";

const dir = mkdtempSync(join(tmpdir(), "turboquant-traces-"));
afterAll(() => rmSync(dir, { recursive: true }));

const base = { dim: 32, kvHeads: 2, layers: 2, pageSize: 8, keyFormat: "f32", valueFormat: "f32" };
const setups: readonly TraceSetup[] = [
  base,
  { ...base, kvHeads: 1, window: { size: 12, sinks: 4 } },
  { ...base, kvHeads: 1, oneTable: true },
];

it.each(setups)("names every slip, %#", async (setup) => {
  const { right, outcomes } = await traceSweep(dir, setup, 3, false);
  expect(right).toBe("conforming");
  expect(outcomes.length).toBeGreaterThan(15);
  expect(outcomes.filter((o) => !o.right).map((o) => `${o.note} -> ${o.got}`)).toEqual([]);
});

it("names the wrong layer together with values that a rotation of the fork's own has turned", async () => {
  const both = ["layer-off-by-one", "v-not-unrotated"];
  const { outcomes } = await traceSweep(dir, base, 3, true, (ids) => ids.every((id) => both.includes(id)));
  expect(outcomes.map((o) => o.got)).toEqual([both.join("+"), both.join("+")]);
});

it("names two faults of which one hides most of the other", async () => {
  const wanted = [
    ["cow-missing", "k-zero"],
    ["truncate-shared", "layer-off-by-one"],
    ["k-zero", "kv-swapped"],
  ];
  const { outcomes } = await traceSweep(dir, base, 1, true, (ids) =>
    wanted.some((pair) => pair.every((id) => ids.includes(id))),
  );
  expect(outcomes.length).toBeGreaterThan(3);
  expect(outcomes.filter((o) => !o.right).map((o) => `${o.note} -> ${o.got}`)).toEqual([]);
});
