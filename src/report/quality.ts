/**
 * What compression does to recorded attention, in f64: distortion of keys and values, error of the logits, KL
 * divergence of the softmax, cosine of the output, bias of inner products. Definitions are in QUALITY_DEFINITIONS and
 * travel with the JSON; everything is computed from decoded vectors.
 */
import { centredLogitError, cosine, logSoftmax } from "../core/attention-error.js";
import { type Codec, createCodec } from "../formats/codec.js";
import type { Side } from "../formats/format.js";
import { findFormat } from "../formats/registry.js";
import type { Configuration } from "./configuration.js";
import type { RecordedLayer, Recording } from "./recording.js";
import { type Errors, Tally } from "./tally.js";

export const QUALITY_DEFINITIONS = {
  keyDistortion:
    "sum of |k - k'|^2 over sum of |k - m|^2, m the mean key of the head over all recorded tokens; all layers, heads, tokens",
  valueDistortion: "sum of |v - v'|^2 over sum of |v|^2; all layers, heads, tokens",
  logitError:
    "root of sum (e - mean e)^2 over sum (l - mean l)^2; l = q.k/sqrt(dim), e = l' - l, means per query over the tokens that it sees",
  softmaxKl: "mean over layers, query heads and queries of KL(softmax(l) || softmax(l')), nats",
  outputCosine: "mean over layers, query heads and queries of cos(sum p v, sum p' v')",
  bias: "slope - 1 of q.k' on q.k with the head's mean key taken off k and k' (0: unbiased); mean over seeds, layers and key heads, and its standard error",
} as const;

/** The errors of one key/value head of one layer. */
export interface HeadQuality extends Errors {
  readonly layer: number;
  readonly head: number;
}

export interface Quality extends Errors {
  readonly bias: number;
  /** Over heads and seeds; NaN (null in JSON) where there is one slope alone. */
  readonly biasSe: number;
  /** The same figures head by head, layers in order. */
  readonly byHead: readonly HeadQuality[];
}

/** What a recording says before anything is coded; made once, used by every configuration. */
export interface Uncoded {
  readonly recording: Recording;
  readonly heads: readonly Head[];
}

export function prepareRecording(recording: Recording): Uncoded {
  const heads = recording.layers.flatMap((layer) =>
    Array.from({ length: recording.kvHeads }, (_, g) => prepareHead(recording, layer, g)),
  );
  return { recording, heads };
}

/** seeds: rotations for the bias; the other figures are of the first. progress: called after each head. */
export function measureQuality(
  { recording, heads }: Uncoded,
  configuration: Configuration,
  seeds: readonly number[],
  progress: () => void = () => {},
): Quality {
  const all = new Tally();
  const byHead: HeadQuality[] = [];
  const slopes: number[] = [];
  const seeded = findFormat(configuration.key).family === "turboquant" ? seeds : seeds.slice(0, 1);
  for (const head of heads) {
    const tally = new Tally();
    const center = configuration.center ? Float32Array.from(head.mean) : undefined;
    seeded.forEach((seed, round) => {
      const key = roundTrip(configuration.key, "key", recording.dim, seed, head.key, center);
      slopes.push(slope(head, key, recording.dim));
      if (round > 0) return;
      const value = roundTrip(configuration.value, "value", recording.dim, seed, head.value);
      addDistortion(tally, recording.dim, head, key, value);
      for (const query of head.queries) addAttention(tally, recording, query, key, value);
    });
    all.add(tally);
    byHead.push({ layer: head.layer, head: head.head, ...tally.errors() });
    progress();
  }
  return { ...all.errors(), ...meanAndError(slopes), byHead };
}

interface Head {
  readonly layer: number;
  readonly head: number;
  /** (tokens, dim) */
  readonly key: Float32Array;
  readonly value: Float32Array;
  /** Mean key, (dim,). */
  readonly mean: Float64Array;
  /** Every query of every query head that reads this one. */
  readonly queries: readonly UncodedQuery[];
  /** Σ over queries of ⟨q, k − m⟩ q for each token, (tokens, dim); and Σ ⟨q, k − m⟩²: what the slope needs. */
  readonly pull: Float64Array;
  readonly square: number;
}

interface UncodedQuery {
  /** (dim,) */
  readonly query: Float32Array;
  /** Over the tokens that it sees: logits, log-softmax; and the attention output (dim,). */
  readonly logits: Float64Array;
  readonly logWeights: Float64Array;
  readonly output: Float64Array;
}

