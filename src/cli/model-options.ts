/** Options that describe a model, shared by the planning commands: a file, or its geometry by hand. */
import type { Command } from "commander";
import { readModelShape } from "../plan/model-file.js";
import { DEFAULT_GEOMETRY, describeShape, type ModelShape, uniformShape } from "../plan/model-shape.js";
import { gigabytes, showGb } from "./amounts.js";
import { UsageError } from "./exit.js";
import { integer } from "./options.js";

export interface ModelOptions {
  readonly model?: string;
  readonly modelSize?: number;
  readonly layers?: number;
  readonly heads?: number;
  readonly kvHeads?: number;
  readonly headDim?: number;
}

export const withModelOptions = (command: Command): Command =>
  command
    .option("--model <file>", "GGUF file, config.json, or a folder with a config.json")
    .option("--model-size <gb>", "size of the weights in GB (default: from the file)", gigabytes)
    .option("--layers <n>", "layers", integer)
    .option("--heads <n>", "query heads", integer)
    .option("--kv-heads <n>", "KV heads", integer)
    .option("--head-dim <n>", "values per head", integer);

/** What the options say; `needsSize`: the weights' size must be known. */
export async function modelShape(options: ModelOptions, needsSize: boolean): Promise<ModelShape> {
  const shape = options.model === undefined ? fromFlags(options) : await fromFile(options.model, options);
  if (needsSize && shape.weightBytes === null)
    throw new UsageError("the size of the weights is unknown: give --model-size GB");
  return shape;
}

async function fromFile(path: string, options: ModelOptions): Promise<ModelShape> {
  const given = (["layers", "heads", "kvHeads", "headDim"] as const).filter(
    (key) => options[key] !== undefined,
  );
  if (given.length > 0)
    throw new UsageError(`--model states the geometry: leave out ${given.map(flag).join(", ")}`);
  const shape = await readModelShape(path);
  return options.modelSize === undefined ? shape : { ...shape, weightBytes: options.modelSize };
}

const flag = (key: string): string => `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

function fromFlags(options: ModelOptions): ModelShape {
  const { layers, kvHeads, headDim } = { ...DEFAULT_GEOMETRY, ...defined(options) };
  const assumed: string[] = [];
  if (options.layers === undefined || options.kvHeads === undefined || options.headDim === undefined)
    assumed.push(
      `geometry not given in full: ${layers} layers, ${kvHeads} KV heads of ${headDim} are assumed (--model reads it from a file)`,
    );
  return uniformShape({
    layers,
    kvHeads,
    headDim,
    heads: options.heads ?? null,
    weightBytes: options.modelSize ?? null,
    assumed,
  });
}

function defined({ layers, kvHeads, headDim }: ModelOptions): Partial<typeof DEFAULT_GEOMETRY> {
  return Object.fromEntries(
    Object.entries({ layers, kvHeads, headDim }).filter(([, value]) => value !== undefined),
  );
}

/** "Qwen3 (40 layers, 8 KV heads of 128), weights 8.4 GB" */
export function showModel(shape: ModelShape): string {
  const weights = shape.weightBytes === null ? "" : `, weights ${showGb(shape.weightBytes)}`;
  return `${shape.name} (${describeShape(shape)})${weights}`;
}
