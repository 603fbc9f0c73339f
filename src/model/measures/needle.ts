/**
 * A needle in a haystack (spec 5 §5.1): a sentence that says something nobody could guess is hidden in a text, at several
 * depths in turn; at the text's end the model is given the sentence's beginning and must go on with what it said. The needle
 * is found where the greedy text is the answer, token by token. What counts is what the baseline finds.
 */
import { assertInteger } from "../../core/check.js";
import { distributionOf } from "../distribution.js";
import type { KvStore } from "../kv-store.js";
import type { Tokenizer } from "../tokenizer.js";
import type { Transformer } from "../transformer.js";

/** Things, and the words that say which: one for each depth, other words in every round. */
const DEPTHS = [0, 0.25, 0.5, 0.75, 1];
const SUBJECTS = [
  "the harbour master",
  "the old sailor",
  "the young widow",
  "the blind fiddler",
  "the miller's son",
];
const WORDS = [
  ["lantern", "thistle", "copper", "velvet", "anchor"],
  ["marble", "pepper", "saddle", "winter", "feather"],
  ["candle", "button", "silver", "ribbon", "barrel"],
];

/** What is hidden: `before` is given, `answer` asked for. Token ids. */
export interface Needle {
  readonly before: readonly number[];
  readonly answer: readonly number[];
}

/** A text with a needle in it, and what to ask at its end. */
export interface Haystack extends Needle {
  readonly tokens: Int32Array;
  /** Share of the text that lies before the needle. */
  readonly depth: number;
}

/** One needle's fate. */
export interface NeedleTrial {
  readonly depth: number;
  readonly baselineFound: boolean;
  readonly found: boolean;
  /** ln p of the whole answer, given what is before it. */
  readonly baselineLogProb: number;
  readonly logProb: number;
}

/** What one cache found. */
export interface NeedleResult {
  /** Tokens of a haystack. */
  readonly context: number;
  readonly trials: readonly NeedleTrial[];
  readonly baselineFound: number;
  /** How many of those that the baseline finds were found. */
  readonly kept: number;
}

/** Rounds there are words for. */
export const ROUNDS = WORDS.length;

/** The needles of a round, one for each depth, in the model's tokens. */
export function needlesOf(tokenizer: Tokenizer, round: number): Needle[] {
  assertInteger(round, "round", 0, ROUNDS - 1);
  const ids = (text: string): number[] => [...tokenizer.encode(text, { bos: false })];
  return SUBJECTS.map((who, i) => {
    const before = ids(`\nThe secret word of ${who} is`);
    return {
      before,
      answer: ids(`\nThe secret word of ${who} is ${WORDS[round]![i]!}.`).slice(before.length, -1),
    };
  });
}

/**
 * A text with the needle at its depth, the longest that leaves room for the question in `context` tokens.
 * @throws RangeError where there is no room, or not text enough.
 */
export function haystack(
  text: Int32Array,
  { before, answer }: Needle,
  stop: readonly number[],
  context: number,
  depth: number,
): Haystack {
  const length = before.length + answer.length;
  const straw = context - 2 * length - stop.length;
  assertInteger(straw, "context", 1, text.length);
  const until = Math.round(depth * straw);
  const parts = [...text.subarray(0, until), ...before, ...answer, ...stop, ...text.subarray(until, straw)];
  return { before, answer, depth, tokens: Int32Array.from(parts) };
}

/** Whether the cache gives the answer, and ln p of it. */
interface Fate {
  readonly found: boolean;
  readonly logProb: number;
}

/** Fills `kv` with the haystack and asks for its needle. */
export function ask(transformer: Transformer, kv: KvStore, { tokens, before, answer }: Haystack): Fate {
  const { blockTokens } = transformer;
  kv.reset();
  for (let at = 0; at < tokens.length; at += blockTokens)
    transformer.forward(tokens.subarray(at, at + blockTokens), kv);
  transformer.forward([...before, ...answer.slice(0, -1)], kv);
  let found = true;
  let logProb = 0;
  transformer.logits(before.length - 1, answer.length, (token, row) => {
    const wanted = answer[token - before.length + 1]!;
    const { logSum, top } = distributionOf(row);
    found &&= top === wanted;
    logProb += row[wanted]! - logSum;
  });
  return { found, logProb };
}

/** What one cache found beside the baseline. */
export function needleResult(
  context: number,
  depths: readonly number[],
  baseline: readonly Fate[],
  contender: readonly Fate[],
): NeedleResult {
  const trials = depths.map((depth, i) => ({
    depth,
    baselineFound: baseline[i]!.found,
    found: contender[i]!.found,
    baselineLogProb: baseline[i]!.logProb,
    logProb: contender[i]!.logProb,
  }));
  const known = trials.filter(({ baselineFound }) => baselineFound);
  return { context, trials, baselineFound: known.length, kept: known.filter(({ found }) => found).length };
}

/** Hides a needle at every depth, `rounds` times, and asks for each. Results in the contenders' order. */
export function findNeedles(
  transformer: Transformer,
  tokenizer: Tokenizer,
  baseline: KvStore,
  contenders: readonly KvStore[],
  text: Int32Array,
  context: number,
  rounds = 1,
): NeedleResult[] {
  const stop = [...tokenizer.encode(".\n", { bos: false })];
  const haystacks = Array.from({ length: rounds }, (_, round) =>
    needlesOf(tokenizer, round).map((needle, i) => haystack(text, needle, stop, context, DEPTHS[i]!)),
  ).flat();
  const all = (kv: KvStore) => haystacks.map((stack) => ask(transformer, kv, stack));
  const expected = all(baseline);
  const depths = haystacks.map(({ depth }) => depth);
  return contenders.map((kv) => needleResult(context, depths, expected, all(kv)));
}
