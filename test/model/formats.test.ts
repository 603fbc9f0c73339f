/**
 * Formats on a running model, through the definition (encode, decode, attend in f32): the stand-in model, whose numbers
 * say that the path is right and nothing about a real model's loss.
 */
import { expect, test } from "vitest";
import { DenseKv } from "../../src/model/dense-kv.js";
import { openModel } from "../../src/model/open-model.js";
import { evaluate, summarise } from "../../src/model/perplexity.js";
import { decodedKv } from "./decoded-kv.js";
import { houndText, NOVELS_MODEL } from "./novels.js";

/** llama.cpp's perplexities of the same 511 predictions (fixtures/models/README.md's run), cache f32 28.99036. */
const NATIVE_RATIO = {
  "ggml/q8_0": 28.99152 / 28.99036,
  "ggml/q5_0": 28.99595 / 28.99036,
  "ggml/q4_0": 29.17332 / 28.99036,
};

test("ggml's formats lose what they lose in llama.cpp, ours less the more bits they have", async () => {
  const model = await openModel(NOVELS_MODEL);
  const { engine, kvShape } = model.transformer;
  const dense = () => new DenseKv(engine, kvShape, 512);
  const names = [...Object.keys(NATIVE_RATIO), "turbo4", "turbo3", "turbo2"];
  const contenders = names.map((name) => ({ name, kv: decodedKv(dense(), kvShape.headDim, name, name) }));
  const tokens = model.tokenizer.encode(houndText()).slice(0, 512);
  const state = await evaluate(model.transformer, dense(), contenders, {
    tokens,
    context: 512,
    chunks: 1,
    scoredFrom: 0,
  });
  const of = (name: string) => summarise(state.contenders.get(name)!, state.baseline);
  for (const [name, native] of Object.entries(NATIVE_RATIO)) {
    const { ratio, ratioSe } = of(name);
    expect(Math.abs(ratio - native), `${name}: ${ratio} ± ${ratioSe}, native ${native}`).toBeLessThan(
      3 * ratioSe,
    );
  }
  const kld = (...formats: string[]) => formats.map((name) => of(name).kld);
  const [q8, q5, q4] = kld("ggml/q8_0", "ggml/q5_0", "ggml/q4_0") as [number, number, number];
  const [turbo4, turbo3, turbo2] = kld("turbo4", "turbo3", "turbo2") as [number, number, number];
  expect(q8).toBeGreaterThan(0);
  expect(q5).toBeGreaterThan(5 * q8);
  expect(q4).toBeGreaterThan(2 * q5);
  expect(turbo4).toBeLessThan(q4); // a quarter of a bit less, and still better
  expect(turbo3).toBeGreaterThan(2 * turbo4);
  expect(turbo2).toBeGreaterThan(2 * turbo3);
  await model.close();
});
