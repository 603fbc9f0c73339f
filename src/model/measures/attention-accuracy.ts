/**
 * How close attention over a compressed cache comes to attention over the baseline's (spec 5 §5.1): the model runs over
 * the baseline, every contender is given the same keys, values and queries, and what it gives back is compared.
 *
 *   weightCosine   mean over layers, heads and queries of cos(softmax(l), softmax(l′)), l = q·k/√d over what q sees
 *   outputCosine   mean of cos(Σ w v, Σ w′ v′), of all queries
 *   logitError     √(Σ (e − ē)² / Σ (l − l̄)²), e = l′ − l, means over what a query sees: the error of the logits relative to
 *                  those of centred keys, since what all logits have in common is not attention's to see
 */
import { centredLogitError, cosine, logSoftmax } from "../../core/attention-error.js";
import type { KvShape, KvStore, MeasuredKv } from "../kv-store.js";
import type { EvalPlan } from "../perplexity.js";
import type { Transformer } from "../transformer.js";

/** How close a cache's attention comes to the baseline's; 1, 1 and 0 where it is the same. */
export interface AttentionAccuracy {
  readonly weightCosine: number;
  readonly outputCosine: number;
  readonly logitError: number;
  /** The layer whose outputs are furthest off, and their mean cosine. */
  readonly worst: { readonly layer: number; readonly outputCosine: number };
}

/** Queries of a block whose weights are looked at, the last one among them: scores of every token cost far more. */
const WEIGHED = 4;

/** Sums of one layer. */
interface Sums {
  weights: number;
  weighed: number;
  outputs: number;
  compared: number;
  error: number;
  energy: number;
}

class Comparison {
  readonly kv: MeasuredKv;
  readonly layers: readonly Sums[];

  constructor(kv: MeasuredKv, layers: number) {
    this.kv = kv;
    const none = { weights: 0, weighed: 0, outputs: 0, compared: 0, error: 0, energy: 0 };
    this.layers = Array.from({ length: layers }, () => ({ ...none }));
  }

  outputs(layer: number, exact: Float32Array, coded: Float32Array, headDim: number): void {
    const sums = this.layers[layer]!;
    for (let at = 0; at < exact.length; at += headDim) {
      sums.outputs += cosine(exact.subarray(at, at + headDim), coded.subarray(at, at + headDim));
      sums.compared++;
    }
  }

  weights(layer: number, exact: Float64Array, coded: Float64Array): void {
    const sums = this.layers[layer]!;
    const { error, energy } = centredLogitError(exact, coded);
    sums.error += error;
    sums.energy += energy;
    sums.weights += cosine(logSoftmax(exact).map(Math.exp), logSoftmax(coded).map(Math.exp));
    sums.weighed++;
  }

  result(): AttentionAccuracy {
    const total = (field: keyof Sums): number => this.layers.reduce((sum, of) => sum + of[field], 0);
    const cosines = this.layers.map(({ outputs, compared }) => outputs / compared);
    const outputCosine = Math.min(...cosines);
    return {
      weightCosine: total("weights") / total("weighed"),
      outputCosine: total("outputs") / total("compared"),
      logitError: Math.sqrt(total("error") / total("energy")),
      worst: { layer: cosines.indexOf(outputCosine), outputCosine },
    };
  }
}

/** The baseline, which answers the model; everything that goes by is given to the contenders too. */
class ProbedKv implements KvStore {
  readonly #baseline: MeasuredKv;
  readonly #comparisons: readonly Comparison[];
  readonly #shape: KvShape;
  readonly #held: Int32Array;

  constructor(baseline: MeasuredKv, comparisons: readonly Comparison[], shape: KvShape) {
    this.#baseline = baseline;
    this.#comparisons = comparisons;
    this.#shape = shape;
    this.#held = new Int32Array(shape.layers);
  }

  get length(): number {
    return this.#baseline.length;
  }

  reset(): void {
    this.#held.fill(0);
    this.#baseline.reset();
    for (const { kv } of this.#comparisons) kv.reset();
  }

  append(layer: number, keys: Float32Array, values: Float32Array, tokens: number): void {
    this.#baseline.append(layer, keys, values, tokens);
    for (const { kv } of this.#comparisons) kv.append(layer, keys, values, tokens);
    this.#held[layer]! += tokens;
  }

  attend(layer: number, queries: Float32Array, tokens: number, out: Float32Array): void {
    this.#baseline.attend(layer, queries, tokens, out);
    const theirs = new Float32Array(tokens * this.#shape.heads * this.#shape.headDim);
    for (const comparison of this.#comparisons) {
      comparison.kv.attend(layer, queries, tokens, theirs);
      comparison.outputs(layer, out.subarray(0, theirs.length), theirs, this.#shape.headDim);
    }
    const weighed = Math.min(WEIGHED, tokens);
    for (let i = 1; i <= weighed; i++)
      this.#weigh(layer, queries, tokens, Math.ceil((i * tokens) / weighed) - 1);
  }

  /** Weights of all heads of query `at` of the `tokens` last ones. */
  #weigh(layer: number, queries: Float32Array, tokens: number, at: number): void {
    const { heads, kvHeads, headDim } = this.#shape;
    const seen = this.#held[layer]! - tokens + at + 1;
    if (seen < 2) return; // one weight is 1, whatever the score
    const row = new Float32Array(seen);
    const logits = (kv: MeasuredKv, head: number): Float64Array => {
      const from = (at * heads + head) * headDim;
      kv.scores(layer, Math.floor(head / (heads / kvHeads)), queries.subarray(from, from + headDim), row);
      return Float64Array.from(row, (score) => score / Math.sqrt(headDim));
    };
    for (let head = 0; head < heads; head++) {
      const exact = logits(this.#baseline, head);
      for (const comparison of this.#comparisons)
        comparison.weights(layer, exact, logits(comparison.kv, head));
    }
  }
}

/** Runs the plan's first `chunks` chunks (1 unless said) over the baseline. Results in the contenders' order. */
export function attentionAccuracy(
  transformer: Transformer,
  baseline: MeasuredKv,
  contenders: readonly MeasuredKv[],
  plan: EvalPlan,
  chunks = 1,
): AttentionAccuracy[] {
  const { kvShape, blockTokens } = transformer;
  const comparisons = contenders.map((kv) => new Comparison(kv, kvShape.layers));
  const probed = new ProbedKv(baseline, comparisons, kvShape);
  for (let chunk = 0; chunk < Math.min(chunks, plan.chunks); chunk++) {
    const tokens = plan.tokens.slice(chunk * plan.context, (chunk + 1) * plan.context);
    if (plan.bos !== undefined) tokens[0] = plan.bos;
    probed.reset();
    for (let at = 0; at < tokens.length; at += blockTokens)
      transformer.forward(tokens.subarray(at, at + blockTokens), probed);
  }
  return comparisons.map((comparison) => comparison.result());
}
