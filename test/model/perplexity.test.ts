import { afterAll, beforeAll, expect, test } from "vitest";
import { DenseKv } from "../../src/model/dense-kv.js";
import { divergence } from "../../src/model/distribution.js";
import type { KvStore } from "../../src/model/kv-store.js";
import { type Model, openModel } from "../../src/model/open-model.js";
import {
  divergenceByPosition,
  type EvalPlan,
  type EvalState,
  emptyState,
  evaluate,
  scoredPerChunk,
  summarise,
} from "../../src/model/perplexity.js";
import { houndText, NOVELS_MODEL } from "./novels.js";

let model: Model;
let plan: EvalPlan;
beforeAll(async () => {
  model = await openModel(NOVELS_MODEL, { blockTokens: 24 });
  plan = { tokens: model.tokenizer.encode(houndText(), { bos: false }), context: 64, chunks: 3 };
});
afterAll(() => model.close());

const dense = (type: "f32" | "f16" = "f32"): DenseKv => {
  const { engine, kvShape, blockTokens } = model.transformer;
  return new DenseKv(engine, kvShape, 64, type, blockTokens);
};

/** A cache whose values are off by a fixed pattern: a contender that must be worse than the baseline. */
const noisy = (inner: KvStore): KvStore => ({
  get length() {
    return inner.length;
  },
  reset: () => inner.reset(),
  append: (layer, keys, values, tokens) =>
    inner.append(
      layer,
      keys,
      values.map((v, i) => v * (1 + Math.sin(i))),
      tokens,
    ),
  attend: (layer, queries, tokens, out) => inner.attend(layer, queries, tokens, out),
});

test("a cache compared with itself: ratio 1, no divergence; a worse one is worse", async () => {
  const contenders = [
    { name: "same", kv: dense() },
    { name: "noisy", kv: noisy(dense()) },
  ];
  const progress: number[] = [];
  const state = await evaluate(model.transformer, dense(), contenders, plan, {
    onProgress: ({ tokens, totalTokens }) => progress.push(tokens / totalTokens),
  });
  expect(progress.length).toBe(3 * 3 * 3);
  expect(progress.at(-1)).toBe(1);
  const same = summarise(state.contenders.get("same")!, state.baseline);
  expect(same).toMatchObject({
    scored: 93,
    ratio: 1,
    ratioSe: 0,
    kld: 0,
    kld999: 0,
    sameTop: 1,
    sameTopSe: 0,
  });
  const worse = summarise(state.contenders.get("noisy")!, state.baseline);
  expect(worse.kld).toBeGreaterThan(0.01);
  expect(worse.kld999).toBeGreaterThan(worse.kld99);
  expect(worse.sameTop).toBeLessThan(1);
  expect(worse.ratio).toBeCloseTo(worse.ppl / same.ppl, 10);
});

test("scored are the predictions at context/2 … context − 2 of each chunk, from an empty cache", async () => {
  const state = await evaluate(model.transformer, dense(), [], plan);
  expect(state.baseline.logProb.length).toBe(3 * (64 - 1 - 32));
  // Once more, one token at a time, by the definition.
  const kv = dense();
  const expected: number[] = [];
  for (let chunk = 0; chunk < 3; chunk++) {
    kv.reset();
    for (let position = 0; position < 63; position++) {
      const at = 64 * chunk + position;
      model.transformer.forward([plan.tokens[at]!], kv);
      if (position < 32) continue;
      model.transformer.logits(0, 1, (_, row) => {
        const sum = row.reduce((total, x) => total + Math.exp(x), 0);
        expected.push(row[plan.tokens[at + 1]!]! - Math.log(sum));
      });
    }
  }
  const off = expected.map((value, i) => Math.abs(value - state.baseline.logProb[i]!));
  expect(Math.max(...off)).toBeLessThan(1e-4);
});

test("all predictions and a first token of its own, where asked for", async () => {
  const all = { ...plan, chunks: 1, scoredFrom: 0, bos: 1 };
  expect(scoredPerChunk(all)).toBe(63);
  const state = await evaluate(model.transformer, dense(), [], all);
  model.transformer.forward([1], dense());
  model.transformer.logits(0, 1, (_, row) => {
    const sum = row.reduce((total, x) => total + Math.exp(x), 0);
    expect(state.baseline.logProb[0]).toBeCloseTo(row[plan.tokens[1]!]! - Math.log(sum), 4);
  });
});

