/**
 * Fixed prompts, answered greedily over every cache (spec 5 §5.1): how long two answers stay the same, what each says, and
 * whether it is what was asked for. A conversation's earlier answers are each cache's own.
 */
import { assertInteger } from "../../core/check.js";
import type { Chat, ChatMessage } from "../chat.js";
import { greedy } from "../generate.js";
import type { MeasuredKv } from "../kv-store.js";
import type { Transformer } from "../transformer.js";

/** A prompt: user turns in order, and a pattern that a good last answer matches. */
export interface SidePrompt {
  readonly category: string;
  readonly turns: readonly string[];
  readonly pattern: RegExp;
}

/** A cache's last answer. */
export interface SideAnswer {
  readonly text: string;
  /** Whether it matches the prompt's pattern. */
  readonly asAsked: boolean;
}

/** One prompt over a cache and over the baseline. */
export interface SideBySide {
  readonly category: string;
  /** Tokens of the last turn's prompt, and how many were cut out of its middle to fit. */
  readonly promptTokens: number;
  readonly cut: number;
  readonly baseline: SideAnswer;
  readonly answer: SideAnswer;
  /** Tokens that both answers begin with, of so many that the baseline's has. */
  readonly same: number;
  readonly of: number;
}

/** How long prompts and answers may be, in tokens. */
export interface SideLimits {
  /** Room of the caches. */
  readonly context: number;
  readonly answerTokens: number;
}

interface Said {
  readonly tokens: readonly number[];
  readonly text: string;
  readonly promptTokens: number;
  readonly cut: number;
}

/** The first and last tokens of a prompt that is too long: the question is at its end. */
export function cutMiddle(tokens: Int32Array, room: number): Int32Array {
  if (tokens.length <= room) return tokens;
  const head = room >> 1;
  const cut = new Int32Array(room);
  cut.set(tokens.subarray(0, head));
  cut.set(tokens.subarray(tokens.length - (room - head)), head);
  return cut;
}

/** How many first tokens are the same. */
export function commonPrefix(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let at = 0;
  while (at < a.length && at < b.length && a[at] === b[at]) at++;
  return at;
}

function converse(
  transformer: Transformer,
  chat: Chat,
  kv: MeasuredKv,
  turns: readonly string[],
  { context, answerTokens }: SideLimits,
): Said {
  const { tokenizer } = chat;
  const messages: ChatMessage[] = [];
  let held: number[] = [];
  kv.reset();
  let said: Said = { tokens: [], text: "", promptTokens: 0, cut: 0 };
  for (const content of turns) {
    messages.push({ role: "user", content });
    const whole = chat.encode(messages);
    const prompt = cutMiddle(whole, context - answerTokens);
    const known = Math.min(commonPrefix(held, prompt), prompt.length - 1);
    kv.truncate(known);
    const tokens = greedy(transformer, kv, prompt.subarray(known), answerTokens, tokenizer.eos);
    held = [...prompt, ...tokens.slice(0, -1)];
    const text = tokenizer.decode(tokens.filter((token) => token !== tokenizer.eos));
    said = { tokens, text, promptTokens: prompt.length, cut: whole.length - prompt.length };
    messages.push({ role: "assistant", content: text });
  }
  return said;
}

/** Answers every prompt over the baseline and each contender. Results in the contenders' order, then the prompts'. */
export function sideBySide(
  transformer: Transformer,
  chat: Chat,
  baseline: MeasuredKv,
  contenders: readonly MeasuredKv[],
  prompts: readonly SidePrompt[],
  limits: SideLimits,
): SideBySide[][] {
  assertInteger(limits.answerTokens, "answerTokens", 1);
  assertInteger(limits.context, "context", limits.answerTokens + 2);
  const answers = (kv: MeasuredKv): Said[] =>
    prompts.map(({ turns }) => converse(transformer, chat, kv, turns, limits));
  const expected = answers(baseline);
  return contenders.map((kv) =>
    answers(kv).map((said, i) => {
      const { category, pattern } = prompts[i]!;
      const base = expected[i]!;
      const answer = ({ text }: Said): SideAnswer => ({ text, asAsked: pattern.test(text) });
      return {
        category,
        promptTokens: base.promptTokens,
        cut: base.cut,
        baseline: answer(base),
        answer: answer(said),
        same: commonPrefix(base.tokens, said.tokens),
        of: base.tokens.length,
      };
    }),
  );
}
