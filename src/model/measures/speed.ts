/**
 * Speed of a cache beside the baseline's (spec 5 §5.1): tokens per second while text is generated, and the time from an
 * empty cache to the first token of the answer. Rounds go in turn and the fastest counts, since other programs only slow.
 */
import { greedy } from "../generate.js";
import type { KvStore } from "../kv-store.js";
import type { Transformer } from "../transformer.js";

/** A cache's speed, as measured and as shares of the baseline's. */
export interface SpeedMeasure {
  readonly promptTokens: number;
  readonly firstTokenSeconds: number;
  readonly tokensPerSecond: number;
  /** tokensPerSecond over the baseline's. */
  readonly rate: number;
  /** firstTokenSeconds over the baseline's. */
  readonly firstToken: number;
}

/** How often every cache goes, and the tokens generated each time. */
const EFFORT = { rounds: 5, generated: 24 };

interface Times {
  first: number;
  rest: number;
}

function timed(transformer: Transformer, kv: KvStore, prompt: Int32Array, generated: number): Times {
  kv.reset();
  const started = performance.now();
  const [token] = greedy(transformer, kv, prompt, 1);
  const answered = performance.now();
  greedy(transformer, kv, [token!], generated);
  return { first: (answered - started) / 1000, rest: (performance.now() - answered) / 1000 };
}

/** Times every cache on the prompt, with room for the answer. Results in the contenders' order. */
export function measureSpeed(
  transformer: Transformer,
  baseline: KvStore,
  contenders: readonly KvStore[],
  prompt: Int32Array,
  { rounds, generated } = EFFORT,
): SpeedMeasure[] {
  const caches = [baseline, ...contenders];
  const best = caches.map((): Times => ({ first: Number.POSITIVE_INFINITY, rest: Number.POSITIVE_INFINITY }));
  for (let round = 0; round < rounds; round++)
    for (const [i, kv] of caches.entries()) {
      const { first, rest } = timed(transformer, kv, prompt, generated);
      best[i] = { first: Math.min(first, best[i]!.first), rest: Math.min(rest, best[i]!.rest) };
    }
  const [base, ...others] = best;
  return others.map(({ first, rest }) => ({
    promptTokens: prompt.length,
    firstTokenSeconds: first,
    tokensPerSecond: generated / rest,
    rate: base!.rest / rest,
    firstToken: first / base!.first,
  }));
}
