/** Attention measured over a cache, against the definition in plain loops over decoded vectors. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { DenseKv } from "../../../src/model/dense-kv.js";
import { kvPair } from "../../../src/model/kv-pair.js";
import type { KvStore, MeasuredKv } from "../../../src/model/kv-store.js";
import { attentionAccuracy } from "../../../src/model/measures/attention-accuracy.js";
import { type OpenKv, openKv } from "../../../src/model/open-kv.js";
import { type Model, openModel } from "../../../src/model/open-model.js";
import { houndText, NOVELS_MODEL } from "../novels.js";

const CONTEXT = 40;
const BLOCK = 16;
let model: Model;
let tokens: Int32Array;
beforeAll(async () => {
  model = await openModel(NOVELS_MODEL, { blockTokens: BLOCK });
  tokens = model.tokenizer.encode(houndText(), { bos: false });
});
afterAll(() => model.close());

const packed = (name: string): OpenKv => {
  const { kvShape, engine, blockTokens } = model.transformer;
  return openKv(kvShape, kvPair(name), { capacity: CONTEXT, seed: 4, engine, blockTokens });
};
const dense = (type: "f32" | "f16" = "f32") =>
  new DenseKv(model.transformer.engine, model.transformer.kvShape, CONTEXT, type, BLOCK);
const plan = () => ({ tokens, context: CONTEXT, chunks: 1 });

test("a cache beside itself: cosines 1, no error; a coarser one is further off", () => {
  const names = ["f32", "turbo4", "turbo3", "turbo2", "turbo2+mean"];
  const contenders = names.map(packed);
  const results = attentionAccuracy(model.transformer, dense(), contenders, plan());
  const [same, four, three, two, mean] = results;
  expect(same!.weightCosine).toBeCloseTo(1, 6);
  expect(same!.outputCosine).toBeCloseTo(1, 6);
  expect(same!.logitError).toBeLessThan(1e-6);
  for (const [better, worse] of [
    [four, three],
    [three, two],
  ] as const) {
    expect(better!.weightCosine).toBeGreaterThan(worse!.weightCosine);
    expect(better!.outputCosine).toBeGreaterThan(worse!.outputCosine);
    expect(better!.logitError).toBeLessThan(0.7 * worse!.logitError);
  }
  // What centring takes off all scores of a query is no error.
  expect(mean!.logitError).toBeLessThan(two!.logitError);
  for (const { worst, outputCosine } of results) expect(worst.outputCosine).toBeLessThanOrEqual(outputCosine);
  for (const kv of contenders) kv.dispose();
});

test("the figures are the definition's: softmax, cosines and centred errors in plain loops", () => {
  const { transformer } = model;
  const { heads, kvHeads, headDim, layers } = transformer.kvShape;
  const contender = packed("turbo3");
  const [result] = attentionAccuracy(transformer, dense(), [contender], plan());
  // Once more: queries and keys of every layer as they go by, decoded keys and values of the contender.
  const queries: number[][] = [];
  const keys: number[][] = Array.from({ length: layers }, () => []);
  const values: number[][] = Array.from({ length: layers }, () => []);
  const inner = dense();
  const seen: KvStore = {
    get length() {
      return inner.length;
    },
    reset: () => inner.reset(),
    append(layer, k, v, n) {
      keys[layer]!.push(...k);
      values[layer]!.push(...v);
      inner.append(layer, k, v, n);
    },
    attend(layer, q, n, out) {
      queries[layer] = [...(queries[layer] ?? []), ...q];
      inner.attend(layer, q, n, out);
    },
  };
  for (let at = 0; at < CONTEXT; at += BLOCK)
    transformer.forward(tokens.subarray(at, Math.min(at + BLOCK, CONTEXT)), seen);
  // Positions weighed: four of each block, its last among them: 3, 7, 11, 15; the last block has eight tokens.
  const weighed = [3, 7, 11, 15, 19, 23, 27, 31, 33, 35, 37, 39];
  const cos = (a: number[], b: number[]) =>
    a.reduce((s, x, i) => s + x * b[i]!, 0) / Math.hypot(...a) / Math.hypot(...b);
  const softmax = (l: number[]) => {
    const e = l.map((x) => Math.exp(x - Math.max(...l)));
    const sum = e.reduce((a, b) => a + b);
    return e.map((x) => x / sum);
  };
  let [weights, outputs, count, compared, error, energy] = [0, 0, 0, 0, 0, 0];
  const scores = new Float32Array(CONTEXT);
  for (let layer = 0; layer < layers; layer++)
    for (let t = 0; t < CONTEXT; t++)
      for (let h = 0; h < heads; h++) {
        const g = Math.floor((h * kvHeads) / heads);
        const q = queries[layer]!.slice((t * heads + h) * headDim, (t * heads + h + 1) * headDim);
        const vector = (of: number[], p: number) =>
          of.slice((p * kvHeads + g) * headDim, (p * kvHeads + g + 1) * headDim);
        const exact = Array.from({ length: t + 1 }, (_, p) =>
          vector(keys[layer]!, p).reduce((s, x, i) => s + (x * q[i]!) / 8, 0),
        );
        contender.scores(layer, g, Float32Array.from(q), scores);
        const coded = [...scores.subarray(0, t + 1)].map((x) => x / 8);
        const mix = (w: number[]) =>
          Array.from({ length: headDim }, (_, i) =>
            w.reduce((s, x, p) => s + x * values[layer]![(p * kvHeads + g) * headDim + i]!, 0),
          );
        if (layer === 0 && t < 3) {
          outputs += cos(mix(softmax(exact)), mix(softmax(coded)));
          compared++;
        }
        if (!weighed.includes(t)) continue;
        weights += cos(softmax(exact), softmax(coded));
        count++;
        const e = coded.map((x, i) => x - exact[i]!);
        const mean = (x: number[]) => x.reduce((a, b) => a + b) / x.length;
        error += e.reduce((s, x) => s + (x - mean(e)) ** 2, 0);
        energy += exact.reduce((s, x) => s + (x - mean(exact)) ** 2, 0);
      }
  expect(result!.weightCosine).toBeCloseTo(weights / count, 5);
  expect(result!.logitError).toBeCloseTo(Math.sqrt(error / energy), 5);
  expect(outputs / compared).toBeLessThan(1); // the values of turbo3 are coded too: result.outputCosine is lower still
  contender.dispose();
});

test("scores are the store's own: f16 planes, and a stretch of the tokens", () => {
  const stores: MeasuredKv[] = [dense("f32"), dense("f16"), packed("f16")];
  for (const kv of stores) model.transformer.forward(tokens.subarray(0, BLOCK), kv);
  const { headDim } = model.transformer.kvShape;
  const query = Float32Array.from({ length: headDim }, (_, i) => Math.cos(i));
  const [f32, dense16, packed16] = stores.map((kv) => {
    const all = new Float32Array(BLOCK);
    const some = new Float32Array(5);
    kv.scores(2, 1, query, all);
    kv.scores(2, 1, query, some);
    expect(some).toEqual(all.subarray(0, 5));
    return all;
  });
  for (let i = 0; i < BLOCK; i++) {
    expect(dense16![i]).toBeCloseTo(packed16![i]!, 3);
    expect(Math.abs(dense16![i]! - f32![i]!)).toBeLessThan(0.02);
  }
  expect(dense16).not.toEqual(f32);
});

test("tokens taken back are gone: what follows is as if they had never been", () => {
  const { transformer } = model;
  for (const open of [() => dense(), () => packed("turbo3"), () => packed("turbo3+mean")]) {
    const [kv, fresh] = [open(), open()];
    const logits = (store: MeasuredKv) => {
      transformer.forward(tokens.subarray(10, 14), store);
      let row = new Float32Array();
      transformer.logits(3, 1, (_, r) => {
        row = r.slice();
      });
      return row;
    };
    for (const store of [kv, fresh]) transformer.forward(tokens.subarray(0, 10), store);
    transformer.forward(tokens.subarray(20, 30), kv);
    kv.truncate(10);
    expect(kv.length).toBe(10);
    expect(logits(kv)).toEqual(logits(fresh));
  }
});
