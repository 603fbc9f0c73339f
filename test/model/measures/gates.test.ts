import { expect, test } from "vitest";
import { askGates, gateOf, type Measures, worstOf } from "../../../src/model/measures/gates.js";
import { growthOf } from "../../../src/model/measures/long-session.js";

const verdicts = (measures: Partial<Measures>) =>
  askGates({ deltaPpl: 0, ...measures }).map(({ gate, verdict, kills }) => [gate, verdict, kills]);
const last = (measures: Partial<Measures>) => verdicts(measures).at(-1)!.slice(1);

test("perplexity: PASS to 0.5 lost, FAIL above 1, which kills; NaN fails", () => {
  const deltas = [-1, 0.5, 0.51, 1, 1.01, Number.NaN];
  expect(deltas.map(gateOf)).toEqual(["PASS", "PASS", "BORDERLINE", "BORDERLINE", "FAIL", "FAIL"]);
  expect(deltas.map((deltaPpl) => last({ deltaPpl })[1])).toEqual([false, false, false, false, true, true]);
});

test("attention: both cosines count", () => {
  const attention = (weightCosine: number, outputCosine: number) =>
    last({ attention: { weightCosine, outputCosine, logitError: 0, worst: { layer: 0, outputCosine } } });
  expect(attention(0.995, 0.995)).toEqual(["PASS", false]);
  expect(attention(0.9949, 1)).toEqual(["BORDERLINE", false]);
  expect(attention(1, 0.99)).toEqual(["BORDERLINE", false]);
  expect(attention(1, 0.9899)).toEqual(["FAIL", false]);
  expect(attention(Number.NaN, 1)).toEqual(["FAIL", false]);
});

test("needle: one of the baseline's lost is a FAIL; a baseline that finds none shows nothing", () => {
  const needle = (baselineFound: number, kept: number) =>
    last({ needle: { context: 9, trials: [], baselineFound, kept } });
  expect(needle(5, 5)).toEqual(["PASS", false]);
  expect(needle(5, 4)).toEqual(["FAIL", false]);
  expect(needle(0, 0)).toEqual(["BORDERLINE", false]);
});

test("session: growth within two standard errors; growth is of turns 31 to 50 over turns 11 to 30", () => {
  const session = (mean: number) => last({ session: { turnTokens: 4, turns: [], growth: { mean, se: 1 } } });
  expect([-9, 2, 2.1, 3, 3.1].map((mean) => session(mean)[0])).toEqual([
    "PASS",
    "PASS",
    "BORDERLINE",
    "BORDERLINE",
    "FAIL",
  ]);
  const step = Array.from({ length: 50 }, (_, turn) => (turn < 10 ? 100 : turn < 30 ? 1 : 3));
  expect(growthOf(step)).toEqual({ mean: 2, se: 0 });
  const rising = growthOf(Array.from({ length: 50 }, (_, turn) => turn));
  expect(rising.mean).toBe(20);
  // Turns 20 numbers apart by 1: sample deviation √35 each.
  expect(rising.se).toBeCloseTo(Math.sqrt((2 * 35) / 20), 12);
});

test("speed: 90 and 110 %, below 75 % kills", () => {
  const speed = (rate: number, firstToken: number) =>
    last({ speed: { rate, firstToken, promptTokens: 1, firstTokenSeconds: 1, tokensPerSecond: 1 } });
  expect(speed(0.9, 1.1)).toEqual(["PASS", false]);
  expect(speed(0.89, 1)).toEqual(["BORDERLINE", false]);
  expect(speed(1, 1.11)).toEqual(["BORDERLINE", false]);
  expect(speed(0.74, 1)).toEqual(["FAIL", true]);
});

test("memory: 15 % either way", () => {
  const memory = (measured: number) => last({ memory: { tokens: 1, measured, calculated: 100 } });
  expect([85, 115, 84, 116].map((measured) => memory(measured)[0])).toEqual(["PASS", "PASS", "FAIL", "FAIL"]);
});

test("only what was measured is asked, and the worst verdict stands for all", () => {
  expect(verdicts({})).toEqual([["perplexity", "PASS", false]]);
  expect(worstOf(["PASS", "BORDERLINE"])).toBe("BORDERLINE");
  expect(worstOf(["BORDERLINE", "FAIL", "PASS"])).toBe("FAIL");
  expect(worstOf([])).toBe("PASS");
});
