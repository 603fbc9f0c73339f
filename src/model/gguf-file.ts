/**
 * GGUF: metadata by `@huggingface/gguf`, tensors read from the file by us.
 *
 * Only local files: the path is made absolute, so that the package can never take it for an address. Every
 * length is checked against the file's size before memory is taken for it.
 */
import { open } from "node:fs/promises";
import { resolve } from "node:path";
import { gguf } from "@huggingface/gguf";
import { FormatError } from "../core/format-error.js";
import { type RopeScaling, yarnMagnitude } from "../core/rope.js";
import { type FileSource, type ModelConfig, sourceOf, type TensorInfo } from "./model-source.js";
import { tensorType } from "./tensor-types.js";

/** Typed access to the key/value part. */
export class GgufMetadata {
  readonly path: string;
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(path: string, values: Readonly<Record<string, unknown>>) {
    this.path = path;
    this.#values = values;
  }

  #wrong(key: string, expected: string): FormatError {
    const what = this.#values[key] === undefined ? "is missing" : `is not ${expected}`;
    return new FormatError("BAD_FILE", `${this.path}: "${key}" ${what}`);
  }

  /** A number; `otherwise` where the key is absent. @throws FormatError BAD_FILE */
  number(key: string, otherwise?: number): number {
    const value = this.#values[key];
    if (value === undefined && otherwise !== undefined) return otherwise;
    const number = typeof value === "bigint" ? Number(value) : value;
    if (typeof number !== "number" || !Number.isFinite(number)) throw this.#wrong(key, "a number");
    return number;
  }

  /** A whole number ≥ 1. @throws FormatError BAD_FILE */
  count(key: string, otherwise?: number): number {
    const value = this.number(key, otherwise);
    if (!Number.isSafeInteger(value) || value < 1) throw this.#wrong(key, "a whole number above 0");
    return value;
  }

  text(key: string, otherwise?: string): string {
    const value = this.#values[key] ?? otherwise;
    if (typeof value !== "string") throw this.#wrong(key, "a text");
    return value;
  }

  flag(key: string, otherwise: boolean): boolean {
    const value = this.#values[key] ?? otherwise;
    if (typeof value !== "boolean") throw this.#wrong(key, "true or false");
    return value;
  }

  texts(key: string): readonly string[] {
    const value = this.#values[key];
    if (!Array.isArray(value) || !value.every((item) => typeof item === "string"))
      throw this.#wrong(key, "a list of texts");
    return value;
  }

  numbers(key: string): readonly number[] {
    const value = this.#values[key];
    if (!Array.isArray(value) || !value.every((item) => typeof item === "number"))
      throw this.#wrong(key, "a list of numbers");
    return value;
  }

  has(key: string): boolean {
    return this.#values[key] !== undefined;
  }
}

/** Llama 3.1's own scaling comes as a tensor of factors, which no key announces. */
function readScaling(metadata: GgufMetadata, of: (key: string) => string): RopeScaling {
  const type = metadata.text(of("rope.scaling.type"), "none");
  const factor = (): number => metadata.number(of("rope.scaling.factor"), 1);
  if (type === "none") return { type };
  if (type === "linear") return { type, factor: factor() };
  if (type !== "yarn")
    throw new FormatError(
      "UNKNOWN_FORMAT",
      `${metadata.path}: RoPE scaling "${type}"; run are none, linear, yarn`,
    );
  return {
    type,
    factor: factor(),
    originalContext: metadata.count(of("rope.scaling.original_context_length")),
    fast: metadata.number(of("rope.scaling.yarn_beta_fast"), 32),
    slow: metadata.number(of("rope.scaling.yarn_beta_slow"), 1),
  };
}

