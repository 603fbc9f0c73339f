/**
 * A decoder-only transformer of the Llama family: per layer
 *
 *   x += Wo · attention(RoPE(Wq n), RoPE(Wk n), Wv n),  n = RMSNorm(x)      (Qwen2: q, k, v with a bias)
 *   x += Wdown (silu(Wgate n) ∘ Wup n),                 n = RMSNorm(x)
 *
 * then logits = Woutput RMSNorm(x), the output matrix being the embedding where the file has none of its own.
 * f32 arithmetic over weights that stay packed as in the file; rows are unpacked as they are used, once per block of
 * tokens. Keys and values go through a {@link KvStore}, the current token's too.
 */
import { assertInteger } from "../core/check.js";
import { FormatError } from "../core/format-error.js";
import { type Rope, Turns } from "../core/rope.js";
import { Engine } from "./engine.js";
import type { KvShape, KvStore } from "./kv-store.js";
import type { ModelConfig, ModelSource } from "./model-source.js";
import { type Layer, loadWeights, type Matrix, type Weights } from "./weights.js";

/** How a transformer computes. */
export interface TransformerOptions {
  /** Threads that work, the calling one included; fewer where workers do not start. */
  readonly threads?: number;
  /** Most tokens of one `forward`. */
  readonly blockTokens?: number;
}

/** Rows of logits computed at a time: enough that unpacking the output matrix costs little, at little memory. */
const LOGIT_ROWS = 32;
/** Rows of a matrix that a thread draws at a time. */
const PIECE = 64;

/** A decoder-only transformer of the Llama family whose cache is passed in. */
export class Transformer {
  readonly config: ModelConfig;
  readonly engine: Engine;
  readonly blockTokens: number;
  readonly #layers: readonly Layer[];
  readonly #embedding: Matrix;
  readonly #outputNorm: number;
  readonly #output: Matrix;
  readonly #turns: Turns;
  readonly #turn: Float32Array;
  /** Arrays of blockTokens rows. */
  readonly #x: number;
  readonly #normed: number;
  readonly #q: number;
  readonly #k: number;
  readonly #v: number;
  readonly #attended: number;
  readonly #gate: number;
  readonly #up: number;
  readonly #rope: number;
  #logits = 0;
  #tokens = 0;

  private constructor(config: ModelConfig, engine: Engine, blockTokens: number, weights: Weights) {
    this.config = config;
    this.engine = engine;
    this.blockTokens = blockTokens;
    this.#layers = weights.layers;
    this.#embedding = weights.embedding;
    this.#outputNorm = weights.outputNorm;
    this.#output = weights.output;
    this.#turns = new Turns(weights.rope);
    this.#turn = new Float32Array(weights.rope.dimensions);
    const rows = (values: number) => engine.allocate(4 * blockTokens * values);
    const { width, feedForward, heads, kvHeads, headDim } = config;
    this.#x = rows(width);
    this.#normed = rows(width);
    this.#q = rows(heads * headDim);
    this.#k = rows(kvHeads * headDim);
    this.#v = rows(kvHeads * headDim);
    this.#attended = rows(heads * headDim);
    this.#gate = rows(feedForward);
    this.#up = rows(feedForward);
    this.#rope = rows(config.rope.dimensions);
    engine.reserveScratch(engine.kernels.matmulScratch(Math.max(width, feedForward, heads * headDim)));
  }

