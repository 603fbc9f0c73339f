/** The model over the packed cache: the same numbers as the definition gives, in the bytes that are accounted. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { CacheKv } from "../../src/model/cache-kv.js";
import { DenseKv } from "../../src/model/dense-kv.js";
import { evaluatePairs } from "../../src/model/eval-pairs.js";
import { kvPair } from "../../src/model/kv-pair.js";
import { gateOf } from "../../src/model/measures/gates.js";
import { openKv } from "../../src/model/open-kv.js";
import { type Model, openModel } from "../../src/model/open-model.js";
import { evaluate, summarise } from "../../src/model/perplexity.js";
import { decodedKv } from "./decoded-kv.js";
import { houndText, NOVELS_MODEL } from "./novels.js";

const folder = mkdtempSync(join(tmpdir(), "eval-"));
let model: Model;
let tokens: Int32Array;
beforeAll(async () => {
  model = await openModel(NOVELS_MODEL, { blockTokens: 48 });
  tokens = model.tokenizer.encode(houndText(), { bos: false });
});
afterAll(async () => {
  await model.close();
  rmSync(folder, { recursive: true });
});

const dense = (capacity = 128) =>
  new DenseKv(model.transformer.engine, model.transformer.kvShape, capacity, "f32", 48);
const SEED = 5;

test("attention on packed bytes gives the logits of encode, decode, attend", async () => {
  const shape = model.transformer.kvShape;
  const plan = { tokens, context: 128, chunks: 1, scoredFrom: 0, bos: 1 };
  for (const name of ["f32", "q8_0", "q4_0", "turbo4", "turbo3/turbo2", "q8_0/turbo3", "turbo4+qjl/turbo4"]) {
    const { key, value } = kvPair(name);
    const packed = new CacheKv(shape, 128, { key, value, seed: SEED });
    const defined = decodedKv(dense(), shape.headDim, key, value, SEED);
    const state = await evaluate(model.transformer, defined, [{ name, kv: packed }], plan);
    const { kld, sameTop } = summarise(state.contenders.get(name)!, state.baseline);
    expect(kld, name).toBeLessThan(3e-6); // orders of f32 sums; a wrong code is at 1e-2
    expect(sameTop, name).toBeGreaterThan(0.98);
    // The cache holds the accounted bytes and no more.
    const { bytes, tokens: held } = packed.cache.stats();
    expect(held).toBe(128);
    expect(bytes.physical).toBe(128 * packed.bytesPerToken);
    packed.dispose();
  }
});

test("pairs by name, with their bytes; a stopped evaluation goes on to the same figures", async () => {
  const plan = { tokens, context: 100, chunks: 3 };
  const request = { plan, kv: ["q8_0", "turbo4/turbo3"], baseline: "f16", seed: SEED, about: ["novels3M"] };
  const whole = await evaluatePairs(model.transformer, request);
  expect(whole.scored).toBe(3 * 49);
  expect(whole.results.map(({ kv, bytesPerToken, fixedBytes }) => [kv, bytesPerToken, fixedBytes])).toEqual([
    ["q8_0", 4 * 2 * 2 * 68, 0],
    ["turbo4/turbo3", 4 * 2 * (34 + 26), 0],
  ]);
  for (const { ppl, ratio, deltaPpl, gate, drift, kld } of whole.results) {
    expect(deltaPpl).toBeCloseTo(ppl * (1 - 1 / ratio), 10);
    expect(gate).toBe(gateOf(deltaPpl));
    expect(drift.length).toBe(4);
    expect(drift.reduce((sum, { mean }) => sum + mean / 4, 0)).toBeCloseTo(kld, 2);
  }
  const checkpoint = join(folder, "state");
  const stop = ({ chunk }: { chunk: number }) => {
    if (chunk === 2) throw new Error("stopped");
  };
  await expect(
    evaluatePairs(model.transformer, { ...request, checkpoint, onProgress: stop }),
  ).rejects.toThrow("stopped");
  expect(existsSync(checkpoint)).toBe(true);
  const ran: number[] = [];
  const resumed = await evaluatePairs(model.transformer, {
    ...request,
    checkpoint,
    onProgress: ({ chunk }) => ran.push(chunk),
  });
  expect(new Set(ran)).toEqual(new Set([2]));
  expect(resumed).toEqual(whole);
  await expect(evaluatePairs(model.transformer, { ...request, checkpoint, seed: 6 })).rejects.toMatchObject({
    code: "BAD_FILE",
  });
});

test("blocks follow one another: a pair's perplexity is that of the model without blocks", async () => {
  const plan = { tokens, context: 128, chunks: 2 };
  const state = await evaluate(model.transformer, dense(), [], plan);
  const { ppl } = summarise(state.baseline, state.baseline);
  const kv = ["f32", "f32+mean"]; // blocks of 48: the second and third follow
  const { results } = await evaluatePairs(model.transformer, {
    plan,
    kv,
    baseline: "f32",
    seed: 0,
    about: [],
  });
  for (const result of results) expect(Math.abs(result.ppl / ppl - 1), result.kv).toBeLessThan(1e-5);
});

test("every kind of opened cache counts its tokens", () => {
  const { kvShape, engine, blockTokens } = model.transformer;
  for (const name of ["f16", "turbo4", "turbo4+mean", "turbo4+sinks4", "simulated/q4_0-wht"]) {
    const kv = openKv(kvShape, kvPair(name), { capacity: 64, seed: 0, engine, blockTokens });
    model.transformer.forward([1, 2, 3], kv);
    expect(kv.length, name).toBe(3);
    model.transformer.forward([4, 5], kv);
    expect(kv.length, name).toBe(5);
    kv.reset();
    expect(kv.length, name).toBe(0);
    kv.dispose();
  }
});

test("means that are given are those that keys are centred by: means of zero change nothing", async () => {
  const { kvShape, rope } = model.transformer;
  const { layers, kvHeads, headDim } = kvShape;
  const center = { means: new Float32Array(layers * kvHeads * headDim), rope };
  const request = { plan: { tokens, context: 64, chunks: 1 }, baseline: "f16", seed: SEED, about: [] };
  const kv = ["turbo3", "turbo3+centre"];
  const [plain, zero] = (await evaluatePairs(model.transformer, { ...request, kv, center })).results;
  const [, measured] = (await evaluatePairs(model.transformer, { ...request, kv })).results;
  expect(Math.abs(zero!.kld - plain!.kld)).toBeLessThan(1e-4 * plain!.kld);
  expect(Math.abs(measured!.kld - plain!.kld)).toBeGreaterThan(0.01 * plain!.kld);
});
