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
import { Engine } from "./engine.js";
import type { KvShape, KvStore } from "./kv-store.js";
import type { ModelConfig, ModelSource } from "./model-source.js";

/** A packed matrix in the engine's memory. */
interface Matrix {
  readonly type: number;
  readonly at: number;
  readonly rows: number;
  readonly columns: number;
  readonly rowBytes: number;
}

interface Layer {
  readonly attentionNorm: number;
  readonly q: Matrix;
  readonly k: Matrix;
  readonly v: Matrix;
  readonly qBias: number | undefined;
  readonly kBias: number | undefined;
  readonly vBias: number | undefined;
  readonly output: Matrix;
  readonly feedForwardNorm: number;
  readonly gate: Matrix;
  readonly up: Matrix;
  readonly down: Matrix;
}

export interface TransformerOptions {
  /** Threads that work, the calling one included; fewer where workers do not start. */
  readonly threads?: number;
  /** Most tokens of one `forward`. */
  readonly blockTokens?: number;
}

/** Rows of logits computed at a time. */
const LOGIT_ROWS = 64;
/** Rows of a matrix that a thread draws at a time. */
const PIECE = 64;

/** Copies tensors into the engine. */
class Loader {
  readonly #engine: Engine;
  readonly #source: ModelSource;

  constructor(engine: Engine, source: ModelSource) {
    this.#engine = engine;
    this.#source = source;
  }

  async matrix(name: string, rows: number, columns: number): Promise<Matrix> {
    const info = this.#source.tensor(name);
    if (!info) throw new FormatError("BAD_FILE", `${this.#source.path}: no tensor "${name}"`);
    if (info.rows !== rows || info.columns !== columns) {
      const shape = `[${info.columns}, ${info.rows}], expected [${columns}, ${rows}]`;
      throw new FormatError("BAD_FILE", `${this.#source.path}: tensor "${name}" is ${shape}`);
    }
    const at = this.#engine.allocate(info.bytes);
    await this.#source.read(info, this.#engine.u8(at, info.bytes));
    return { type: info.type.id, at, rows, columns, rowBytes: info.bytes / rows };
  }

  /** A vector as f32. */
  async vector(name: string, length: number): Promise<number> {
    const packed = await this.matrix(name, 1, length);
    if (packed.type === 0) return packed.at;
    const at = this.#engine.allocate(4 * length);
    this.#engine.kernels.dequantise(packed.type, packed.at, at, length);
    return at;
  }

  async optionalVector(name: string, length: number): Promise<number | undefined> {
    return this.#source.tensor(name) ? this.vector(name, length) : undefined;
  }
}

async function loadLayer(loader: Loader, config: ModelConfig, index: number): Promise<Layer> {
  const { width, feedForward, heads, kvHeads, headDim } = config;
  const of = (name: string) => `blk.${index}.${name}`;
  return {
    attentionNorm: await loader.vector(of("attn_norm.weight"), width),
    q: await loader.matrix(of("attn_q.weight"), heads * headDim, width),
    k: await loader.matrix(of("attn_k.weight"), kvHeads * headDim, width),
    v: await loader.matrix(of("attn_v.weight"), kvHeads * headDim, width),
    qBias: await loader.optionalVector(of("attn_q.bias"), heads * headDim),
    kBias: await loader.optionalVector(of("attn_k.bias"), kvHeads * headDim),
    vBias: await loader.optionalVector(of("attn_v.bias"), kvHeads * headDim),
    output: await loader.matrix(of("attn_output.weight"), width, heads * headDim),
    feedForwardNorm: await loader.vector(of("ffn_norm.weight"), width),
    gate: await loader.matrix(of("ffn_gate.weight"), feedForward, width),
    up: await loader.matrix(of("ffn_up.weight"), feedForward, width),
    down: await loader.matrix(of("ffn_down.weight"), width, feedForward),
  };
}

/** Turns per position of each pair: θ^(−2i/d), divided by the file's factors (Llama 3.1) and the linear scale. */
function ropeFrequencies(config: ModelConfig, factors: Float32Array | undefined): Float64Array {
  const { theta, dimensions, scale } = config.rope;
  return Float64Array.from(
    { length: dimensions / 2 },
    (_, i) => theta ** ((-2 * i) / dimensions) / (scale * (factors?.[i] ?? 1)),
  );
}

