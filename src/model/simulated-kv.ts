/**
 * A cache that is only simulated: vectors go through a round trip (encode, decode) as they are appended and are kept as
 * f32, so what a model sees is what the codec would give back, and no byte is saved. For codecs that have no packed form
 * here, and for trials.
 */
import { type Center, turnMean } from "../core/centring.js";
import { fromF16, toF16 } from "../core/float.js";
import { Turns } from "../core/rope.js";
import { DenseKv } from "./dense-kv.js";
import type { Engine } from "./engine.js";
import type { KvShape, MeasuredKv } from "./kv-store.js";

/** Replaces rows (tokens, dim), consecutive tokens of one head, by what comes back from the codec. */
export type RoundTrip = (rows: Float32Array, dim: number) => void;

export interface SimulatedOptions {
  readonly key: RoundTrip;
  readonly value: RoundTrip;
  /** First tokens that are kept as halves. */
  readonly sinks: number;
  readonly center: Center | undefined;
  /** Most tokens of one append. */
  readonly blockTokens: number;
}

export class SimulatedKv implements MeasuredKv {
  readonly #inner: DenseKv;
  readonly #shape: KvShape;
  readonly #options: SimulatedOptions;
  readonly #turns: Turns | undefined;
  readonly #turn: Float32Array;
  readonly #turned: Float32Array;
  /** (kvHeads, tokens, dim) and (tokens, kvHeads, dim). */
  readonly #rows: Float32Array;
  readonly #keys: Float32Array;
  readonly #values: Float32Array;
  #position = 0;

  constructor(engine: Engine, shape: KvShape, capacity: number, options: SimulatedOptions) {
    const { blockTokens, center } = options;
    this.#inner = new DenseKv(engine, shape, capacity, "f32", blockTokens);
    this.#shape = shape;
    this.#options = options;
    this.#turns = center?.rope && new Turns(center.rope);
    this.#turn = new Float32Array(center?.rope?.dimensions ?? 0);
    this.#turned = new Float32Array(shape.headDim);
    const size = blockTokens * shape.kvHeads * shape.headDim;
    this.#rows = new Float32Array(size);
    this.#keys = new Float32Array(size);
    this.#values = new Float32Array(size);
  }

  get length(): number {
    return this.#inner.length;
  }

  reset(): void {
    this.#inner.reset();
    this.#position = 0;
  }

  append(layer: number, keys: Float32Array, values: Float32Array, tokens: number): void {
    if (layer === 0) this.#position = this.#inner.length;
    this.#roundTrip(keys, this.#keys, tokens, this.#options.key, layer);
    this.#roundTrip(values, this.#values, tokens, this.#options.value);
    this.#inner.append(layer, this.#keys, this.#values, tokens);
  }

  attend(layer: number, queries: Float32Array, tokens: number, out: Float32Array): void {
    this.#inner.attend(layer, queries, tokens, out);
  }

  scores(layer: number, kvHead: number, query: Float32Array, out: Float32Array): void {
    this.#inner.scores(layer, kvHead, query, out);
  }

  truncate(length: number): void {
    this.#inner.truncate(length);
  }

  /** centredLayer: where keys are centred, their layer. */
  #roundTrip(
    from: Float32Array,
    to: Float32Array,
    tokens: number,
    trip: RoundTrip,
    centredLayer?: number,
  ): void {
    const { kvHeads, headDim: dim } = this.#shape;
    const { sinks } = this.#options;
    for (let head = 0; head < kvHeads; head++) {
      const rows = this.#rows.subarray(0, tokens * dim);
      const at = (t: number): number => (t * kvHeads + head) * dim;
      for (let t = 0; t < tokens; t++) rows.set(from.subarray(at(t), at(t) + dim), t * dim);
      this.#shift(rows, centredLayer, head, -1);
      trip(rows, dim);
      this.#shift(rows, centredLayer, head, 1);
      for (let t = 0; t < tokens; t++) {
        if (this.#position + t >= sinks) to.set(rows.subarray(t * dim, (t + 1) * dim), at(t));
        else for (let i = 0; i < dim; i++) to[at(t) + i] = fromF16(toF16(from[at(t) + i]!));
      }
    }
  }

  /** rows ± R_p μ. */
  #shift(rows: Float32Array, layer: number | undefined, head: number, sign: 1 | -1): void {
    const { center } = this.#options;
    if (!center || layer === undefined) return;
    const { kvHeads, headDim: dim } = this.#shape;
    const first = (layer * kvHeads + head) * dim;
    const mean = center.means.subarray(first, first + dim);
    for (let t = 0; t * dim < rows.length; t++) {
      if (this.#turns && center.rope) {
        this.#turns.put(this.#position + t, this.#turn);
        turnMean(center.rope, mean, this.#turn, this.#turned);
      } else this.#turned.set(mean);
      for (let i = 0; i < dim; i++) rows[t * dim + i]! += sign * this.#turned[i]!;
    }
  }
}
