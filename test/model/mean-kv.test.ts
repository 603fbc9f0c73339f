import { afterAll, beforeAll, expect, test } from "vitest";
import { DenseKv } from "../../src/model/dense-kv.js";
import { evaluatePairs } from "../../src/model/eval-pairs.js";
import { openGguf } from "../../src/model/gguf-file.js";
import { MeanKv } from "../../src/model/mean-kv.js";
import { type Model, openModel } from "../../src/model/open-model.js";
import { evaluate, summarise } from "../../src/model/perplexity.js";
import { Transformer } from "../../src/model/transformer.js";
import { slowBias, withKeyBias } from "./key-bias.js";
import { houndBook, NOVELS_MODEL } from "./novels.js";

const CONTEXT = 160;
let model: Model;
let tokens: Int32Array;
beforeAll(async () => {
  model = await openModel(NOVELS_MODEL);
  tokens = model.tokenizer.encode(houndBook().slice(0, 8000), { bos: false });
});
afterAll(() => model.close());

test("a mean subtracted from all keys changes nothing but rounding, whatever the block size", async () => {
  for (const blockTokens of [128, 7]) {
    const { transformer, close } = await openModel(NOVELS_MODEL, { blockTokens });
    const dense = () =>
      new DenseKv(transformer.engine, transformer.kvShape, CONTEXT, "f32", transformer.blockTokens);
    const contenders = [{ name: "mean", kv: new MeanKv(dense(), transformer.kvShape) }];
    const state = await evaluate(transformer, dense(), contenders, { tokens, context: CONTEXT, chunks: 2 });
    const { kld, sameTop } = summarise(state.contenders.get("mean")!, state.baseline);
    expect(Math.abs(kld)).toBeLessThan(1e-6);
    expect(sameTop).toBeGreaterThan(0.98);
    await close();
  }
});

test("what is stored is the key less the mean of the first 128 tokens, and the mean is forgotten on reset", () => {
  const stored: number[][] = [];
  const inner = {
    length: 0,
    append: (_: number, keys: Float32Array) => void stored.push([...keys.slice(0, 4)]),
    attend: () => {},
    scores: () => {},
    truncate: () => {},
    reset: () => {},
  };
  const kv = new MeanKv(inner, { layers: 2, heads: 1, kvHeads: 1, headDim: 2 });
  expect(kv.meanBytes).toBe(2 * 2 * 4);
  const values = new Float32Array(400);
  // 128 tokens of mean (2, 0), and 72 that must not count.
  const keys = Float32Array.from({ length: 400 }, (_, i) => (i >= 256 ? 99 : i % 2 ? 0 : i % 4 ? 1 : 3));
  kv.append(1, keys, values, 200);
  kv.append(0, Float32Array.of(5, 6), values, 1);
  kv.append(1, Float32Array.of(5, 6, 7, 8), values, 2);
  kv.reset();
  kv.append(1, Float32Array.of(5, 6, 7, 8), values, 2);
  expect(stored).toEqual([
    [1, 0, -1, 0],
    [0, 0],
    [3, 6, 5, 8],
    [-1, -1, 1, 1],
  ]);
});

test("a large key bias ruins a compressed cache, and centring undoes the harm", async () => {
  const plan = { tokens, context: CONTEXT, chunks: 4 };
  const kv = ["turbo4", "turbo4+mean"];
  const measure = async (transformer: Transformer) =>
    (await evaluatePairs(transformer, { plan, kv, baseline: "f32", seed: 0, about: [] })).results;
  const source = await openGguf(NOVELS_MODEL);
  const { headDim } = source.config;
  const biased = await Transformer.load(withKeyBias(source, slowBias(headDim, 4, 40)));
  await source.close();
  const [plain, centred] = await measure(biased);
  const [, unbiased] = await measure(model.transformer);
  await biased.close();
  const said = `${plain!.kld} biased, ${centred!.kld} centred, ${unbiased!.kld} without the bias`;
  expect(plain!.kld, said).toBeGreaterThan(20 * centred!.kld);
  expect(Math.abs(centred!.kld - unbiased!.kld), said).toBeLessThan(
    3 * Math.hypot(centred!.kldSe, unbiased!.kldSe),
  );
  const { layers, kvHeads } = model.transformer.kvShape;
  expect([plain!.fixedBytes, centred!.fixedBytes]).toEqual([0, 4 * layers * kvHeads * headDim]);
  expect(plain!.bytesPerToken).toBe(centred!.bytesPerToken);
});
