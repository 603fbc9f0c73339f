/**
 * What each layer costs: the KL divergence from the baseline with that layer's cache alone compressed (spec 5 §5.1),
 * for each of several pairs. The result is what `turboquant profile --sensitivity` reads.
 *
 * Layers below the compressed one see nothing of it, so what goes into every layer is kept from the baseline's run, and only
 * the layers from the compressed one on are run again: half the work, to the same bits.
 */
import { assertInteger } from "../core/check.js";
import { CacheKv } from "./cache-kv.js";
import { type KvPair, kvPair } from "./kv-pair.js";
import type { KvStore } from "./kv-store.js";
import { type OpenKv, openKv } from "./open-kv.js";
import { comparison, type EvalPlan, emptyState, type Scores, scoredPerChunk } from "./perplexity.js";
import { loadSensitivity, type SensitivityState, saveSensitivity } from "./sensitivity-checkpoint.js";
import { meanOf } from "./statistics.js";
import type { Transformer } from "./transformer.js";

/** Which layers and pairs to measure, over which tokens. */
export interface SensitivityRequest {
  readonly plan: EvalPlan;
  /** Names of pairs (kv-pair.ts), of formats alone: centring and sinks are the whole cache's. */
  readonly kv: readonly string[];
  /** The formats of all other layers, and what is compared with. */
  readonly baseline: string;
  readonly seed: number;
  /** What else the numbers depend on (the model's name and size), for the checkpoint. */
  readonly about?: readonly (string | number)[];
  readonly checkpoint?: string;
  /** Called as work proceeds: layers of chunks. */
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

/** The baseline's cache for all layers but one. */
class OneLayerKv implements KvStore {
  layer = 0;
  readonly #one: CacheKv;
  readonly #rest: OpenKv;

  constructor(one: CacheKv, rest: OpenKv) {
    this.#one = one;
    this.#rest = rest;
  }

