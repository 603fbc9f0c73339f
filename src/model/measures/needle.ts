/**
 * Needles in a haystack (spec 5 §5.1): sentences that say something nobody could guess are hidden in a text at several
 * depths; at its end the model is given the beginning of each and must go on with what it said. A needle is found where the
 * greedy text is the answer, token by token. What counts is what the baseline finds.
 */
import { assertInteger } from "../../core/check.js";
import { distributionOf } from "../distribution.js";
import type { MeasuredKv } from "../kv-store.js";
import type { Tokenizer } from "../tokenizer.js";
import type { Transformer } from "../transformer.js";

/** Things, and the words that say which: five a round, all different; they lie at 0, 25, 50, 75, 100 % of the depth. */
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

/** A text with needles in it, and what to ask at its end. */
export interface Haystack {
  readonly tokens: Int32Array;
  readonly needles: readonly (Needle & { readonly depth: number })[];
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
 * `context` tokens of text with the needles in it, evenly spread, and room left for the longest question.
 * @throws RangeError where there is no room, or not text enough.
 */
export function haystack(
  text: Int32Array,
  needles: readonly Needle[],
  stop: readonly number[],
  context: number,
): Haystack {
  const lengths = needles.map(({ before, answer }) => before.length + answer.length);
  const hidden = lengths.reduce((sum, n) => sum + n + stop.length, 0);
  const straw = context - hidden - Math.max(...lengths);
  assertInteger(straw, "context", needles.length, text.length);
  const parts: number[] = [];
  let taken = 0;
  const placed = needles.map((needle, i) => {
    const depth = needles.length === 1 ? 0 : i / (needles.length - 1);
    const until = Math.round(depth * straw);
    parts.push(...text.subarray(taken, until), ...needle.before, ...needle.answer, ...stop);
    taken = until;
    return { ...needle, depth };
  });
  parts.push(...text.subarray(taken, straw));
  return { tokens: Int32Array.from(parts), needles: placed };
}

/** Fills `kv` with the haystack and asks for every needle. (found, ln p) in the needles' order. */
export function ask(
  transformer: Transformer,
  kv: MeasuredKv,
  { tokens, needles }: Haystack,
): { found: boolean; logProb: number }[] {
  const { blockTokens } = transformer;
  kv.reset();
  for (let at = 0; at < tokens.length; at += blockTokens)
    transformer.forward(tokens.subarray(at, at + blockTokens), kv);
  return needles.map(({ before, answer }) => {
    const said = [...before, ...answer.slice(0, -1)];
    transformer.forward(said, kv);
    let found = true;
    let logProb = 0;
    transformer.logits(before.length - 1, answer.length, (token, row) => {
      const wanted = answer[token - before.length + 1]!;
      const { logSum, top } = distributionOf(row);
      found &&= top === wanted;
      logProb += row[wanted]! - logSum;
    });
    kv.truncate(tokens.length);
    return { found, logProb };
  });
}

/** What one cache found beside the baseline. */
export function needleResult(
  context: number,
  haystacks: readonly Haystack[],
  baseline: ReturnType<typeof ask>[],
  contender: ReturnType<typeof ask>[],
): NeedleResult {
  const trials = haystacks.flatMap(({ needles }, round) =>
    needles.map(({ depth }, i) => ({
      depth,
      baselineFound: baseline[round]![i]!.found,
      found: contender[round]![i]!.found,
      baselineLogProb: baseline[round]![i]!.logProb,
      logProb: contender[round]![i]!.logProb,
    })),
  );
  const known = trials.filter(({ baselineFound }) => baselineFound);
  return { context, trials, baselineFound: known.length, kept: known.filter(({ found }) => found).length };
}

/** Hides five needles a round in the text and asks for them. Results in the contenders' order. */
export function findNeedles(
  transformer: Transformer,
  tokenizer: Tokenizer,
  baseline: MeasuredKv,
  contenders: readonly MeasuredKv[],
  text: Int32Array,
  context: number,
  rounds = ROUNDS,
): NeedleResult[] {
  const stop = [...tokenizer.encode(".\n", { bos: false })];
  const haystacks = Array.from({ length: rounds }, (_, round) =>
    haystack(text, needlesOf(tokenizer, round), stop, context),
  );
  const all = (kv: MeasuredKv) => haystacks.map((stack) => ask(transformer, kv, stack));
  const expected = all(baseline);
  return contenders.map((kv) => needleResult(context, haystacks, expected, all(kv)));
}
