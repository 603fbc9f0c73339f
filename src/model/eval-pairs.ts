/** An evaluation of K/V pairs by name, each in a {@link KvCache} of its own; resumable. */

import type { Center } from "../core/centring.js";
import { evalKey, loadEval, saveEval } from "./eval-checkpoint.js";
import { type KvChoice, kvPair } from "./kv-pair.js";
import { measureCenter } from "./measure-center.js";
import { type Gate, gateOf } from "./measures/gates.js";
import { openKv } from "./open-kv.js";
import {
  divergenceByPosition,
  type EvalPlan,
  type EvalProgress,
  type EvalSummary,
  evaluate,
  scoredPerChunk,
  summarise,
} from "./perplexity.js";
import { type PickedKv, pickedBy } from "./picked-kv.js";
import type { Mean } from "./statistics.js";
import type { Transformer } from "./transformer.js";

/** Which pairs to evaluate, over which tokens. */
export interface PairsRequest {
  readonly plan: EvalPlan;
  /** Names of pairs (kv-pair.ts), or choices layer by layer, whose names must differ. */
  readonly kv: readonly (string | KvChoice)[];
  readonly baseline: string;
  /** Of the rotations. */
  readonly seed: number;
  /** What keys of choices with `centre` are centred by; measured on the text where it is left out. */
  readonly center?: Center;
  /** What else the numbers depend on (the model's name and size), for the checkpoint. */
  readonly about: readonly (string | number)[];
  readonly checkpoint?: string;
  /** Called as work proceeds. */
  readonly onProgress?: (progress: EvalProgress) => void;
}

/** What `evaluatePairs` measured of one K/V pair. */
export interface EvalResult extends EvalSummary {
  readonly kv: string;
  /** Perplexity lost against the baseline. */
  readonly deltaPpl: number;
  readonly gate: Gate;
  /** Mean divergence in each quarter of a chunk's scored positions, first to last: it should not grow. */
  readonly drift: readonly Mean[];
  /** What a name stands for. */
  readonly picked: PickedKv;
  /** Every stored bit of a cache of 8,192 tokens over its values, what does not grow included. */
  readonly bitsPerValue: number;
  /** Bytes of one more token, in all layers. */
  readonly bytesPerToken: number;
  /** Bytes that do not grow with the tokens. */
  readonly fixedBytes: number;
}

/** Tokens of the cache that bits per value are counted for. */
const LONG = 8192;
/** Tokens that means are taken over where none are given. */
const CENTER_CHUNKS = 4;
const CENTER_CONTEXT = 256;

/** What keys of these choices are centred by: `given`, or measured on the plan's text; undefined where none is centred. */
export function centerFor(
  transformer: Transformer,
  plan: EvalPlan,
  choices: readonly KvChoice[],
  given?: Center,
): Center | undefined {
  return choices.some((choice) => choice.centre) ? (given ?? centerOf(transformer, plan)) : undefined;
}

/** Means over tokens behind those that are evaluated, as far as the text has them; else over its first ones. */
function centerOf(transformer: Transformer, { tokens, context, chunks }: EvalPlan): Center {
  const behind = tokens.subarray(context * chunks);
  const from = behind.length >= CENTER_CONTEXT ? behind : tokens;
  const length = Math.min(CENTER_CONTEXT, from.length);
  const most = Math.min(CENTER_CHUNKS, Math.floor(from.length / length));
  return measureCenter(transformer, { tokens: from, context: length, chunks: most });
}

/** @throws FormatError UNKNOWN_FORMAT for a pair, BAD_FILE for a checkpoint; RangeError for a plan. */
export async function evaluatePairs(
  transformer: Transformer,
  request: PairsRequest,
): Promise<{ readonly scored: number; readonly results: readonly EvalResult[] }> {
  const { plan, seed, checkpoint } = request;
  const choices = new Map(
    request.kv.map((kv): [string, KvChoice] => (typeof kv === "string" ? [kv, kvPair(kv)] : [kv.name, kv])),
  );
  const names = [...choices.keys()];
  const { kvShape: shape, engine, blockTokens } = transformer;
  const center = centerFor(transformer, plan, [...choices.values()], request.center);
  const options = { capacity: plan.context, seed, center, engine, blockTokens };
  const open = (choice: KvChoice) => openKv(shape, choice, options);
  const baseline = open(kvPair(request.baseline));
  const contenders = [...choices.values()].map((choice) => ({ name: choice.name, kv: open(choice) }));
  const formats = JSON.stringify([[...choices.values()], center ? [...center.means] : []]);
  const key = evalKey(plan, names, [request.baseline, formats, seed, ...request.about]);
  const kept = checkpoint === undefined ? undefined : await loadEval(checkpoint, key, plan, names);
  const state = await evaluate(transformer, baseline, contenders, plan, {
    ...(kept ? { state: kept } : {}),
    ...(request.onProgress ? { onProgress: request.onProgress } : {}),
    ...(checkpoint === undefined ? {} : { onChunk: (done) => saveEval(checkpoint, key, done) }),
  });
  const results = contenders.map(({ name, kv }) => {
    const scores = state.contenders.get(name)!;
    const summary = summarise(scores, state.baseline);
    const deltaPpl = summary.ppl - summary.ppl / summary.ratio;
    const drift = divergenceByPosition(scores, scoredPerChunk(plan), Math.min(4, scoredPerChunk(plan)));
    const { bytesPerToken, fixedBytes } = kv;
    const picked = pickedBy(choices.get(name)!);
    const values = 2 * shape.layers * shape.kvHeads * shape.headDim * LONG;
    const bitsPerValue = (8 * (LONG * bytesPerToken + fixedBytes)) / values;
    const gate = gateOf(deltaPpl);
    return { kv: name, ...summary, deltaPpl, gate, drift, picked, bytesPerToken, fixedBytes, bitsPerValue };
  });
  for (const { kv } of contenders) kv.dispose();
  baseline.dispose();
  return { scored: state.baseline.logProb.length, results };
}
