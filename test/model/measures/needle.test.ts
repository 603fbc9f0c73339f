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

test("a haystack: the text unbroken but for the needles, which lie at their depths, and room for a question", () => {
  const needles = [3, 4, 5].map((n) => ({ before: [-n, -n - 10], answer: [-n - 20, -n - 30] }));
  const straw = Int32Array.from({ length: 100 }, (_, i) => i);
  const { tokens, needles: placed } = haystack(straw, needles, [-1], 35);
  expect(tokens.length + 4).toBe(35);
  expect([...tokens].filter((token) => token >= 0)).toEqual(Array.from({ length: 16 }, (_, i) => i));
  expect(placed.map(({ depth }) => depth)).toEqual([0, 0.5, 1]);
  expect([...tokens.subarray(0, 6)]).toEqual([-3, -13, -23, -33, -1, 0]);
  expect([...tokens].indexOf(-4)).toBe(5 + 8);
  expect([...tokens.subarray(-5)]).toEqual([-5, -15, -25, -35, -1]);
  expect(() => haystack(straw, needles, [-1], 20)).toThrow(RangeError);
  expect(() => haystack(straw.subarray(0, 9), needles, [-1], 35)).toThrow(RangeError);
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

test("an answer that the model would give is found, another is not; asking leaves the haystack as it was", () => {
  const { transformer } = model;
  const stack = haystack(text, needlesOf(model.tokenizer, 0), [1], 290);
  const kv = dense(350);
  for (let at = 0; at < stack.tokens.length; at += 64)
    transformer.forward(stack.tokens.subarray(at, at + 64), kv);
  const { before } = stack.needles[0]!;
  const answer = greedy(transformer, kv, before, 3);
  const wrong = [answer[0]!, answer[1]! === 5 ? 6 : 5, answer[2]!];
  const known = {
    tokens: stack.tokens,
    needles: [answer, wrong, answer].map((a, depth) => ({ before, answer: a, depth })),
  };
  const fates = ask(transformer, kv, known);
  expect(fates.map(({ found }) => found)).toEqual([true, false, true]);
  expect(fates[2]!.logProb).toBeCloseTo(fates[0]!.logProb, 5);
  expect(fates[1]!.logProb).toBeLessThan(fates[0]!.logProb);
  expect(kv.length).toBe(stack.tokens.length);
});

test("what counts is what the baseline finds", () => {
  const stack = {
    tokens: new Int32Array(0),
    needles: [0, 1].map((depth) => ({ depth, before: [], answer: [] })),
  };
  const fate = (found: boolean) => ({ found, logProb: found ? -1 : -9 });
  const result = needleResult(
    64,
    [stack, stack],
    [
      [fate(true), fate(true)],
      [fate(false), fate(true)],
    ],
    [
      [fate(true), fate(false)],
      [fate(true), fate(true)],
    ],
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
    290,
    1,
  );
  expect(same!.trials.length).toBe(5);
  for (const { found, baselineFound, logProb, baselineLogProb } of same!.trials) {
    expect(found).toBe(baselineFound);
    expect(logProb).toBe(baselineLogProb);
  }
  for (const { logProb, baselineLogProb } of coarse!.trials) expect(logProb).not.toBe(baselineLogProb);
});
