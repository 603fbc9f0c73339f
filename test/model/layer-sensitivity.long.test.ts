import { afterAll, beforeAll, expect, test } from "vitest";
import { evaluatePairs } from "../../src/model/eval-pairs.js";
import { kvPair } from "../../src/model/kv-pair.js";
import { layerSensitivity } from "../../src/model/layer-sensitivity.js";
import { type Model, openModel } from "../../src/model/open-model.js";
import { parseSensitivity, profileWithinBudget } from "../../src/plan/sensitivity.js";
import { houndBook, NOVELS_MODEL } from "./novels.js";

let model: Model;
let tokens: Int32Array;
beforeAll(async () => {
  model = await openModel(NOVELS_MODEL);
  tokens = model.tokenizer.encode(houndBook().slice(0, 40_000), { bos: false });
});
afterAll(() => model.close());

/** Bytes of a token of one layer: two heads of 64 on each side. */
const BYTES: Record<string, number> = { turbo4: 34, turbo3: 26, turbo2: 18 };
const bytesOf = (_: number, { k, v }: { k: string; v: string }) => 2 * (BYTES[k]! + BYTES[v]!);

test("a layer by itself costs less than all, and the profile of one half of a text holds on the other", async () => {
  const context = 256;
  const half = { tokens: tokens.slice(0, 8 * context), context, chunks: 8 };
  const other = { tokens: tokens.slice(8 * context, 16 * context), context, chunks: 8 };
  const common = { baseline: "f16", seed: 0 };
  const names = ["turbo4", "turbo3", "turbo2", "turbo4/turbo2", "turbo2/turbo4"];
  const measured = await layerSensitivity(model.transformer, { ...common, plan: half, kv: names });
  expect(measured.layers.map(({ layer }) => layer)).toEqual([0, 1, 2, 3]);
  const options = parseSensitivity(JSON.parse(JSON.stringify(measured)));
  expect(options[0]!.map(({ k, v }) => [k, v])).toEqual([
    ["turbo4", "turbo4"],
    ["turbo3", "turbo3"],
    ["turbo2", "turbo2"],
    ["turbo4", "turbo2"],
    ["turbo2", "turbo4"],
  ]);

  const kld = async (kv: string | { name: string; key: string[]; value: string[] }, plan: typeof half) =>
    (await evaluatePairs(model.transformer, { ...common, plan, kv: [kv], about: [] })).results[0]!;
  const uniform = await kld("turbo3", other);
  for (const layer of measured.layers) {
    const [four, three, two] = layer.options.map(({ kl }) => kl) as [number, number, number];
    expect(four).toBeGreaterThan(0);
    expect(four).toBeLessThan(three);
    expect(three).toBeLessThan(two);
    expect(three).toBeLessThan(uniform.kld);
  }

  // The budget that buys no more bytes than turbo3 everywhere, found by halving.
  const most = 4 * 2 * (26 + 26);
  let [low, high] = [0, options.reduce((sum, of) => sum + Math.max(...of.map(({ kl }) => kl)), 0)];
  low = options.reduce((sum, of) => sum + Math.min(...of.map(({ kl }) => kl)), 0);
  for (let step = 0; step < 30; step++) {
    const middle = (low + high) / 2;
    if (profileWithinBudget(options, middle, bytesOf).bytes <= most) high = middle;
    else low = middle;
  }
  const profile = profileWithinBudget(options, high, bytesOf);
  expect(profile.bytes).toBeLessThanOrEqual(most);
  const key = profile.layers.map(({ k }) => kvPair(k).key);
  const value = profile.layers.map(({ v }) => kvPair(v).value);
  const chosen = await kld({ name: "profile", key, value }, other);
  expect(chosen.bytesPerToken).toBe(profile.bytes);
  expect(uniform.bytesPerToken).toBe(most);
  const se = Math.hypot(chosen.kldSe, uniform.kldSe);
  expect(chosen.kld, `${key} / ${value}: ${chosen.kld}, turbo3: ${uniform.kld}`).toBeLessThan(
    uniform.kld + se,
  );
});
