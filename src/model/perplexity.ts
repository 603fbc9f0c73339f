/**
 * Quality of caches on running text, against a baseline cache on the same tokens (spec 5 §5.1).
 *
 * The text is cut into chunks of `context` tokens, each from an empty cache; scored are the predictions made at
 * positions context/2 … context − 2 (llama-perplexity's protocol), or at all. Baseline and contenders run block by
 * block in step, so that one block of the baseline's logits is all that is held; what is kept of each prediction is
 * three numbers. Perplexity ratios are paired: exp of the mean difference of ln p, token by token.
 */
import { assertInteger } from "../core/check.js";
import type { KvStore } from "./kv-store.js";
import { type Mean, meanOf, quantile } from "./statistics.js";
import type { Transformer } from "./transformer.js";

export interface EvalPlan {
  readonly tokens: Int32Array;
  readonly context: number;
  readonly chunks: number;
  /** First position scored in a chunk; context/2 unless said. */
  readonly scoredFrom?: number;
  /** Put in the place of every chunk's first token (llama.cpp does so for models that want it). */
  readonly bos?: number;
}

export interface Contender {
  readonly name: string;
  readonly kv: KvStore;
}

/** What is kept of one cache's predictions, in the order they were scored. */
export interface Scores {
  /** ln p of the token that came. */
  readonly logProb: Float64Array;
  /** KL(baseline ‖ this) of the next-token distributions, nats; 0 for the baseline itself. */
  readonly divergence: Float64Array;
  /** 1 where the most likely token is the baseline's. */
  readonly sameTop: Uint8Array;
}

export interface EvalState {
  /** Chunks that are done. */
  chunks: number;
  readonly baseline: Scores;
  /** By contender's name. */
  readonly contenders: ReadonlyMap<string, Scores>;
}

export interface EvalProgress {
  readonly chunk: number;
  readonly chunks: number;
  /** Tokens run so far by all caches, and in all, since this call began. */
  readonly tokens: number;
  readonly totalTokens: number;
  readonly tokensPerSecond: number;
  readonly secondsLeft: number;
}

export interface EvalOptions {
  /** What an earlier call left: its chunks are not run again. */
  readonly state?: EvalState;
  readonly onProgress?: (progress: EvalProgress) => void;
  /** After every chunk; what is thrown here ends the evaluation. */
  readonly onChunk?: (state: EvalState) => void | Promise<void>;
}

/** Predictions scored in one chunk. */
export const scoredPerChunk = (plan: EvalPlan): number =>
  plan.context - 1 - (plan.scoredFrom ?? plan.context >> 1);

const emptyScores = (n: number): Scores => ({
  logProb: new Float64Array(n),
  divergence: new Float64Array(n),
  sameTop: new Uint8Array(n),
});

export function emptyState(plan: EvalPlan, names: readonly string[]): EvalState {
  const scored = plan.chunks * scoredPerChunk(plan);
  const contenders = new Map(names.map((name) => [name, emptyScores(scored)]));
  return { chunks: 0, baseline: emptyScores(scored), contenders };
}

interface Distribution {
  /** ln Σ e^logit. */
  readonly logSum: number;
  readonly top: number;
}

function distributionOf(row: Float32Array): Distribution {
  let top = 0;
  for (let i = 1; i < row.length; i++) if (row[i]! > row[top]!) top = i;
  const most = row[top]!;
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum += Math.exp(row[i]! - most);
  return { logSum: most + Math.log(sum), top };
}

/** KL(p ‖ q), nats, from logits and their ln Σ e^logit. */
export function divergence(p: Float32Array, pLogSum: number, q: Float32Array, qLogSum: number): number {
  let sum = 0;
  for (let i = 0; i < p.length; i++) {
    const logP = p[i]! - pLogSum;
    if (logP > -60) sum += Math.exp(logP) * (logP - (q[i]! - qLogSum));
  }
  return sum;
}

function checkPlan(plan: EvalPlan, transformer: Transformer): void {
  const { tokens, context, chunks } = plan;
  assertInteger(context, "context", 2);
  assertInteger(chunks, "chunks", 1);
  if (plan.scoredFrom !== undefined) assertInteger(plan.scoredFrom, "scoredFrom", 0, context - 2);
  if (plan.bos !== undefined) assertInteger(plan.bos, "bos", 0, transformer.config.vocabulary - 1);
  if (tokens.length < context * chunks)
    throw new RangeError(`"tokens" expected ${context * chunks} for ${chunks} chunks, got ${tokens.length}`);
}

/**
 * Runs the plan. The caches are reset before every chunk and must have room for `context` tokens.
 * @returns the state, complete: pass it to {@link summarise}.
 */
