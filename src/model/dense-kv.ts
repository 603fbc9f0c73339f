/**
 * The uncompressed cache: contiguous f32 or f16 planes (kvHeads, capacity, headDim) per layer, attended to by the
 * model's own kernel. It is the baseline that compressed caches are measured against; f16 is what engines keep.
 */
import { assertInteger, assertOneOf } from "../core/check.js";
import { fromF16 } from "../core/float.js";
import type { Engine } from "./engine.js";
import type { KvShape, MeasuredKv } from "./kv-store.js";

const KV_TYPES = ["f32", "f16"] as const;
export type DenseKvType = (typeof KV_TYPES)[number];

export class DenseKv implements MeasuredKv {
  readonly type: DenseKvType;
  readonly shape: KvShape;
  /** Tokens there is room for. */
  readonly capacity: number;
  /** Bytes of keys and values. */
  readonly bytes: number;
  readonly #engine: Engine;
  readonly #elementBytes: number;
  readonly #lengths: Int32Array;
  readonly #planes: number;
  readonly #blockTokens: number;
  readonly #staging: number;

  /** blockTokens: the most tokens of one append or attend. */
  constructor(
    engine: Engine,
    shape: KvShape,
    capacity: number,
    type: DenseKvType = "f32",
    blockTokens = 128,
  ) {
    assertInteger(capacity, "capacity", 1);
    assertOneOf(type, "type", KV_TYPES);
    this.type = type;
    this.shape = shape;
    this.capacity = (capacity + 3) & ~3; // the kernel reads keys four at a time
    this.#engine = engine;
    this.#elementBytes = type === "f32" ? 4 : 2;
    this.bytes = 2 * shape.layers * shape.kvHeads * this.capacity * shape.headDim * this.#elementBytes;
    this.#lengths = new Int32Array(shape.layers);
    this.#planes = engine.allocate(this.bytes);
    this.#blockTokens = blockTokens;
    this.#staging = engine.allocate(2 * 4 * blockTokens * shape.heads * shape.headDim);
    engine.reserveScratch(engine.kernels.attendScratch(this.capacity, shape.headDim));
  }

  get length(): number {
    return this.#lengths[this.shape.layers - 1]!;
  }

  reset(): void {
    this.#lengths.fill(0);
  }

  truncate(length: number): void {
    assertInteger(length, "length", 0, this.length);
    this.#lengths.fill(length);
  }

  #plane(layer: number, side: 0 | 1): number {
    const { kvHeads, headDim } = this.shape;
    return this.#planes + (2 * layer + side) * kvHeads * this.capacity * headDim * this.#elementBytes;
  }

  append(layer: number, keys: Float32Array, values: Float32Array, tokens: number): void {
    const { kvHeads, headDim } = this.shape;
    const length = this.#lengths[layer]!;
    if (length + tokens > this.capacity)
      throw new RangeError(`"tokens" expected at most ${this.capacity - length} more, got ${tokens}`);
    const planeValues = this.capacity * headDim;
    const row = this.#engine.f32(this.#staging, headDim);
    for (const [side, source] of [keys, values].entries()) {
      const plane = this.#plane(layer, side as 0 | 1);
      for (let head = 0; head < kvHeads; head++)
        for (let token = 0; token < tokens; token++) {
          const from = (token * kvHeads + head) * headDim;
          const at = plane + (head * planeValues + (length + token) * headDim) * this.#elementBytes;
          const vector = source.subarray(from, from + headDim);
          if (this.type === "f32") this.#engine.f32(at, headDim).set(vector);
          else {
            row.set(vector);
            this.#engine.kernels.halves(this.#staging, at, headDim);
          }
        }
    }
    this.#lengths[layer] = length + tokens;
  }

  attend(layer: number, queries: Float32Array, tokens: number, out: Float32Array): void {
    assertInteger(tokens, "tokens", 1, this.#blockTokens);
    const { heads, kvHeads, headDim } = this.shape;
    const values = tokens * heads * headDim;
    const answers = this.#staging + 4 * this.#blockTokens * heads * headDim;
    this.#engine.f32(this.#staging, values).set(queries.subarray(0, values));
    this.#engine.run("attend", heads, 1, [
      this.type === "f32" ? 0 : 1,
      this.#staging,
      tokens,
      heads,
      kvHeads,
      headDim,
      this.#plane(layer, 0),
      this.#plane(layer, 1),
      this.capacity,
      this.#lengths[layer]!,
      1 / Math.sqrt(headDim),
      answers,
    ]);
    out.set(this.#engine.f32(answers, values));
  }

  scores(layer: number, kvHead: number, query: Float32Array, out: Float32Array): void {
    const { headDim } = this.shape;
    const held = this.#lengths[layer]!;
    if (out.length > held) throw new RangeError(`"out" expected at most ${held} tokens, got ${out.length}`);
    const at = this.#plane(layer, 0) + kvHead * this.capacity * headDim * this.#elementBytes;
    const [values, bytes] = [out.length * headDim, out.length * headDim * this.#elementBytes];
    const keys =
      this.type === "f32"
        ? this.#engine.f32(at, values)
        : Float32Array.from({ length: values }, halvesOf(this.#engine.u8(at, bytes)));
    for (let t = 0; t < out.length; t++) {
      let sum = 0;
      for (let i = 0; i < headDim; i++) sum += query[i]! * keys[t * headDim + i]!;
      out[t] = sum;
    }
  }
}

const halvesOf =
  (bytes: Uint8Array) =>
  (_: unknown, i: number): number =>
    fromF16(bytes[2 * i]! | (bytes[2 * i + 1]! << 8));
