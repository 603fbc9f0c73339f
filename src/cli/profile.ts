/** `turboquant profile`: the type that every layer really gets, and how to start an engine with it. */
import { readFile } from "node:fs/promises";
import Table from "cli-table3";
import { type Command, Option } from "commander";
import { FormatError } from "../core/format-error.js";
import { registryBytes } from "../plan/engine-bytes.js";
import { BACKENDS, type Backend, type EngineProfile, engineProfile } from "../plan/engine-profile.js";
import { bitsPerValue, bytesPerToken, layerTokenBytes } from "../plan/kv-bytes.js";
import { ENGINE_TYPES, type EngineType, formatOf, formatsOf, resolveLayers } from "../plan/layer-types.js";
import type { ModelShape } from "../plan/model-shape.js";
import { parseSensitivity, profileWithinBudget } from "../plan/sensitivity.js";
import { shellCommand } from "../plan/shell.js";
import { paint, showBits } from "./amounts.js";
import { UsageError } from "./exit.js";
import { type ModelOptions, modelShape, showModel, withModelOptions } from "./model-options.js";
import { integer } from "./options.js";

interface Options extends ModelOptions {
  readonly mode?: number;
  readonly typeK: EngineType;
  readonly typeV: EngineType;
  readonly backend?: Backend;
  readonly autoAsymmetric: boolean;
  readonly sensitivity?: string;
  readonly budget?: number;
  readonly json?: boolean;
}

const number = (text: string): number => (text.trim() === "" ? Number.NaN : Number(text));

