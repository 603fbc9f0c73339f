/** What the main job prints of the shipped recording, against the second computation: a row of every kind. */
import { expect, test } from "vitest";
import { parseConfiguration } from "../../src/report/configuration.js";
import type { Quality } from "../../src/report/quality.js";
import { turboquant } from "../cli/run.js";
import { expectEqual, recompute } from "./recompute.js";

const SHIPPED = new URL("../../fixtures/recordings/smollm2-hound-kv.safetensors", import.meta.url).pathname;

test("turboquant report", async () => {
  const ran = turboquant(["report", "--json", "--kv", "q4_0,turbo3/trellis2+mean"]);
  expect(ran.status).toBe(0);
  const rows: ({ name: string } & Quality)[] = JSON.parse(ran.stdout.toString()).rows;
  expect(rows.length).toBe(2);
  for (const row of rows) {
    const { key, value, center } = parseConfiguration(row.name);
    const seeds = key.startsWith("turbo") || key.startsWith("trellis") ? [0, 1, 2, 3] : [0];
    expectEqual(row, await recompute(SHIPPED, key, value, center, seeds));
  }
});
