/**
 * What each layer costs: the KL divergence from the baseline with that layer's cache alone compressed (spec 5 §5.1),
 * for each of several pairs. The result is what `turboquant profile --sensitivity` reads.
 */
import { evaluatePairs } from "./eval-pairs.js";
import { type KvPair, kvPair } from "./kv-pair.js";
import type { EvalPlan } from "./perplexity.js";
import type { Transformer } from "./transformer.js";

/** Which layers and pairs to measure, over which tokens. */
export interface SensitivityRequest {
  readonly plan: EvalPlan;
  /** Names of pairs: kv-pair.ts. */
  readonly kv: readonly string[];
  /** The formats of all other layers, and what is compared with. */
  readonly baseline: string;
  readonly seed: number;
  /** Called as work proceeds. */
  readonly onProgress?: (done: number, total: number) => void;
}

/** What compressing one layer alone costs. */
export interface LayerSensitivity {
  readonly layers: readonly {
    readonly layer: number;
    readonly options: readonly {
      readonly k: string;
      readonly v: string;
      readonly kl: number;
      readonly klSe: number;
    }[];
  }[];
}

/** Caches that are run in step: each holds a chunk of tokens, mostly in the baseline's format. */
const AT_ONCE = 8;

/** @throws as evaluatePairs. */
export async function layerSensitivity(
  transformer: Transformer,
  request: SensitivityRequest,
): Promise<LayerSensitivity> {
  const { plan, seed, baseline } = request;
  const { layers } = transformer.config;
  const rest = kvPair(baseline);
  const only = (layer: number, compressed: string, other: string): string[] =>
    Array.from({ length: layers }, (_, at) => (at === layer ? compressed : other));
  const runs = Array.from({ length: layers }, (_, layer) =>
    request.kv.map((name) => ({ layer, pair: kvPair(name) })),
  ).flat();
  const options = Array.from(
    { length: layers },
    (): { k: string; v: string; kl: number; klSe: number }[] => [],
  );
  const short = (format: string, { name, key, value }: KvPair) =>
    key === value ? name : format.replace("ggml/", "");
  for (let at = 0; at < runs.length; at += AT_ONCE) {
    const group = runs.slice(at, at + AT_ONCE);
    const kv = group.map(({ layer, pair }) => ({
      name: `${layer} ${pair.name}`,
      key: only(layer, pair.key, rest.key),
      value: only(layer, pair.value, rest.value),
    }));
    const { results } = await evaluatePairs(transformer, { plan, kv, baseline, seed, about: [] });
    for (const [i, { layer, pair }] of group.entries()) {
      const { kld, kldSe } = results[i]!;
      options[layer]!.push({ k: short(pair.key, pair), v: short(pair.value, pair), kl: kld, klSe: kldSe });
    }
    request.onProgress?.(Math.min(at + AT_ONCE, runs.length), runs.length);
  }
  return { layers: options.map((of, layer) => ({ layer, options: of })) };
}
