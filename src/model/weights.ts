/** A model's weights in the engine's memory, packed as in the file; vectors as f32. */
import { FormatError } from "../core/format-error.js";
import { checkRope, type Rope } from "../core/rope.js";
import type { Engine } from "./engine.js";
import type { ModelConfig, ModelSource } from "./model-source.js";

/** A packed matrix in the engine's memory. */
export interface Matrix {
  readonly type: number;
  readonly at: number;
  readonly rows: number;
  readonly columns: number;
  readonly rowBytes: number;
}

export interface Layer {
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

export interface Weights {
  readonly layers: readonly Layer[];
  readonly embedding: Matrix;
  readonly outputNorm: number;
  /** The embedding where the file has no matrix of its own. */
  readonly output: Matrix;
  /** How queries and keys turn, the file's factors included. */
  readonly rope: Rope;
}

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

/** Reads everything. @throws FormatError BAD_FILE for tensors that are missing or of another shape. */
export async function loadWeights(engine: Engine, source: ModelSource): Promise<Weights> {
  const { config } = source;
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
  const rope = checkRope(
    factors === undefined ? config.rope : { ...config.rope, factors: [...engine.f32(factors, pairs)] },
    config.headDim,
  );
  return { layers, embedding, outputNorm, output, rope };
}