  /**
   * Reads all weights of `source`, which can be closed afterwards.
   * @throws FormatError BAD_FILE for tensors that are missing or of another shape.
   */
  static async load(source: ModelSource, options: TransformerOptions = {}): Promise<Transformer> {
    const { threads = 1, blockTokens = 128 } = options;
    assertInteger(threads, "threads", 1, 32);
    assertInteger(blockTokens, "blockTokens", 1, 4096);
    const { config } = source;
    if ([config.width, config.feedForward, config.headDim].some((n) => n % 4 !== 0))
      throw new FormatError(
        "UNKNOWN_FORMAT",
        `${source.path}: widths that are no multiples of 4 are not run`,
      );
    const engine = await Engine.start(threads);
    try {
      return new Transformer(config, engine, blockTokens, await loadWeights(engine, source));
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  /** How queries and keys turn, the file's factors included. */
  get rope(): Rope {
    return this.#turns.rope;
  }

  get kvShape(): KvShape {
    const { layers, heads, kvHeads, headDim } = this.config;
    return { layers, heads, kvHeads, headDim };
  }

  #multiply(matrix: Matrix, x: number, tokens: number, y: number): void {
    const { type, at, rows, columns, rowBytes } = matrix;
    this.engine.run("matmul", rows, PIECE, [type, at, rowBytes, columns, x, tokens, y, rows]);
  }

  #embed(tokens: ArrayLike<number>): void {
    const { at, type, rowBytes } = this.#embedding;
    const { width, vocabulary } = this.config;
    for (let i = 0; i < tokens.length; i++) assertInteger(tokens[i], "tokens", 0, vocabulary - 1);
    for (let i = 0; i < tokens.length; i++)
      this.engine.kernels.dequantise(type, at + tokens[i]! * rowBytes, this.#x + 4 * width * i, width);
  }

  #ropeTable(position: number, tokens: number): void {
    const { ropeMagnitude } = this.config;
    const turn = this.#turn;
    const table = this.engine.f32(this.#rope, tokens * turn.length);
    for (let t = 0; t < tokens; t++) {
      this.#turns.put(position + t, turn);
      if (ropeMagnitude !== 1) for (let i = 0; i < turn.length; i++) turn[i]! *= ropeMagnitude;
      table.set(turn, t * turn.length);
    }
  }

  #attention(layer: Layer, index: number, tokens: number, kv: KvStore): void {
    const { width, heads, kvHeads, headDim, epsilon, rope } = this.config;
    const { kernels } = this.engine;
    kernels.rmsNorm(this.#x, layer.attentionNorm, this.#normed, tokens, width, epsilon);
    this.#multiply(layer.q, this.#normed, tokens, this.#q);
    this.#multiply(layer.k, this.#normed, tokens, this.#k);
    this.#multiply(layer.v, this.#normed, tokens, this.#v);
    if (layer.qBias !== undefined) kernels.addRows(this.#q, layer.qBias, tokens, heads * headDim);
    if (layer.kBias !== undefined) kernels.addRows(this.#k, layer.kBias, tokens, kvHeads * headDim);
    if (layer.vBias !== undefined) kernels.addRows(this.#v, layer.vBias, tokens, kvHeads * headDim);
    const split = rope.pairing === "half-split" ? 1 : 0;
    kernels.rope(this.#q, this.#rope, tokens, heads, headDim, rope.dimensions / 2, split);
    kernels.rope(this.#k, this.#rope, tokens, kvHeads, headDim, rope.dimensions / 2, split);
    const values = tokens * kvHeads * headDim;
    kv.append(index, this.engine.f32(this.#k, values), this.engine.f32(this.#v, values), tokens);
    const queries = this.engine.f32(this.#q, tokens * heads * headDim);
    kv.attend(index, queries, tokens, this.engine.f32(this.#attended, queries.length));
    this.#multiply(layer.output, this.#attended, tokens, this.#normed);
    kernels.add(this.#x, this.#normed, tokens * width);
  }

  #feedForward(layer: Layer, tokens: number): void {
    const { width, feedForward, epsilon } = this.config;
    const { kernels } = this.engine;
    kernels.rmsNorm(this.#x, layer.feedForwardNorm, this.#normed, tokens, width, epsilon);
    this.#multiply(layer.gate, this.#normed, tokens, this.#gate);
    this.#multiply(layer.up, this.#normed, tokens, this.#up);
    kernels.silu(this.#gate, this.#up, tokens * feedForward);
    this.#multiply(layer.down, this.#gate, tokens, this.#normed);
    kernels.add(this.#x, this.#normed, tokens * width);
  }

  /**
   * Runs tokens (1 to blockTokens of them) that follow those in `kv`, and adds theirs to it.
   * The result waits for {@link logits}.
   * @param tap sees what goes into each layer, (tokens, width), only valid during the call
   * @throws RangeError for a token outside the vocabulary; `kv` is as it was then.
   */
  forward(tokens: ArrayLike<number>, kv: KvStore, tap?: (layer: number, states: Float32Array) => void): void {
    assertInteger(tokens.length, "tokens.length", 1, this.blockTokens);
    this.#embed(tokens);
    this.#run(0, tokens.length, kv.length, kv, tap);
  }

  /**
   * Runs layers `first` and up over what a `tap` of {@link forward} saw going into that layer: (tokens, width), the first
   * token at `position`. `kv` is asked for those layers alone.
   */
  resume(first: number, states: Float32Array, position: number, kv: KvStore): void {
    assertInteger(first, "first", 0, this.config.layers - 1);
    assertInteger(position, "position", 0);
    const tokens = states.length / this.config.width;
    assertInteger(tokens, "states.length / width", 1, this.blockTokens);
    this.engine.f32(this.#x, states.length).set(states);
    this.#run(first, tokens, position, kv);
  }

  #run(
    first: number,
    tokens: number,
    position: number,
    kv: KvStore,
    tap?: (layer: number, states: Float32Array) => void,
  ): void {
    this.#ropeTable(position, tokens);
    for (let index = first; index < this.#layers.length; index++) {
      const layer = this.#layers[index]!;
      tap?.(index, this.engine.f32(this.#x, tokens * this.config.width));
      this.#attention(layer, index, tokens, kv);
      this.#feedForward(layer, tokens);
    }
    this.#tokens = tokens;
  }

  /** Copies what the last layer gave for tokens first … first + count − 1 of the last `forward`: (count, width). */
  states(first: number, count: number, into: Float32Array): void {
    assertInteger(first, "first", 0, this.#tokens - 1);
    assertInteger(count, "count", 1, this.#tokens - first);
    const { width } = this.config;
    into.set(this.engine.f32(this.#x + 4 * width * first, count * width));
  }

  /** Rows of logits that are in memory at a time. */
  get logitRows(): number {
    return Math.min(LOGIT_ROWS, this.blockTokens);
  }

  /**
   * Logits of tokens first … first + count − 1 of the last `forward`: `each(token, row)` once for every token, row
   * (vocabulary,) only valid during the call.
   */
  logits(first: number, count: number, each: (token: number, row: Float32Array) => void): void {
    assertInteger(first, "first", 0, this.#tokens - 1);
    assertInteger(count, "count", 1, this.#tokens - first);
    for (let done = 0; done < count; done += this.logitRows) {
      const x = this.#x + 4 * this.config.width * (first + done);
      this.#logitsAt(x, Math.min(this.logitRows, count - done), (i, row) => each(first + done + i, row));
    }
  }

  /** Logits of states that were copied before: (count, width), at most logitRows of them. */
  logitsOf(states: Float32Array, each: (index: number, row: Float32Array) => void): void {
    const { width } = this.config;
    assertInteger(states.length / width, "states.length / width", 1, this.logitRows);
    this.engine.f32(this.#normed, states.length).set(states);
    this.#logitsAt(this.#normed, states.length / width, each);
  }

  /** x: `rows` states in the engine's memory, which may be #normed itself. */
  #logitsAt(x: number, rows: number, each: (index: number, row: Float32Array) => void): void {
    const { width, vocabulary, epsilon } = this.config;
    this.#logits ||= this.engine.allocate(4 * this.logitRows * vocabulary);
    this.engine.kernels.rmsNorm(x, this.#outputNorm, this.#normed, rows, width, epsilon);
    this.#multiply(this.#output, this.#normed, rows, this.#logits);
    for (let row = 0; row < rows; row++)
      each(row, this.engine.f32(this.#logits + 4 * vocabulary * row, vocabulary));
  }

  /** Ends the worker threads. */
  close(): Promise<void> {
    return this.engine.close();
  }
}
