/** The cache that a choice of formats names, ready to run a model on, with its bytes. */
import type { Center } from "../core/centring.js";
import { CacheKv } from "./cache-kv.js";
import type { Engine } from "./engine.js";
import type { KvChoice } from "./kv-pair.js";
import type { KvShape, MeasuredKv } from "./kv-store.js";
import { MeanKv } from "./mean-kv.js";
import { SimulatedKv } from "./simulated-kv.js";
import type { Simulation } from "./simulations.js";

export interface OpenKv extends MeasuredKv {
  /** Bytes that one more token takes, in all layers. */
  readonly bytesPerToken: number;
  /** Bytes that do not grow with the tokens: means, first tokens in halves. */
  readonly fixedBytes: number;
  /** Gives the memory back. */
  dispose(): void;
}

export interface OpenKvOptions {
  /** Tokens there is room for. */
  readonly capacity: number;
  /** Of the rotations. */
  readonly seed: number;
  /** For choices with `centre`. */
  readonly center?: Center | undefined;
  /** For simulated rivals. */
  readonly engine: Engine;
  readonly blockTokens: number;
}

/** @throws as KvCache; RangeError for a choice with `centre` where none is given. */
export function openKv(shape: KvShape, choice: KvChoice, options: OpenKvOptions): OpenKv {
  const { capacity, seed } = options;
  const { key, value, sinks = 0, recent = 0 } = choice;
  const center = choice.centre ? options.center : undefined;
  if (choice.centre && !center)
    throw new RangeError(`"center" expected the model's means for ${choice.name}, got none`);
  if (choice.simulated && recent > 0)
    throw new RangeError(`"kv" expected no last tokens in halves for ${choice.name}, which is simulated`);
  if (choice.simulated) return simulated(shape, choice.simulated, sinks, center, options);
  const packed = new CacheKv(shape, capacity, {
    key,
    value,
    seed,
    sinks,
    recent,
    ...(center ? { center } : {}),
  });
  const plain = choice.mean ? new MeanKv(packed, shape) : undefined;
  const store = plain ?? packed;
  const { means, sinks: sinkBytes, recent: recentBytes } = packed.cache.stats().bytes;
  const fixedBytes = (plain?.meanBytes ?? 0) + means + sinkBytes + recentBytes;
  return new Opened(store, packed.bytesPerToken, fixedBytes, () => packed.dispose());
}

function simulated(
  shape: KvShape,
  { trip, bits }: Simulation,
  sinks: number,
  center: Center | undefined,
  { engine, capacity, blockTokens, seed }: OpenKvOptions,
): OpenKv {
  const { layers, kvHeads, headDim } = shape;
  const store = new SimulatedKv(engine, shape, capacity, {
    key: trip("key", headDim, seed),
    value: trip("value", headDim, seed),
    sinks,
    center,
    blockTokens,
  });
  const values = layers * kvHeads * headDim;
  const bytesPerToken = (values * (bits("key", headDim) + bits("value", headDim))) / 8;
  const fixedBytes = sinks * values * 4 + (center?.means.byteLength ?? 0);
  return new Opened(store, bytesPerToken, fixedBytes, () => {});
}

/** A store with what is told of it. A class, since spreading an object would freeze its length at what it was then. */
class Opened implements OpenKv {
  readonly #store: MeasuredKv;
  readonly #release: () => void;

  constructor(
    store: MeasuredKv,
    readonly bytesPerToken: number,
    readonly fixedBytes: number,
    release: () => void,
  ) {
    this.#store = store;
    this.#release = release;
  }

  get length(): number {
    return this.#store.length;
  }
  append(layer: number, keys: Float32Array, values: Float32Array, tokens: number): void {
    this.#store.append(layer, keys, values, tokens);
  }
  attend(layer: number, queries: Float32Array, tokens: number, out: Float32Array): void {
    this.#store.attend(layer, queries, tokens, out);
  }
  scores(layer: number, kvHead: number, query: Float32Array, out: Float32Array): void {
    this.#store.scores(layer, kvHead, query, out);
  }
  truncate(length: number): void {
    this.#store.truncate(length);
  }
  reset(): void {
    this.#store.reset();
  }
  dispose(): void {
    this.#release();
  }
}
