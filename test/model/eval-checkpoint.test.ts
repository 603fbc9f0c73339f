import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { evalKey, loadEval, saveEval } from "../../src/model/eval-checkpoint.js";
import { type EvalPlan, emptyState } from "../../src/model/perplexity.js";

const folder = mkdtempSync(join(tmpdir(), "checkpoint-"));
afterAll(() => rmSync(folder, { recursive: true }));

const plan: EvalPlan = { tokens: Int32Array.from({ length: 40 }, (_, i) => i), context: 10, chunks: 3 };
const names = ["turbo4", "q8_0/turbo3"];

test("what is saved is loaded; nothing there is nothing", async () => {
  const path = join(folder, "a");
  const key = evalKey(plan, names, ["model", 1]);
  expect(await loadEval(path, key, plan, names)).toBeUndefined();
  const state = emptyState(plan, names);
  state.chunks = 2;
  state.baseline.logProb.set([-1.5, -2]);
  state.contenders.get("turbo4")!.divergence.set([0.25], 3);
  state.contenders.get("q8_0/turbo3")!.sameTop.set([1, 0, 1]);
  await saveEval(path, key, state);
  expect(await loadEval(path, key, plan, names)).toEqual(state);
});

test("the key follows everything that the numbers depend on", () => {
  const key = evalKey(plan, names, ["model"]);
  const others = [
    evalKey({ ...plan, context: 8 }, names, ["model"]),
    evalKey({ ...plan, chunks: 4 }, names, ["model"]),
    evalKey({ ...plan, scoredFrom: 0 }, names, ["model"]),
    evalKey({ ...plan, bos: 0 }, names, ["model"]),
    evalKey({ ...plan, tokens: plan.tokens.map((t) => t ^ 1) }, names, ["model"]),
    evalKey(plan, names.slice(1), ["model"]),
    evalKey(plan, names, ["other"]),
  ];
  expect(new Set([key, ...others]).size).toBe(8);
  expect(evalKey(plan, names, ["model"])).toBe(key);
});

test("BAD_FILE: another evaluation's, cut short, or no checkpoint at all", async () => {
  const path = join(folder, "b");
  const key = evalKey(plan, names, []);
  await saveEval(path, key, emptyState(plan, names));
  const bad = { name: "FormatError", code: "BAD_FILE" };
  await expect(loadEval(path, "other", plan, names)).rejects.toMatchObject(bad);
  await expect(loadEval(path, key, { ...plan, chunks: 4 }, names)).rejects.toMatchObject(bad);
  await expect(loadEval(path, key, plan, ["turbo2"])).rejects.toMatchObject(bad);
  const bytes = readFileSync(path);
  for (let length = 0; length < bytes.length; length++) {
    writeFileSync(path, bytes.subarray(0, length));
    await expect(loadEval(path, key, plan, names)).rejects.toMatchObject(bad);
  }
});
