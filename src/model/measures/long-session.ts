/**
 * A long session (spec 5 §5.1): 50 turns in one cache, none of it forgotten. Turns are stretches of the text, the same for
 * every cache, so that what grows is the error and not a conversation gone another way. Divergence from the baseline is
 * taken turn by turn; an error that feeds on itself would show as growth.
 */
import { assertInteger } from "../../core/check.js";
import type { KvStore } from "../kv-store.js";
import {
  type Contender,
  divergenceByPosition,
  type EvalPlan,
  evaluate,
  scoredPerChunk,
} from "../perplexity.js";
import { type Mean, meanOf } from "../statistics.js";
import type { Transformer } from "../transformer.js";

/** Turns of a session, and those that growth compares: 11 … 30 and 31 … 50. */
export const TURNS = 50;
const [SETTLED, LATE] = [10, 30];

/** How the error goes on over a long session. */
export interface SessionDrift {
  readonly turnTokens: number;
  /** Mean divergence of each turn's predictions, nats. */
  readonly turns: readonly number[];
  /** Mean of turns 31 … 50 less mean of turns 11 … 30, with its error (turns taken as independent). */
  readonly growth: Mean;
}

/** Growth from turn to turn. turns: TURNS of them. */
export function growthOf(turns: readonly number[]): Mean {
  const settled = meanOf(Float64Array.from(turns.slice(SETTLED, LATE)));
  const late = meanOf(Float64Array.from(turns.slice(LATE)));
  return { mean: late.mean - settled.mean, se: Math.hypot(late.se, settled.se) };
}

/** The session's plan: as long as the model's context, the text and `most` tokens allow. undefined where that is too short. */
export function sessionPlan(transformer: Transformer, plan: EvalPlan, most: number): EvalPlan | undefined {
  const room = Math.min(most, transformer.config.context, plan.tokens.length);
  const turnTokens = Math.floor(room / TURNS);
  if (turnTokens < 2) return undefined;
  const { tokens, bos } = plan;
  const context = turnTokens * TURNS;
  return { tokens, context, chunks: 1, scoredFrom: 0, ...(bos === undefined ? {} : { bos }) };
}

/** Runs the session's plan over baseline and contenders. Results in their order. */
export async function longSession(
  transformer: Transformer,
  baseline: KvStore,
  contenders: readonly Contender[],
  plan: EvalPlan,
): Promise<SessionDrift[]> {
  const turnTokens = plan.context / TURNS;
  assertInteger(turnTokens, "plan.context / 50", 2);
  const state = await evaluate(transformer, baseline, contenders, plan);
  return contenders.map(({ name }) => {
    const parts = divergenceByPosition(state.contenders.get(name)!, scoredPerChunk(plan), TURNS);
    const turns = parts.map(({ mean }) => mean);
    return { turnTokens, turns, growth: growthOf(turns) };
  });
}
