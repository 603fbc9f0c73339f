/** Means of a model's keys over a text, for key centring (core/centring.ts), and the file that keeps them. */
import { type Center, MeanEstimator } from "../core/centring.js";
import { assertInteger } from "../core/check.js";
import { FormatError } from "../core/format-error.js";
import { checkRope } from "../core/rope.js";
import { readSafetensors, type SafetensorsTensor, writeSafetensors } from "../files/safetensors.js";
import { DenseKv } from "./dense-kv.js";
import type { KvShape, KvStore } from "./kv-store.js";
import type { Transformer } from "./transformer.js";

/** Passes everything on to an uncompressed store and adds up the keys that go by. */
class MeasuringKv implements KvStore {
  readonly estimator: MeanEstimator;
  readonly #inner: KvStore;
  readonly #shape: KvShape;
  #position = 0;

  constructor(inner: KvStore, shape: KvShape, estimator: MeanEstimator) {
    this.#inner = inner;
    this.#shape = shape;
    this.estimator = estimator;
  }

  get length(): number {
    return this.#inner.length;
  }
  reset(): void {
    this.#inner.reset();
  }
  append(layer: number, keys: Float32Array, values: Float32Array, tokens: number): void {
    const { kvHeads, headDim } = this.#shape;
    if (layer === 0) this.#position = this.#inner.length;
    this.#inner.append(layer, keys, values, tokens);
    for (let t = 0; t < tokens; t++)
      for (let head = 0; head < kvHeads; head++) {
        const at = (t * kvHeads + head) * headDim;
        this.estimator.add(layer * kvHeads + head, this.#position + t, keys.subarray(at, at + headDim));
      }
  }
  attend(layer: number, queries: Float32Array, tokens: number, out: Float32Array): void {
    this.#inner.attend(layer, queries, tokens, out);
  }
}

export interface CenterRequest {
  readonly tokens: Int32Array;
  /** Tokens of a chunk; each begins with an empty cache. */
  readonly context: number;
  readonly chunks: number;
  readonly onProgress?: (tokens: number, total: number) => void;
}

export interface MeasuredCenter extends Center {
  /** (layers, kvHeads): the share of the keys' energy that is their mean. */
  readonly shares: Float64Array;
}

/** Runs the chunks over an f32 cache. @throws RangeError where the text is too short. */
export function measureCenter(transformer: Transformer, request: CenterRequest): MeasuredCenter {
  const { tokens, context, chunks } = request;
  assertInteger(context, "context", 8);
  assertInteger(chunks, "chunks", 1);
  if (tokens.length < context * chunks)
    throw new RangeError(`"tokens" expected ${context * chunks} for ${chunks} chunks, got ${tokens.length}`);
  const { kvShape, rope, engine, blockTokens } = transformer;
  const { layers, kvHeads, headDim } = kvShape;
  const inner = new DenseKv(engine, kvShape, context, "f32", blockTokens);
  const kv = new MeasuringKv(inner, kvShape, new MeanEstimator(layers * kvHeads, headDim, rope));
  for (let chunk = 0; chunk < chunks; chunk++) {
    kv.reset();
    for (let at = 0; at < context; at += blockTokens) {
      const from = chunk * context + at;
      transformer.forward(tokens.subarray(from, from + Math.min(blockTokens, context - at)), kv);
      request.onProgress?.(chunk * context + kv.length, chunks * context);
    }
  }
  return { means: kv.estimator.means(), rope, shares: kv.estimator.shares() };
}

const TENSOR = "means";

/** Writes `means` (layers, kvHeads, headDim) as f32 and the rope as JSON in the metadata; atomically. */
export async function writeCenter(
  path: string,
  { means, rope }: Center,
  { layers, kvHeads, headDim }: KvShape,
  about: Readonly<Record<string, string>>,
): Promise<void> {
  const tensor: SafetensorsTensor = { dtype: "F32", shape: [layers, kvHeads, headDim], data: means };
  const metadata = { ...about, rope: JSON.stringify(rope ?? null) };
  await writeSafetensors(path, { metadata, tensors: new Map([[TENSOR, tensor]]) });
}

/** @throws FormatError BAD_FILE, also where the means are of another shape. */
export async function readCenter(
  path: string,
  { layers, kvHeads, headDim }: Omit<KvShape, "heads">,
): Promise<Center> {
  const bad = (what: string): FormatError => new FormatError("BAD_FILE", `${path}: ${what}`);
  const { metadata, tensors } = await readSafetensors(path);
  const tensor = tensors.get(TENSOR);
  if (tensor?.dtype !== "F32")
    throw bad(`expected an F32 tensor "${TENSOR}"; make one with: turboquant centre`);
  const shape = [layers, kvHeads, headDim];
  if (tensor.shape.join() !== shape.join())
    throw bad(`"${TENSOR}" expected [${shape}] (layers, KV heads, head), got [${tensor.shape}]`);
  if (!tensor.data.every(Number.isFinite)) throw bad(`"${TENSOR}" has values that are not finite`);
  try {
    const rope = JSON.parse(metadata.rope ?? "");
    return { means: tensor.data, rope: rope === null ? undefined : checkRope(rope, headDim) };
  } catch (error) {
    throw bad(`"rope" in the metadata: ${error instanceof Error ? error.message : error}`);
  }
}