export function register(program: Command): void {
  withModelOptions(
    program.command("profile").description("the exact cache type of every layer of the llama.cpp fork"),
  )
    .option("--mode <n>", "TURBO_LAYER_ADAPTIVE: 0, 1, 2, 5, 6, 7 (default: not set)", integer)
    .addOption(new Option("--type-k <type>", "-ctk").choices(ENGINE_TYPES).default("turbo4"))
    .addOption(new Option("--type-v <type>", "-ctv").choices(ENGINE_TYPES).default("turbo4"))
    .addOption(new Option("--backend <name>", "warn where it has no kernel").choices(BACKENDS))
    .option("--no-auto-asymmetric", "with TURBO_AUTO_ASYMMETRIC=0")
    .option("--sensitivity <file>", "measured KL of each layer (JSON): choose types by it instead")
    .option("--budget <nats>", "summed KL that --sensitivity may spend", number)
    .option("--json", "for machines")
    .addHelpText(
      "after",
      `
Examples:
  $ turboquant profile --mode 7 --type-k turbo4 --type-v turbo4 --layers 48 --heads 32 --kv-heads 8
  $ turboquant profile --model model.gguf --type-k q8_0 --type-v turbo3 --backend metal
  $ turboquant profile --model model.gguf --sensitivity kl.json --budget 0.05

kl.json: { "layers": [ { "layer": 0, "options": [ { "k": "q8_0", "v": "turbo4", "kl": 0.001 }, … ] }, … ] }`,
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  const model = await modelShape(options, false);
  if (options.sensitivity !== undefined) return bySensitivity(options.sensitivity, options, model);
  if (options.budget !== undefined) throw new UsageError("--budget needs --sensitivity FILE");
  const headDim = model.layers.find((layer) => layer !== null)!.keyDim;
  const profile = engineProfile({
    mode: options.mode ?? null,
    typeK: options.typeK,
    typeV: options.typeV,
    layers: model.layers.length,
    heads: model.heads,
    kvHeads: model.kvHeads,
    autoAsymmetric: options.autoAsymmetric,
    headDim,
    ...(options.backend === undefined ? {} : { backend: options.backend }),
  });
  const types = formatsOf(profile.layers);
  const size = {
    bytesPerToken: bytesPerToken(model, types, registryBytes).total,
    bitsPerValue: bitsPerValue(model, types, registryBytes),
  };
  const text = options.json
    ? JSON.stringify(profileJson(profile, size, model), null, 2)
    : profileText(profile, size, model);
  process.stdout.write(`${text}\n`);
}

interface Size {
  readonly bytesPerToken: number;
  readonly bitsPerValue: number;
}

function profileJson(profile: EngineProfile, size: Size, model: ModelShape): object {
  const { layers, env, serverFlags, vllm, backendNotes } = profile;
  return {
    mode: layers.mode,
    modeActs: layers.modeActs,
    layers: layers.keys.map((k, layer) => ({ layer, k, v: layers.values[layer] })),
    changes: layers.changes,
    env,
    serverFlags,
    vllm: vllm.dtype === null ? vllm : { ...vllm, flag: `--kv-cache-dtype ${vllm.dtype}` },
    backendNotes,
    ...size,
    assumed: model.assumed,
  };
}

function profileText(profile: EngineProfile, size: Size, model: ModelShape): string {
  const { layers, vllm } = profile;
  return [
    `Model  ${showModel(model)}`,
    layerTable(layers.keys.map((k, il) => [k, layers.values[il]!])),
    `${size.bytesPerToken.toLocaleString("en-US")} bytes per token, ${showBits(size.bitsPerValue)} bits per value`,
    ...layers.changes.map((change) => `${paint("yellow", "engine")} ${change}`),
    ...profile.backendNotes.map((note) => `${paint("yellow", "kernel")} ${note}`),
    ...model.assumed.map((note) => `${paint("dim", "note")}   ${note}`),
    "",
    shellCommand(profile.env, ["llama-server", "-m", "MODEL.gguf", ...profile.serverFlags]),
    vllm.dtype === null
      ? `vLLM: none corresponds (${vllm.note})`
      : `vLLM: --kv-cache-dtype ${vllm.dtype} (${vllm.note})`,
  ].join("\n");
}

/** Runs of equal layers, one line each. */
function layerTable(types: readonly (readonly [string, string])[]): string {
  const table = new Table({
    head: ["layers", "keys", "values"],
    style: { head: [], border: [], compact: true },
  });
  for (let from = 0; from < types.length; ) {
    let to = from;
    while (to + 1 < types.length && types[to + 1]!.join() === types[from]!.join()) to++;
    table.push([from === to ? `${from}` : `${from}–${to}`, ...types[from]!]);
    from = to + 1;
  }
  return table.toString();
}

async function bySensitivity(path: string, options: Options, model: ModelShape): Promise<void> {
  if (options.budget === undefined) throw new UsageError("--sensitivity needs --budget NATS");
  let json: unknown;
  const text = await readFile(path, "utf8");
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new FormatError("BAD_FILE", `${path}: ${(error as Error).message}`);
  }
  const measured = parseSensitivity(json);
  if (measured.length !== model.layers.length)
    throw new FormatError(
      "BAD_FILE",
      `${path}: ${measured.length} layers, the model has ${model.layers.length}`,
    );
  // Engine names mean the engine's bytes here, as everywhere in planning; other names are the registry's.
  const format = (name: string): string =>
    (ENGINE_TYPES as readonly string[]).includes(name) ? formatOf(name as EngineType) : name;
  const profile = profileWithinBudget(measured, options.budget, (il, { k, v }) => {
    const keys = model.layers.map(() => format(k));
    const values = model.layers.map(() => format(v));
    const [key, value] = layerTokenBytes(model, { keys, values }, il, registryBytes);
    return key + value;
  });
  if (options.json) {
    const layers = profile.layers.map(({ k, v, kl }, layer) => ({ layer, k, v, kl }));
    const { bytes: bytesPerTokenSum, kl } = profile;
    process.stdout.write(
      `${JSON.stringify({ layers, bytesPerToken: bytesPerTokenSum, kl, budget: options.budget }, null, 2)}\n`,
    );
    return;
  }
  const same = fixedMode(profile.layers, model);
  process.stdout.write(
    [
      `Model  ${showModel(model)}`,
      layerTable(profile.layers.map(({ k, v }) => [k, v])),
      `${profile.bytes.toLocaleString("en-US")} bytes per token, summed KL ${profile.kl.toPrecision(4)} of ${options.budget}`,
      `${paint("dim", "note")}   costs of layers are assumed to add up: measure the profile as a whole before relying on it`,
      same ??
        `${paint("dim", "note")}   the fork has no per-layer flags and none of its modes gives these types`,
      "",
    ].join("\n"),
  );
}

/** The flags with which the fork gives exactly these types, if there are any. */
function fixedMode(layers: readonly { k: string; v: string }[], model: ModelShape): string | null {
  const wanted = layers.map(({ k, v }) => `${k}/${v}`).join();
  for (const mode of [0, 1, 2, 5, 6, 7])
    for (const typeK of ENGINE_TYPES)
      for (const typeV of ENGINE_TYPES) {
        const base = {
          mode,
          typeK,
          typeV,
          layers: layers.length,
          heads: model.heads,
          kvHeads: model.kvHeads,
        };
        const { keys, values } = resolveLayers({ ...base, autoAsymmetric: false });
        if (keys.map((k, il) => `${k}/${values[il]}`).join() !== wanted) continue;
        const profile = engineProfile({ ...base, autoAsymmetric: false });
        return shellCommand(profile.env, ["llama-server", "-m", "MODEL.gguf", ...profile.serverFlags]);
      }
  return null;
}