export async function evaluate(
  transformer: Transformer,
  baseline: KvStore,
  contenders: readonly Contender[],
  plan: EvalPlan,
  options: EvalOptions = {},
): Promise<EvalState> {
  checkPlan(plan, transformer);
  const { context } = plan;
  const from = plan.scoredFrom ?? context >> 1;
  const perChunk = scoredPerChunk(plan);
  const state =
    options.state ??
    emptyState(
      plan,
      contenders.map(({ name }) => name),
    );
  const { vocabulary } = transformer.config;
  const held = new Float32Array(Math.min(transformer.blockTokens, perChunk) * vocabulary);
  const totalTokens = (plan.chunks - state.chunks) * context * (contenders.length + 1);
  const started = performance.now();
  let ran = 0;

  const report = (chunk: number, tokens: number) => {
    ran += tokens;
    const tokensPerSecond = (1000 * ran) / (performance.now() - started);
    const secondsLeft = (totalTokens - ran) / tokensPerSecond;
    options.onProgress?.({
      chunk,
      chunks: plan.chunks,
      tokens: ran,
      totalTokens,
      tokensPerSecond,
      secondsLeft,
    });
  };

  for (let chunk = state.chunks; chunk < plan.chunks; chunk++) {
    const tokens = plan.tokens.slice(chunk * context, (chunk + 1) * context);
    const first = plan.bos ?? tokens[0]!;
    for (const kv of [baseline, ...contenders.map((contender) => contender.kv)]) kv.reset();
    for (let at = 0; at < context; at += transformer.blockTokens) {
      const block = tokens.slice(at, at + transformer.blockTokens);
      if (at === 0) block[0] = first;
      const skip = Math.max(0, from - at);
      const scored = Math.min(block.length, context - 1 - at) - skip;
      const slot = (token: number) => chunk * perChunk + at + token - from;
      const base: Distribution[] = [];

      transformer.forward(block, baseline);
      if (scored > 0)
        transformer.logits(skip, scored, (token, row) => {
          const mine = distributionOf(row);
          held.set(row, (token - skip) * vocabulary);
          base.push(mine);
          state.baseline.logProb[slot(token)] = row[tokens[at + token + 1]!]! - mine.logSum;
          state.baseline.sameTop[slot(token)] = 1;
        });
      report(chunk, block.length);

      for (const { name, kv } of contenders) {
        const scores = state.contenders.get(name)!;
        transformer.forward(block, kv);
        if (scored > 0)
          transformer.logits(skip, scored, (token, row) => {
            const i = token - skip;
            const mine = distributionOf(row);
            const theirs = held.subarray(i * vocabulary, (i + 1) * vocabulary);
            scores.logProb[slot(token)] = row[tokens[at + token + 1]!]! - mine.logSum;
            scores.divergence[slot(token)] = divergence(theirs, base[i]!.logSum, row, mine.logSum);
            scores.sameTop[slot(token)] = mine.top === base[i]!.top ? 1 : 0;
          });
        report(chunk, block.length);
      }
    }
    state.chunks = chunk + 1;
    await options.onChunk?.(state);
  }
  return state;
}

export interface EvalSummary {
  readonly scored: number;
  readonly ppl: number;
  readonly pplSe: number;
  /** exp of the mean paired difference of −ln p against the baseline. */
  readonly ratio: number;
  readonly ratioSe: number;
  readonly kld: number;
  readonly kldSe: number;
  readonly kld99: number;
  readonly kld999: number;
  /** Share of predictions whose most likely token is the baseline's. */
  readonly sameTop: number;
  readonly sameTopSe: number;
}

const exponential = ({ mean, se }: Mean): Mean => ({ mean: Math.exp(mean), se: Math.exp(mean) * se });

/** scored: how many of the predictions are there (all, unless an evaluation was cut short). */
export function summarise(scores: Scores, baseline: Scores, scored = scores.logProb.length): EvalSummary {
  const logProb = scores.logProb.subarray(0, scored);
  const kl = scores.divergence.subarray(0, scored);
  const ppl = exponential(meanOf(logProb.map((x) => -x)));
  const ratio = exponential(meanOf(logProb.map((x, i) => baseline.logProb[i]! - x)));
  const kld = meanOf(kl);
  const same = meanOf(Float64Array.from(scores.sameTop.subarray(0, scored)));
  return {
    scored,
    ppl: ppl.mean,
    pplSe: ppl.se,
    ratio: ratio.mean,
    ratioSe: ratio.se,
    kld: kld.mean,
    kldSe: kld.se,
    kld99: quantile(kl, 0.99),
    kld999: quantile(kl, 0.999),
    sameTop: same.mean,
    sameTopSe: same.se,
  };
}

/**
 * Mean divergence by position: a chunk's `perChunk` scored positions in `parts` stretches of (nearly) equal length, all
 * chunks together.
 */
export function divergenceByPosition(scores: Scores, perChunk: number, parts: number): Mean[] {
  assertInteger(parts, "parts", 1, perChunk);
  const stretch = (i: number) => Math.floor(((i % perChunk) * parts) / perChunk);
  return Array.from({ length: parts }, (_, part) =>
    meanOf(scores.divergence.filter((_, i) => stretch(i) === part)),
  );
}
