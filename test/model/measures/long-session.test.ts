import { afterAll, beforeAll, expect, test } from "vitest";
import { DenseKv } from "../../../src/model/dense-kv.js";
import { kvPair } from "../../../src/model/kv-pair.js";
import type { KvStore } from "../../../src/model/kv-store.js";
import { longSession, sessionPlan, TURNS } from "../../../src/model/measures/long-session.js";
import { measureMemory } from "../../../src/model/measures/memory.js";
import { measureSpeed } from "../../../src/model/measures/speed.js";
import { type Model, openModel } from "../../../src/model/open-model.js";
import { houndBook, NOVELS_MODEL } from "../novels.js";

let model: Model;
let plan: { tokens: Int32Array; context: number; chunks: number };
beforeAll(async () => {
  model = await openModel(NOVELS_MODEL);
  plan = {
    tokens: model.tokenizer.encode(houndBook().slice(0, 3000), { bos: false }),
    context: 64,
    chunks: 1,
  };
});
afterAll(() => model.close());
const dense = (): DenseKv => new DenseKv(model.transformer.engine, model.transformer.kvShape, 300);

/** A cache whose values are off by a share that `share` says, of the position. */
const off = (inner: KvStore, share: (position: number) => number): KvStore => ({
  get length() {
    return inner.length;
  },
  reset: () => inner.reset(),
  append: (layer, keys, values, tokens) => {
    const first = inner.length - (layer === model.transformer.config.layers ? tokens : 0);
    const row = values.length / tokens;
    const wrong = values.map((v, i) => v * (1 + share(first + Math.floor(i / row)) * Math.sin(i)));
    inner.append(layer, keys, wrong, tokens);
  },
  attend: (layer, queries, tokens, out) => inner.attend(layer, queries, tokens, out),
});

test("a session's plan: 50 turns, as long as model, text and room allow", () => {
  const of = (most: number) => sessionPlan(model.transformer, plan, most);
  expect(of(260)).toMatchObject({ context: 250, chunks: 1, scoredFrom: 0 });
  expect(of(1e6)!.context).toBe(500); // the model's 512
  expect(of(99)).toBeUndefined();
  expect(sessionPlan(model.transformer, { ...plan, bos: 1 }, 100)).toMatchObject({ context: 100, bos: 1 });
});

test("an error that grows with the position is told from one that stays", async () => {
  const session = sessionPlan(model.transformer, plan, 250)!;
  const contenders = [
    { name: "same", kv: dense() },
    { name: "steady", kv: off(dense(), () => 0.3) },
    { name: "growing", kv: off(dense(), (position) => (position < 150 ? 0.02 : 0.9)) },
  ];
  const [same, steady, growing] = await longSession(model.transformer, dense(), contenders, session);
  expect(same).toEqual({ turnTokens: 5, turns: new Array(TURNS).fill(0), growth: { mean: 0, se: 0 } });
  expect(steady!.growth.mean).toBeLessThan(3 * steady!.growth.se);
  expect(steady!.turns.slice(5).every((kl) => kl > 0)).toBe(true);
  expect(growing!.growth.mean).toBeGreaterThan(3 * growing!.growth.se);
});

test("memory: what the arithmetic says, for any formats; nothing for what is only simulated", () => {
  const shape = { layers: 3, heads: 4, kvHeads: 2, headDim: 64 };
  expect(measureMemory(shape, kvPair("turbo4"), 64)).toEqual({
    tokens: 64,
    measured: 64 * 3 * 2 * 2 * 34,
    calculated: 64 * 3 * 2 * 2 * 34,
  });
  const mixed = { name: "mixed", key: ["ggml/q8_0", "turbo3", "turbo2"], value: "f16" };
  const { tokens, measured, calculated } = measureMemory(shape, mixed, 65)!;
  expect(tokens).toBe(96);
  expect(calculated).toBe(96 * 2 * (68 + 26 + 18 + 3 * 128));
  expect(measured).toBe(calculated);
  expect(measureMemory(shape, kvPair("simulated/q4_0-wht"), 64)).toBeUndefined();
});

test("speed: a cache that dawdles is slower, by as much as it dawdles at least", () => {
  const slow = (inner: KvStore): KvStore => ({
    get length() {
      return inner.length;
    },
    reset: () => inner.reset(),
    append: (layer, keys, values, tokens) => inner.append(layer, keys, values, tokens),
    attend: (layer, queries, tokens, out) => {
      inner.attend(layer, queries, tokens, out);
      for (const until = performance.now() + 15; performance.now() < until; );
    },
  });
  const prompt = plan.tokens.subarray(0, 20);
  const effort = { rounds: 3, generated: 4 };
  const [same, dawdling] = measureSpeed(model.transformer, dense(), [dense(), slow(dense())], prompt, effort);
  // Four layers, 15 ms each, where a token takes two or three.
  expect(1 / dawdling!.tokensPerSecond).toBeGreaterThan(0.06);
  expect(dawdling!.firstTokenSeconds).toBeGreaterThan(0.06);
  expect(dawdling!.rate).toBeLessThan(same!.rate);
  expect(dawdling!.firstToken).toBeGreaterThan(same!.firstToken);
  expect(dawdling!.promptTokens).toBe(20);
});