  get length(): number {
    return this.#one.length;
  }
  append(layer: number, keys: Float32Array, values: Float32Array, tokens: number): void {
    if (layer === this.layer) this.#one.append(0, keys, values, tokens);
    else this.#rest.append(layer, keys, values, tokens);
  }
  attend(layer: number, queries: Float32Array, tokens: number, out: Float32Array): void {
    if (layer === this.layer) this.#one.attend(0, queries, tokens, out);
    else this.#rest.attend(layer, queries, tokens, out);
  }
  reset(): void {
    this.#one.reset();
    this.#rest.reset();
  }
  dispose(): void {
    this.#one.dispose();
  }
}

/** A block of the baseline's run: what went into each layer, what came out of the last for predictions that are scored. */
interface Block {
  readonly position: number;
  readonly into: readonly Float32Array[];
  readonly skip: number;
  readonly scored: number;
  readonly out: Float32Array;
}

function runBaseline(transformer: Transformer, kv: OpenKv, plan: EvalPlan, chunk: number): Block[] {
  const { blockTokens, config } = transformer;
  const { context } = plan;
  const from = plan.scoredFrom ?? context >> 1;
  const tokens = plan.tokens.slice(chunk * context, (chunk + 1) * context);
  if (plan.bos !== undefined) tokens[0] = plan.bos;
  kv.reset();
  const blocks: Block[] = [];
  for (let position = 0; position < context; position += blockTokens) {
    const block = tokens.subarray(position, position + blockTokens);
    const into: Float32Array[] = [];
    transformer.forward(block, kv, (_, states) => into.push(states.slice()));
    const skip = Math.max(0, from - position);
    const scored = Math.max(0, Math.min(block.length, context - 1 - position) - skip);
    const out = new Float32Array(scored * config.width);
    if (scored > 0) transformer.states(skip, scored, out);
    blocks.push({ position, into, skip, scored, out });
  }
  return blocks;
}

/** @throws RangeError for a pair that is more than formats; as evaluatePairs otherwise. */
export async function layerSensitivity(
  transformer: Transformer,
  request: SensitivityRequest,
): Promise<LayerSensitivity> {
  const { plan, seed, checkpoint } = request;
  const { kvShape: shape, engine, blockTokens } = transformer;
  const pairs = request.kv.map(kvPair);
  for (const { name, mean, centre, sinks, simulated } of pairs)
    if (mean || centre || sinks || simulated)
      throw new RangeError(`"kv" expected formats alone for a layer by itself, got ${name}`);
  assertInteger(plan.tokens.length, "plan.tokens.length", plan.context * plan.chunks);
  const capacity = plan.context;
  const open = () => openKv(shape, kvPair(request.baseline), { capacity, seed, engine, blockTokens });
  const baseline = open();
  const rest = open();
  const stores = pairs.map(
    ({ key, value }) =>
      new OneLayerKv(new CacheKv({ ...shape, layers: 1 }, capacity, { key, value, seed }), rest),
  );
  const about = [request.baseline, seed, ...request.kv, ...(request.about ?? [])];
  const scored = plan.chunks * scoredPerChunk(plan);
  const size = { plan, about, layers: shape.layers, pairs: pairs.length, scored };
  const state = checkpoint === undefined ? undefined : await loadSensitivity(checkpoint, size);
  const { divergence, done }: SensitivityState = state ?? {
    divergence: new Float64Array(shape.layers * pairs.length * scored),
    done: 0,
  };
  const compare = comparison(transformer, pairs.length + 1);
  const spare = emptyState(plan, []).baseline;
  const scoresOf = (layer: number, pair: number): Scores => {
    const at = (layer * pairs.length + pair) * scored;
    return { ...spare, divergence: divergence.subarray(at, at + scored) };
  };
  let blocks: Block[] = [];
  let ranChunk = -1;
  for (let unit = done; unit < plan.chunks * shape.layers; unit++) {
    const [chunk, layer] = [Math.floor(unit / shape.layers), unit % shape.layers];
    if (chunk !== ranChunk) blocks = runBaseline(transformer, baseline, plan, chunk);
    ranChunk = chunk;
    const outs = stores.map((kv) => runLayer(transformer, kv, layer, blocks));
    const scores = [spare, ...pairs.map((_, pair) => scoresOf(layer, pair))];
    let slot = chunk * scoredPerChunk(plan);
    for (const [b, block] of blocks.entries()) {
      if (block.scored === 0) continue;
      compare.states[0]!.set(block.out);
      for (const [pair, out] of outs.entries()) compare.states[pair + 1]!.set(out[b]!);
      const first = chunk * plan.context + block.position + block.skip + 1;
      compare.score(block.scored, plan.tokens.subarray(first, first + block.scored), scores, slot);
      slot += block.scored;
    }
    if (checkpoint !== undefined) await saveSensitivity(checkpoint, size, { divergence, done: unit + 1 });
    request.onProgress?.(unit + 1, plan.chunks * shape.layers);
  }
  for (const kv of stores) kv.dispose();
  rest.dispose();
  baseline.dispose();
  return { layers: Array.from({ length: shape.layers }, (_, layer) => resultOf(layer)) };

  function resultOf(layer: number): LayerSensitivity["layers"][number] {
    const short = (format: string, { name, key, value }: KvPair) =>
      key === value ? name : format.replace("ggml/", "");
    const options = pairs.map((pair, i) => {
      const { mean, se } = meanOf(scoresOf(layer, i).divergence);
      return { k: short(pair.key, pair), v: short(pair.value, pair), kl: mean, klSe: se };
    });
    return { layer, options };
  }
}

/** The states that come out of the last layer with `layer` compressed, block by block: predictions that are scored. */
function runLayer(
  transformer: Transformer,
  kv: OneLayerKv,
  layer: number,
  blocks: readonly Block[],
): Float32Array[] {
  kv.reset();
  kv.layer = layer;
  return blocks.map(({ position, into, skip, scored, out }) => {
    transformer.resume(layer, into[layer]!, position, kv);
    const states = new Float32Array(out.length);
    if (scored > 0) transformer.states(skip, scored, states);
    return states;
  });
}
