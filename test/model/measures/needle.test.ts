import { afterAll, beforeAll, expect, test } from "vitest";
import { DenseKv } from "../../../src/model/dense-kv.js";
import { greedy } from "../../../src/model/generate.js";
import { kvPair } from "../../../src/model/kv-pair.js";
import {
  ask,
  findNeedles,
  haystack,
  needleResult,
  needlesOf,
  ROUNDS,
} from "../../../src/model/measures/needle.js";
import { openKv } from "../../../src/model/open-kv.js";
import { type Model, openModel } from "../../../src/model/open-model.js";
import { houndBook, NOVELS_MODEL } from "../novels.js";

let model: Model;
let text: Int32Array;
beforeAll(async () => {
  model = await openModel(NOVELS_MODEL, { blockTokens: 64 });
  text = model.tokenizer.encode(houndBook().slice(0, 4000), { bos: false });
});
afterAll(() => model.close());
const dense = (capacity = 300) =>
  new DenseKv(model.transformer.engine, model.transformer.kvShape, capacity, "f32", 64);

test("a haystack: the text unbroken but for the needle, which lies at its depth, and room for the question", () => {
  const needle = { before: [-3, -13], answer: [-23, -33] };
  const straw = Int32Array.from({ length: 100 }, (_, i) => i);
  const at = (depth: number) => haystack(straw, needle, [-1], 29, depth);
  for (const [depth, place] of [
    [0, 0],
    [0.25, 5],
    [0.5, 10],
    [1, 20],
  ] as const) {
    const { tokens, ...rest } = at(depth);
    expect(rest).toEqual({ ...needle, depth });
    expect(tokens.length + 4).toBe(29);
    expect([...tokens].filter((token) => token >= 0)).toEqual(Array.from({ length: 20 }, (_, i) => i));
    expect([...tokens.subarray(place, place + 5)]).toEqual([-3, -13, -23, -33, -1]);
  }
  expect(() => haystack(straw, needle, [-1], 9, 0)).toThrow(RangeError);
  expect(() => haystack(straw.subarray(0, 9), needle, [-1], 29, 0)).toThrow(RangeError);
});

test("needles say something else in every round, and the answer follows what is before it", () => {
  const seen = new Set<string>();
  for (let round = 0; round < ROUNDS; round++)
    for (const { before, answer } of needlesOf(model.tokenizer, round)) {
      const sentence = model.tokenizer.decode([...before, ...answer]);
      expect(sentence).toMatch(/The secret word of the [a-z' ]+ is [a-z]+$/);
      expect(answer.length).toBeGreaterThan(0);
      seen.add(model.tokenizer.decode(answer));
    }
  expect(seen.size).toBe(5 * ROUNDS);
});

test("an answer that the model would give is found, another is not", () => {
  const { transformer } = model;
  const stack = haystack(text, needlesOf(model.tokenizer, 0)[2]!, [1], 290, 0.5);
  const kv = dense(350);
  for (let at = 0; at < stack.tokens.length; at += 64)
    transformer.forward(stack.tokens.subarray(at, at + 64), kv);
  const answer = greedy(transformer, kv, stack.before, 3);
  const wrong = [answer[0]!, answer[1]! === 5 ? 6 : 5, answer[2]!];
  const [right, other, again] = [answer, wrong, answer].map((a) =>
    ask(transformer, kv, { ...stack, answer: a }),
  );
  expect([right!.found, other!.found]).toEqual([true, false]);
  expect(again).toEqual(right);
  expect(other!.logProb).toBeLessThan(right!.logProb);
  expect(right!.logProb).toBeLessThan(0);
});

test("what counts is what the baseline finds", () => {
  const fates = (...found: boolean[]) => found.map((f) => ({ found: f, logProb: f ? -1 : -9 }));
  const result = needleResult(
    64,
    [0, 1, 0, 1],
    fates(true, true, false, true),
    fates(true, false, true, true),
  );
  expect(result).toMatchObject({ context: 64, baselineFound: 3, kept: 2 });
  expect(result.trials.map(({ depth, baselineFound, found }) => [depth, baselineFound, found])).toEqual([
    [0, true, true],
    [1, true, false],
    [0, false, true],
    [1, true, true],
  ]);
});

test("beside itself every needle fares the same; two bits change the odds", () => {
  const { engine, kvShape, blockTokens } = model.transformer;
  const open = (name: string) =>
    openKv(kvShape, kvPair(name), { capacity: 300, seed: 0, engine, blockTokens });
  const [same, coarse] = findNeedles(
    model.transformer,
    model.tokenizer,
    dense(),
    [dense(), open("turbo2")],
    text,
    160,
    2,
  );
  expect(same!.trials.map(({ depth }) => depth)).toEqual([0, 0.25, 0.5, 0.75, 1, 0, 0.25, 0.5, 0.75, 1]);
  for (const { found, baselineFound, logProb, baselineLogProb } of same!.trials) {
    expect(found).toBe(baselineFound);
    expect(logProb).toBe(baselineLogProb);
  }
  for (const { logProb, baselineLogProb } of coarse!.trials) expect(logProb).not.toBe(baselineLogProb);
});
