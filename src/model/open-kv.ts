/** The cache that a choice of formats names, ready to run a model on, with its bytes. */
import type { Center } from "../core/centring.js";
import { CacheKv } from "./cache-kv.js";
import type { Engine } from "./engine.js";
import type { KvChoice } from "./kv-pair.js";
import type { KvShape, KvStore } from "./kv-store.js";
import { MeanKv } from "./mean-kv.js";
import { SimulatedKv } from "./simulated-kv.js";
import type { Simulation } from "./simulations.js";

export interface OpenKv extends KvStore {
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
  const { key, value, sinks = 0 } = choice;
  const center = choice.centre ? options.center : undefined;
  if (choice.centre && !center)
    throw new RangeError(`"center" expected the model's means for ${choice.name}, got none`);
  if (choice.simulated) return simulated(shape, choice.simulated, sinks, center, options);
  const packed = new CacheKv(shape, capacity, { key, value, seed, sinks, ...(center ? { center } : {}) });
  const plain = choice.mean ? new MeanKv(packed, shape) : undefined;
  const store = plain ?? packed;
  const { means, sinks: sinkBytes } = packed.cache.stats().bytes;
  return {
    ...delegate(store),
    bytesPerToken: packed.bytesPerToken,
    fixedBytes: (plain?.meanBytes ?? 0) + means + sinkBytes,
    dispose: () => packed.dispose(),
  };
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
  return {
    ...delegate(store),
    bytesPerToken: (values * (bits("key", headDim) + bits("value", headDim))) / 8,
    fixedBytes: sinks * values * 4 + (center?.means.byteLength ?? 0),
    dispose: () => {},
  };
}

const delegate = (store: KvStore): KvStore => ({
  get length() {
    return store.length;
  },
  append: (layer, keys, values, tokens) => store.append(layer, keys, values, tokens),
  attend: (layer, queries, tokens, out) => store.attend(layer, queries, tokens, out),
  reset: () => store.reset(),
});