function readConfig(metadata: GgufMetadata, vocabulary: number): ModelConfig {
  const { path } = metadata;
  const architecture = metadata.text("general.architecture");
  if (architecture !== "llama" && architecture !== "qwen2")
    throw new FormatError("UNKNOWN_FORMAT", `${path}: architecture "${architecture}"; run are llama, qwen2`);
  const of = (key: string) => `${architecture}.${key}`;
  const heads = metadata.count(of("attention.head_count"));
  const kvHeads = metadata.count(of("attention.head_count_kv"), heads);
  const width = metadata.count(of("embedding_length"));
  const headDim = metadata.count(of("attention.key_length"), width / heads);
  const dimensions = metadata.count(of("rope.dimension_count"), headDim);
  if (metadata.count(of("attention.value_length"), headDim) !== headDim)
    throw new FormatError("UNKNOWN_FORMAT", `${path}: values of another length than keys are not run`);
  if (heads % kvHeads !== 0 || dimensions > headDim || dimensions % 2 !== 0)
    throw new FormatError("BAD_FILE", `${path}: ${heads} heads over ${kvHeads}, ${dimensions} of ${headDim}`);
  if (metadata.has(of("expert_count")) && metadata.number(of("expert_count")) > 0)
    throw new FormatError("UNKNOWN_FORMAT", `${path}: mixtures of experts are not run`);
  const scaling = readScaling(metadata, of);
  return {
    architecture,
    name: metadata.text("general.name", architecture),
    layers: metadata.count(of("block_count")),
    width,
    feedForward: metadata.count(of("feed_forward_length")),
    heads,
    kvHeads,
    headDim,
    vocabulary,
    context: metadata.count(of("context_length")),
    epsilon: metadata.number(of("attention.layer_norm_rms_epsilon")),
    rope: {
      pairing: architecture === "llama" ? "adjacent" : "half-split",
      dimensions,
      theta: metadata.number(of("rope.freq_base"), 10_000),
      scaling,
    },
    ropeMagnitude:
      scaling.type === "yarn"
        ? metadata.number(of("rope.scaling.attn_factor"), 1) * yarnMagnitude(scaling.factor)
        : 1,
  };
}

export interface GgufFile extends FileSource {
  readonly metadata: GgufMetadata;
}

/**
 * Opens a GGUF file; tensors are read when asked for.
 * @throws FormatError BAD_FILE for a damaged file, UNKNOWN_FORMAT for a model that is not run here; the file
 *   system's error where there is none.
 */
export async function openGguf(path: string): Promise<GgufFile> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const parsed = await gguf(resolve(path), { allowLocalFile: true }).catch((error: unknown) => {
      throw new FormatError("BAD_FILE", `${path}: ${error instanceof Error ? error.message : error}`);
    });
    const metadata = new GgufMetadata(path, parsed.metadata as unknown as Readonly<Record<string, unknown>>);
    const tensors = new Map<string, TensorInfo>();
    for (const { name, shape, dtype, offset } of parsed.tensorInfos) {
      const [columns, ...rest] = shape.map(Number) as [number, ...number[]];
      const rows = rest.reduce((n, count) => n * count, 1);
      const where = `${path}: tensor "${name}"`;
      const type = tensorType(dtype, where);
      const bytes = ((rows * columns) / type.block) * type.bytes;
      const begin = Number(parsed.tensorDataOffset + offset);
      if (columns % type.block !== 0 || !Number.isSafeInteger(bytes) || begin + bytes > size)
        throw new FormatError(
          "BAD_FILE",
          `${where} [${shape}] ${type.name} does not fit the file of ${size} bytes`,
        );
      tensors.set(name, { name, type, rows, columns, bytes, offset: begin });
    }
    const vocabulary = tensors.get("token_embd.weight")?.rows;
    if (!vocabulary) throw new FormatError("BAD_FILE", `${path}: no "token_embd.weight"`);
    const config = readConfig(metadata, vocabulary);
    return { ...sourceOf({ path, fileBytes: size, config, tensors }, file), metadata };
  } catch (error) {
    await file.close();
    throw error;
  }
}
