/**
 * Slips of caches over formats and lives: at least 95 % of single ones are named first, and 90 % of pairs in every setup (of the
 * first one's 36 two have reads that a leaked reference explains alone).
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { table } from "./sweep.js";
import { type TraceSetup, traceSweep } from "./trace-sweep.js";

const dir = mkdtempSync(join(tmpdir(), "turboquant-traces-"));
afterAll(() => rmSync(dir, { recursive: true }));

const shape = { kvHeads: 2, layers: 2, pageSize: 8 };
const setups: readonly TraceSetup[] = [
  { ...shape, dim: 32, keyFormat: "f32", valueFormat: "f32" },
  { ...shape, dim: 32, keyFormat: "f32", valueFormat: "f32", window: { size: 12, sinks: 4 } },
  { ...shape, dim: 128, layers: 3, pageSize: 4, keyFormat: "ggml/q8_0", valueFormat: "llama/turbo4" },
  { ...shape, dim: 64, keyFormat: "llama/turbo3", valueFormat: "f16", window: { size: 20, sinks: 2 } },
  {
    ...shape,
    dim: 32,
    layers: 3,
    pageSize: 5,
    oneTable: true,
    keyFormat: "f32",
    valueFormat: "f32",
    window: { size: 9, sinks: 3 },
  },
  { ...shape, dim: 32, layers: 4, pageSize: 3, keyFormat: "ggml/q8_0", valueFormat: "ggml/q4_0" },
];

it.each(setups)("$keyFormat + $valueFormat", async (setup) => {
  const all = [];
  for (let seed = 1; seed <= 3; seed++) {
    const { right, outcomes } = await traceSweep(dir, setup, seed, false);
    expect(right).toBe("conforming");
    all.push(...outcomes);
  }
  expect(all.every((o) => o.detected)).toBe(true);
  const share = all.filter((o) => o.right).length / all.length;
  expect(
    share,
    table(all, (o) => o.note),
  ).toBeGreaterThan(0.95);
});

it.each(setups)("two at once, where both show: $keyFormat + $valueFormat", async (setup) => {
  const { outcomes } = await traceSweep(dir, setup, 3, true, (_, n) => n % 4 === 0);
  const share = outcomes.filter((o) => o.right).length / outcomes.length;
  expect(outcomes.every((o) => o.detected)).toBe(true);
  expect(
    share,
    table(outcomes, (o) => `${o.note} -> ${o.got}`),
  ).toBeGreaterThan(0.9);
});
