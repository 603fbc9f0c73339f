/**
 * Quality of caches on running text, against a baseline cache on the same tokens (spec 5 §5.1).
 *
 * The text is cut into chunks of `context` tokens, each from an empty cache; scored are the predictions made at
 * positions context/2 … context − 2 (llama-perplexity's protocol), or at all. Baseline and contenders run block by
 * block in step; then their logits are made and compared a few tokens at a time, so that those few of the baseline
 * are all that is held; what is kept of each prediction is three numbers. Perplexity ratios are paired: exp of the mean difference of ln p, token by token.
 */
import { assertInteger } from "../core/check.js";
import { type Distribution, distributionOf, divergence } from "./distribution.js";
import type { KvStore } from "./kv-store.js";
import { type Mean, meanOf, quantile } from "./statistics.js";
import type { Transformer } from "./transformer.js";

/** How a text is cut into chunks and which predictions are scored. */
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

/** How far an evaluation is. */
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

  const caches = [baseline, ...contenders.map((contender) => contender.kv)];
  const scores = [state.baseline, ...contenders.map(({ name }) => state.contenders.get(name)!)];
  const compare = comparison(transformer, caches.length);

  for (let chunk = state.chunks; chunk < plan.chunks; chunk++) {
    const tokens = plan.tokens.slice(chunk * context, (chunk + 1) * context);
    const first = plan.bos ?? tokens[0]!;
    for (const kv of caches) kv.reset();
    for (let at = 0; at < context; at += transformer.blockTokens) {
      const block = tokens.slice(at, at + transformer.blockTokens);
      if (at === 0) block[0] = first;
      const skip = Math.max(0, from - at);
      const scored = Math.min(block.length, context - 1 - at) - skip;
      for (const [i, kv] of caches.entries()) {
        transformer.forward(block, kv);
        if (scored > 0) transformer.states(skip, scored, compare.states[i]!);
        report(chunk, block.length);
      }
      const next = tokens.subarray(at + skip + 1);
      if (scored > 0) compare.score(scored, next, scores, chunk * perChunk + at + skip - from);
    }
    state.chunks = chunk + 1;
    await options.onChunk?.(state);
  }
  return state;
}

/** Scores the same predictions of several caches, the first being the baseline. */
export function comparison(transformer: Transformer, caches: number) {
  const { blockTokens, logitRows } = transformer;
  const { width, vocabulary } = transformer.config;
  const states = Array.from({ length: caches }, () => new Float32Array(blockTokens * width));
  const held = new Float32Array(logitRows * vocabulary);
  const base: Distribution[] = [];
  return {
    /** Of each cache the last layer's states of the predictions: (predictions, width). */
    states,
    /** next: the tokens that came. Writes scores[cache] from index `slot` on. */
    score(predictions: number, next: Int32Array, scores: readonly Scores[], slot: number): void {
      for (let done = 0; done < predictions; done += logitRows) {
        const count = Math.min(logitRows, predictions - done);
        for (let cache = 0; cache < caches; cache++) {
          const { logProb, divergence: kl, sameTop } = scores[cache]!;
          const rows = states[cache]!.subarray(done * width, (done + count) * width);
          transformer.logitsOf(rows, (i, row) => {
            const mine = distributionOf(row);
            const at = slot + done + i;
            logProb[at] = row[next[done + i]!]! - mine.logSum;
            const theirs = held.subarray(i * vocabulary, (i + 1) * vocabulary);
            if (cache === 0) {
              theirs.set(row);
              base[i] = mine;
            } else kl[at] = divergence(theirs, base[i]!.logSum, row, mine.logSum);
            sameTop[at] = mine.top === base[i]!.top ? 1 : 0;
          });
        }
      }
    },
  };
}

/** Perplexity and divergence, each with its error. */
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
