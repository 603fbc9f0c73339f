/** One layer at a time, by halves of the work, gives the bits of whole runs; a stopped measurement goes on. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { evaluatePairs } from "../../src/model/eval-pairs.js";
import { kvPair } from "../../src/model/kv-pair.js";
import { layerSensitivity } from "../../src/model/layer-sensitivity.js";
import { type Model, openModel } from "../../src/model/open-model.js";
import { profileChoice } from "../../src/model/profile-choice.js";
import { houndText, NOVELS_MODEL } from "./novels.js";

const folder = mkdtempSync(join(tmpdir(), "layers-"));
let model: Model;
let request: {
  plan: { tokens: Int32Array; context: number; chunks: number };
  baseline: string;
  seed: number;
};
beforeAll(async () => {
  model = await openModel(NOVELS_MODEL, { blockTokens: 24 });
  const tokens = model.tokenizer.encode(houndText(), { bos: false });
  request = { plan: { tokens, context: 60, chunks: 2 }, baseline: "f16", seed: 3 };
});
afterAll(async () => {
  await model.close();
  rmSync(folder, { recursive: true });
});
const kv = ["turbo3", "q8_0/turbo2"];

test("a layer by itself costs what a whole run with that profile costs, to the last bit", async () => {
  const { layers } = await layerSensitivity(model.transformer, { ...request, kv });
  expect(layers.map(({ layer }) => layer)).toEqual([0, 1, 2, 3]);
  const profile = (layer: number, name: string) => {
    const { key, value } = kvPair(name);
    const only = (format: string) => [0, 1, 2, 3].map((at) => (at === layer ? format : "f16"));
    return { name: `${layer} ${name}`, key: only(key), value: only(value) };
  };
  for (const layer of [0, 2, 3]) {
    const choices = kv.map((name) => profile(layer, name));
    const { results } = await evaluatePairs(model.transformer, { ...request, kv: choices, about: [] });
    expect(layers[layer]!.options.map(({ kl, klSe }) => [kl, klSe])).toEqual(
      results.map(({ kld, kldSe }) => [kld, kldSe]),
    );
  }
  expect(layers[1]!.options.map(({ k, v }) => [k, v])).toEqual([
    ["turbo3", "turbo3"],
    ["q8_0", "turbo2"],
  ]);
});

test("stopped anywhere, the same request goes on from its checkpoint to the same numbers", async () => {
  const whole = await layerSensitivity(model.transformer, { ...request, kv });
  for (const at of [3, 5]) {
    const checkpoint = join(folder, `state-${at}`);
    const stop = (done: number) => {
      if (done === at) throw new Error("stopped");
    };
    const common = { ...request, kv, checkpoint };
    await expect(layerSensitivity(model.transformer, { ...common, onProgress: stop })).rejects.toThrow(
      "stopped",
    );
    const ran: number[] = [];
    const resumed = await layerSensitivity(model.transformer, {
      ...common,
      onProgress: (done) => ran.push(done),
    });
    expect(ran[0]).toBe(at + 1);
    expect(resumed).toEqual(whole);
    for (const other of [
      { ...common, seed: 4 },
      { ...common, kv: kv.slice(1) },
      { ...common, plan: { ...request.plan, chunks: 1 } },
    ])
      await expect(layerSensitivity(model.transformer, other)).rejects.toMatchObject({ code: "BAD_FILE" });
  }
  const damaged = join(folder, "damaged");
  writeFileSync(damaged, "no msgpack at all");
  await expect(
    layerSensitivity(model.transformer, { ...request, kv, checkpoint: damaged }),
  ).rejects.toMatchObject({
    code: "BAD_FILE",
  });
  expect(existsSync(damaged)).toBe(true);
});

test("pairs that are more than formats are refused", async () => {
  for (const name of ["turbo4+mean", "turbo4+sinks4", "best3", "simulated/q4_0-wht"])
    await expect(layerSensitivity(model.transformer, { ...request, kv: [name] }), name).rejects.toThrow(
      RangeError,
    );
});

test("a profile's file names the formats of every layer, or is refused", () => {
  const entry = (layer: number, k: unknown = "turbo4", v: unknown = "q8_0") => ({ layer, k, v });
  expect(profileChoice("p.json", { layers: [entry(0), entry(1, "f16", "turbo2")] }, 2)).toEqual({
    name: "p.json",
    key: ["turbo4", "f16"],
    value: ["ggml/q8_0", "turbo2"],
  });
  for (const wrong of [
    null,
    [],
    {},
    { layers: [entry(0)] },
    { layers: [entry(1), entry(0)] },
    { layers: [entry(0, 4), entry(1)] },
  ])
    expect(() => profileChoice("p.json", wrong, 2)).toThrow(expect.objectContaining({ code: "BAD_FILE" }));
  expect(() => profileChoice("p.json", { layers: [entry(0, "turbo9"), entry(1)] }, 2)).toThrow(
    expect.objectContaining({ code: "UNKNOWN_FORMAT" }),
  );
});

test("resuming from any layer gives the states of the whole run", () => {
  const { transformer } = model;
  const tokens = request.plan.tokens.subarray(0, 20);
  const states: Float32Array[] = [];
  const whole = new Float32Array(20 * transformer.config.width);
  const seen = { keys: [] as number[] };
  const store = (counts: boolean) => ({
    length: 0,
    append: (layer: number, keys: Float32Array) => void (counts && seen.keys.push(layer, keys[0]!)),
    attend: (_: number, queries: Float32Array, __: number, out: Float32Array) => out.set(queries),
    reset: () => {},
  });
  transformer.forward(tokens, store(true), (_, into) => states.push(into.slice()));
  transformer.states(0, 20, whole);
  const [first, keys] = [seen.keys, [...seen.keys]];
  first.length = 0;
  const again = new Float32Array(whole.length);
  transformer.resume(2, states[2]!, 0, store(true));
  transformer.states(0, 20, again);
  expect(again).toEqual(whole);
  expect(seen.keys).toEqual(keys.slice(4));
  transformer.resume(2, states[2]!, 5, store(false)); // turned otherwise, it is another result
  transformer.states(0, 20, again);
  expect(again).not.toEqual(whole);
  expect(() => transformer.resume(4, states[2]!, 0, store(false))).toThrow(RangeError);
  expect(() => transformer.resume(0, states[2]!.subarray(1), 0, store(false))).toThrow(RangeError);
});