export class Transformer {
  readonly config: ModelConfig;
  readonly engine: Engine;
  readonly blockTokens: number;
  readonly #layers: readonly Layer[];
  readonly #embedding: Matrix;
  readonly #outputNorm: number;
  readonly #output: Matrix;
  readonly #frequencies: Float64Array;
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

  private constructor(
    config: ModelConfig,
    engine: Engine,
    blockTokens: number,
    weights: {
      layers: Layer[];
      embedding: Matrix;
      outputNorm: number;
      output: Matrix;
      frequencies: Float64Array;
    },
  ) {
    this.config = config;
    this.engine = engine;
    this.blockTokens = blockTokens;
    this.#layers = weights.layers;
    this.#embedding = weights.embedding;
    this.#outputNorm = weights.outputNorm;
    this.#output = weights.output;
    this.#frequencies = weights.frequencies;
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
      const loader = new Loader(engine, source);
      const embedding = await loader.matrix("token_embd.weight", config.vocabulary, config.width);
      const layers: Layer[] = [];
      for (let index = 0; index < config.layers; index++) layers.push(await loadLayer(loader, config, index));
      const outputNorm = await loader.vector("output_norm.weight", config.width);
      const output = source.tensor("output.weight")
        ? await loader.matrix("output.weight", config.vocabulary, config.width)
        : embedding;
      const pairs = config.rope.dimensions / 2;
      const factors = await loader.optionalVector("rope_freqs.weight", pairs);
      const frequencies = ropeFrequencies(
        config,
        factors === undefined ? factors : engine.f32(factors, pairs),
      );
      return new Transformer(config, engine, blockTokens, {
        layers,
        embedding,
        outputNorm,
        output,
        frequencies,
      });
    } catch (error) {
      await engine.close();
      throw error;
    }
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
    const pairs = this.#frequencies.length;
    const table = this.engine.f32(this.#rope, tokens * pairs * 2);
    for (let t = 0, at = 0; t < tokens; t++)
      for (let i = 0; i < pairs; i++) {
        const angle = (position + t) * this.#frequencies[i]!;
        table[at++] = Math.cos(angle);
        table[at++] = Math.sin(angle);
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
    const split = rope.pairs === "split" ? 1 : 0;
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
   * @throws RangeError for a token outside the vocabulary; `kv` is as it was then.
   */
  forward(tokens: ArrayLike<number>, kv: KvStore): void {
    assertInteger(tokens.length, "tokens.length", 1, this.blockTokens);
    this.#embed(tokens);
    this.#ropeTable(kv.length, tokens.length);
    for (const [index, layer] of this.#layers.entries()) {
      this.#attention(layer, index, tokens.length, kv);
      this.#feedForward(layer, tokens.length);
    }
    this.#tokens = tokens.length;
  }

  /**
   * Logits of tokens first … first + count − 1 of the last `forward`, (count, vocabulary) in pieces of at most 64
   * tokens: `each(token, row)` once for every token, row only valid during the call.
   */
  logits(first: number, count: number, each: (token: number, row: Float32Array) => void): void {
    assertInteger(first, "first", 0, this.#tokens - 1);
    assertInteger(count, "count", 1, this.#tokens - first);
    const { width, vocabulary, epsilon } = this.config;
    this.#logits ||= this.engine.allocate(4 * Math.min(LOGIT_ROWS, this.blockTokens) * vocabulary);
    for (let done = 0; done < count; ) {
      const rows = Math.min(LOGIT_ROWS, count - done);
      const x = this.#x + 4 * width * (first + done);
      this.engine.kernels.rmsNorm(x, this.#outputNorm, this.#normed, rows, width, epsilon);
      this.#multiply(this.#output, this.#normed, rows, this.#logits);
      for (let row = 0; row < rows; row++)
        each(first + done + row, this.engine.f32(this.#logits + 4 * vocabulary * row, vocabulary));
      done += rows;
    }
  }

  /** Ends the worker threads. */
  close(): Promise<void> {
    return this.engine.close();
  }
}