function prepareHead(recording: Recording, layer: RecordedLayer, g: number): Head {
  const { tokens, dim, queries, heads, kvHeads } = recording;
  const group = heads / kvHeads;
  const size = tokens * dim;
  const key = layer.key.subarray(g * size, (g + 1) * size);
  const value = layer.value.subarray(g * size, (g + 1) * size);
  const mean = meanVector(key, dim);
  const pull = new Float64Array(size);
  let square = 0;
  const uncoded: UncodedQuery[] = [];
  for (let h = g * group; h < (g + 1) * group; h++) {
    for (let t = 0; t < queries; t++) {
      const at = (h * queries + t) * dim;
      const query = layer.query.subarray(at, at + dim);
      const logits = logitsOf(query, key, tokens - queries + t + 1);
      const normalised = logSoftmax(logits);
      uncoded.push({ query, logits, logWeights: normalised, output: average(normalised, value, dim) });
      let offset = 0;
      for (let j = 0; j < dim; j++) offset += query[j]! * mean[j]!;
      for (let i = 0; i < logits.length; i++) {
        const centred = logits[i]! * Math.sqrt(dim) - offset;
        square += centred * centred;
        for (let j = 0; j < dim; j++) pull[i * dim + j]! += centred * query[j]!;
      }
    }
  }
  return { layer: layer.layer, head: g, key, value, mean, queries: uncoded, pull, square };
}

/** q·k/√dim over the first `seen` keys. */
function logitsOf(query: Float32Array, key: Float32Array, seen: number): Float64Array {
  const dim = query.length;
  const unit = 1 / Math.sqrt(dim);
  const logits = new Float64Array(seen);
  for (let i = 0; i < seen; i++) {
    let sum = 0;
    for (let j = 0; j < dim; j++) sum += query[j]! * key[i * dim + j]!;
    logits[i] = sum * unit;
  }
  return logits;
}

/** Σ softmax · value, (dim,). */
function average(logSoftmaxed: Float64Array, value: Float32Array, dim: number): Float64Array {
  const out = new Float64Array(dim);
  for (let i = 0; i < logSoftmaxed.length; i++) {
    const p = Math.exp(logSoftmaxed[i]!);
    for (let j = 0; j < dim; j++) out[j]! += p * value[i * dim + j]!;
  }
  return out;
}

function roundTrip(
  format: string,
  side: Side,
  dim: number,
  seed: number,
  x: Float32Array,
  center?: Float32Array,
): Float32Array {
  const codec: Codec = createCodec(format, {
    dim,
    seed,
    side,
    backend: "wasm",
    ...(center ? { center } : {}),
  });
  return codec.decode(codec.encode(x));
}

function meanVector(x: Float32Array, dim: number): Float64Array {
  const mean = new Float64Array(dim);
  for (let i = 0; i < x.length; i++) mean[i % dim]! += x[i]!;
  return mean.map((sum) => sum / (x.length / dim));
}

function addDistortion(tally: Tally, dim: number, head: Head, key: Float32Array, value: Float32Array): void {
  for (let i = 0; i < key.length; i++) {
    tally.keyError += (head.key[i]! - key[i]!) ** 2;
    tally.keyEnergy += (head.key[i]! - head.mean[i % dim]!) ** 2;
    tally.valueError += (head.value[i]! - value[i]!) ** 2;
    tally.valueEnergy += head.value[i]! ** 2;
  }
}

/** Slope − 1 of ⟨q, k′ − m⟩ on ⟨q, k − m⟩ over all pairs that attention sees, in one pass over the keys. */
function slope({ mean, pull, square }: Head, key: Float32Array, dim: number): number {
  let cross = 0;
  for (let i = 0; i < key.length; i++) cross += pull[i]! * (key[i]! - mean[i % dim]!);
  return cross / square - 1;
}

function addAttention(
  tally: Tally,
  { dim }: Recording,
  { query, logits, logWeights: exact, output }: UncodedQuery,
  key: Float32Array,
  value: Float32Array,
): void {
  const codedLogits = logitsOf(query, key, logits.length);
  const { error, energy } = centredLogitError(logits, codedLogits);
  tally.logitError += error;
  tally.logitEnergy += energy;
  const coded = logSoftmax(codedLogits);
  for (let i = 0; i < exact.length; i++) tally.kl += Math.exp(exact[i]!) * (exact[i]! - coded[i]!);
  tally.cosine += cosine(output, average(coded, value, dim));
  tally.queries++;
}

function meanAndError(values: readonly number[]): { bias: number; biasSe: number } {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / (values.length - 1);
  return { bias: mean, biasSe: Math.sqrt(variance / values.length) };
}
