/** Everything but perplexity that is measured of K/V pairs, each in a cache of its own. */
import type { Center } from "../../core/centring.js";
import type { Chat } from "../chat.js";
import { type KvChoice, kvPair } from "../kv-pair.js";
import { openKv } from "../open-kv.js";
import type { EvalPlan } from "../perplexity.js";
import type { Transformer } from "../transformer.js";
import { type AttentionAccuracy, attentionAccuracy } from "./attention-accuracy.js";
import { longSession, type SessionDrift, sessionPlan } from "./long-session.js";
import type { Measure } from "./measure-names.js";
import { type MemoryMeasure, measureMemory } from "./memory.js";
import { findNeedles, type NeedleResult } from "./needle.js";
import { type SideBySide, type SidePrompt, sideBySide } from "./side-by-side.js";
import { measureSpeed, type SpeedMeasure } from "./speed.js";

/** What was measured of one pair: what was asked for, as far as it applies. */
export interface PairMeasures {
  readonly attention?: AttentionAccuracy;
  readonly needle?: NeedleResult;
  readonly session?: SessionDrift;
  readonly memory?: MemoryMeasure;
  readonly speed?: SpeedMeasure;
  readonly prompts?: readonly SideBySide[];
}

/** What to measure of which pairs. */
export interface MeasuresRequest {
  readonly measures: readonly Measure[];
  readonly plan: EvalPlan;
  readonly choices: readonly KvChoice[];
  readonly baseline: string;
  readonly seed: number;
  /** For choices with `centre`. */
  readonly center?: Center | undefined;
  /** Tokens of a haystack, of a session and of a prompt with its answer, at most. */
  readonly longContext: number;
  readonly answerTokens: number;
  /** For needles and prompts. */
  readonly chat?: Chat | undefined;
  readonly prompts: readonly SidePrompt[];
  /** Called before each measure. */
  readonly onMeasure?: (measure: Measure) => void;
}

/** Tokens that speed generates beyond the prompt. */
const SPEED_ROOM = 32;

/** Results in the choices' order. @throws RangeError where the text or the context is too short; TypeError without a chat. */
export async function measurePairs(
  transformer: Transformer,
  request: MeasuresRequest,
): Promise<PairMeasures[]> {
  const { plan, choices, seed, center, longContext } = request;
  const { kvShape: shape, engine, blockTokens } = transformer;
  const asked = new Set(request.measures);
  const chat = (): Chat => {
    if (request.chat) return request.chat;
    throw new TypeError('"chat" expected for needles and prompts, got undefined');
  };
  const capacity = Math.max(plan.context, longContext) + SPEED_ROOM;
  const options = { capacity, seed, center, engine, blockTokens };
  const baseline = openKv(shape, kvPair(request.baseline), options);
  const contenders = choices.map((choice) => openKv(shape, choice, options));
  const found: PairMeasures[] = choices.map(() => ({}));
  const keep = async <K extends Measure>(
    measure: K,
    make: () => readonly PairMeasures[K][] | Promise<readonly PairMeasures[K][]>,
  ): Promise<void> => {
    if (!asked.has(measure)) return;
    request.onMeasure?.(measure);
    for (const [i, value] of (await make()).entries())
      if (value !== undefined) found[i] = { ...found[i], [measure]: value };
  };
  try {
    await keep("attention", () => attentionAccuracy(transformer, baseline, contenders, plan));
    await keep("needle", () =>
      findNeedles(transformer, chat().tokenizer, baseline, contenders, plan.tokens, longContext),
    );
    await keep("session", async () => {
      const session = sessionPlan(transformer, plan, longContext);
      const named = choices.map(({ name }, i) => ({ name, kv: contenders[i]! }));
      return session ? longSession(transformer, baseline, named, session) : [];
    });
    await keep("memory", () => choices.map((choice) => measureMemory(shape, choice, plan.context)));
    await keep("speed", () =>
      measureSpeed(transformer, baseline, contenders, plan.tokens.subarray(0, plan.context)),
    );
    await keep("prompts", () => {
      const limits = { context: longContext, answerTokens: request.answerTokens };
      return sideBySide(transformer, chat(), baseline, contenders, request.prompts, limits);
    });
  } finally {
    for (const kv of contenders) kv.dispose();
    baseline.dispose();
  }
  return found;
}