test("an evaluation that was stopped goes on where it was and ends in the same numbers", async () => {
  const contenders = () => [{ name: "f16", kv: dense("f16") }];
  const whole = await evaluate(model.transformer, dense(), contenders(), plan);
  let kept: EvalState = emptyState(plan, ["f16"]);
  const stop = (state: EvalState) => {
    kept = structuredClone(state);
    if (state.chunks === 2) throw new Error("stopped");
  };
  await expect(evaluate(model.transformer, dense(), contenders(), plan, { onChunk: stop })).rejects.toThrow(
    "stopped",
  );
  expect(kept.chunks).toBe(2);
  let ran = 0;
  const done = await evaluate(model.transformer, dense(), contenders(), plan, {
    state: kept,
    onProgress: ({ tokens }) => {
      ran = tokens;
    },
  });
  expect(ran).toBe(2 * 64);
  expect(done).toEqual(whole);
});

test("the summary's figures, by hand", () => {
  const baseline = {
    logProb: Float64Array.of(-1, -2, -3),
    divergence: new Float64Array(3),
    sameTop: new Uint8Array(3),
  };
  const scores = {
    logProb: Float64Array.of(-1.5, -2, -4),
    divergence: Float64Array.of(0.3, 0, 0.1),
    sameTop: Uint8Array.of(0, 1, 1),
  };
  const summary = summarise(scores, baseline);
  expect(summary.ppl).toBeCloseTo(Math.exp(2.5), 12);
  expect(summary.pplSe).toBeCloseTo(Math.exp(2.5) * Math.sqrt((1 + 0.25 + 2.25) / 2 / 3), 12);
  expect(summary.ratio).toBeCloseTo(Math.exp(0.5), 12);
  expect(summary.ratioSe).toBeCloseTo(Math.exp(0.5) * Math.sqrt(0.5 / 2 / 3), 12);
  expect(summary.kld).toBeCloseTo(0.4 / 3, 12);
  expect(summary.kld99).toBeCloseTo(0.1 + 0.2 * 0.98, 12);
  expect(summary.sameTop).toBeCloseTo(2 / 3, 12);
  expect(summarise(scores, baseline, 2).ppl).toBeCloseTo(Math.exp(1.75), 12);
});

test("divergence by position: chunks together, stretches of a chunk apart", () => {
  const divergence = Float64Array.of(1, 2, 3, 4, 5, /* next chunk */ 3, 4, 5, 6, 7);
  const scores = { logProb: new Float64Array(10), divergence, sameTop: new Uint8Array(10) };
  const parts = divergenceByPosition(scores, 5, 2);
  expect(parts.map(({ mean }) => mean)).toEqual([(1 + 2 + 3 + 3 + 4 + 5) / 6, (4 + 5 + 6 + 7) / 4]);
  expect(parts[1]!.se).toBeCloseTo(Math.sqrt(5 / 3 / 4), 12);
  expect(divergenceByPosition(scores, 10, 1)[0]!.mean).toBeCloseTo(4, 12);
  expect(() => divergenceByPosition(scores, 5, 6)).toThrow(RangeError);
});

test("divergence of two distributions, by hand; never of one from itself", () => {
  const p = Float32Array.of(Math.log(0.5), Math.log(0.25), Math.log(0.25)).map((x) => x + 3);
  const q = Float32Array.of(Math.log(0.25), Math.log(0.5), Math.log(0.25));
  expect(divergence(p, 3, q, 0)).toBeCloseTo(0.25 * Math.log(2), 6);
  expect(divergence(p, 3, p, 3)).toBe(0);
});

test("plans that cannot be run are refused", async () => {
  const run = (over: Partial<EvalPlan>) => evaluate(model.transformer, dense(), [], { ...plan, ...over });
  await expect(run({ chunks: 1000 })).rejects.toThrow(RangeError);
  await expect(run({ context: 1 })).rejects.toThrow(RangeError);
  await expect(run({ scoredFrom: 63 })).rejects.toThrow(RangeError);
  await expect(run({ bos: 1024 })).rejects.toThrow(RangeError);
});
