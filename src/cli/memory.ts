/** `turboquant memory`: what a KV cache takes, calculated from real bytes and compared with a server's log. */
import { readFile } from "node:fs/promises";
import Table from "cli-table3";
import { type Command, Option } from "commander";
import { FormatError } from "../core/format-error.js";
import { registryBytes } from "../plan/engine-bytes.js";
import { ENGINE_TYPES, type EngineType, formatsOf, resolveLayers } from "../plan/layer-types.js";
import {
  type CacheComparison,
  compareCacheLine,
  MEMORY_TOLERANCE,
  parseCacheLines,
} from "../plan/llama-log.js";
import { type CachePair, type MemoryRow, memoryRow, parseFormats } from "../plan/memory-table.js";
import type { ModelShape } from "../plan/model-shape.js";
import { paint, showBits, showMib, showTokens, tokenCounts } from "./amounts.js";
import { CheckFailed, UsageError } from "./exit.js";
import { type ModelOptions, modelShape, showModel, withModelOptions } from "./model-options.js";
import { integer } from "./options.js";

interface Options extends ModelOptions {
  readonly formats: string;
  readonly contexts: number[];
  /** The same as contexts, for those who have one. */
  readonly context?: number[];
  readonly log?: string;
  readonly mode?: number;
  readonly json?: boolean;
}

const DEFAULT_FORMATS =
  "f16,q8_0,q4_0,llama/turbo4,llama/turbo3,llama/turbo2,turbo4,turbo3,turbo2,best4,best3,best2,q8_0/llama/turbo4";

export function register(program: Command): void {
  withModelOptions(
    program
      .command("memory")
      .description("bytes of a KV cache per token and per context, saving against f16"),
  )
    .addOption(
      new Option("--formats <list>", "formats or pairs keys/values, separated by commas").default(
        DEFAULT_FORMATS,
        "f16, q8_0, q4_0, the turbo formats of llama-server and ours, best4 to best2",
      ),
    )
    .addOption(
      new Option("-c, --contexts <list>", "contexts in tokens")
        .argParser(tokenCounts)
        .default([32_768, 65_536, 131_072], "32K,64K,128K"),
    )
    .addOption(new Option("--context <list>").argParser(tokenCounts).hideHelp())
    .option("--log <file>", "compare with the llama_kv_cache size lines of a llama-server log")
    .option("--mode <n>", "TURBO_LAYER_ADAPTIVE that the server of the log ran with", integer)
    .option("--json", "for machines")
    .addHelpText(
      "after",
      `
Examples:
  $ turboquant memory --layers 40 --heads 32 --kv-heads 8 --head-dim 128
  $ turboquant memory --model model.gguf --formats f16,llama/turbo4,q8_0/llama/turbo3 --contexts 8K,32K
  $ turboquant memory --model model.gguf --log server.log

turbo4 is this library's format, llama/turbo4 what llama-server calls turbo4. best4, best3 and best2 are trellis codes with
centred keys and the first four tokens in halves, which are counted. MiB are 2^20 bytes.`,
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  if (options.model === undefined && (options.layers ?? options.kvHeads ?? options.headDim) === undefined)
    throw new UsageError("give --model FILE, or --layers, --kv-heads and --head-dim");
  if (options.mode !== undefined && options.log === undefined)
    throw new UsageError("--mode belongs to --log; for a mode without a log use profile");
  const model = await modelShape(options, false);
  const contexts = options.context ?? options.contexts;
  const rows = parseFormats(options.formats).map((pair) => rowOrReason(model, pair, contexts));
  const measured = options.log === undefined ? null : await compare(options.log, model, options.mode ?? null);
  if (options.json) process.stdout.write(`${JSON.stringify(json(model, rows, measured), null, 2)}\n`);
  else process.stdout.write(`${text(model, rows, measured, contexts)}\n`);
  if (measured?.some((comparison) => !comparison.within)) throw new CheckFailed();
}

type Row = MemoryRow | (CachePair & { readonly unsupported: string });

function rowOrReason(model: ModelShape, pair: CachePair, contexts: number[]): Row {
  try {
    return memoryRow(model, pair, contexts);
  } catch (error) {
    if (error instanceof RangeError) return { ...pair, unsupported: error.message };
    throw error;
  }
}

async function compare(path: string, model: ModelShape, mode: number | null): Promise<CacheComparison[]> {
  const lines = parseCacheLines(await readFile(path, "utf8"));
  if (lines.length === 0) throw new FormatError("BAD_FILE", `${path}: no llama_kv_cache size line in it`);
  return lines.map((line) => {
    const typeK = engineType(line.typeK ?? "f16", path);
    const typeV = engineType(line.typeV ?? "f16", path);
    // The line shows the key type after the auto-asymmetric rule, so the rule is not applied again.
    const types = resolveLayers({
      mode,
      typeK,
      typeV,
      layers: model.layers.length,
      heads: model.heads,
      kvHeads: model.kvHeads,
      autoAsymmetric: false,
    });
    const comparison = compareCacheLine(line, model, formatsOf(types), registryBytes);
    if (comparison) return comparison;
    throw new FormatError(
      "BAD_FILE",
      `${path}: a cache of ${line.layers} layers does not belong to this model`,
    );
  });
}

function engineType(name: string, path: string): EngineType {
  const type = ENGINE_TYPES.find((known) => known === name);
  if (type) return type;
  throw new FormatError("BAD_FILE", `${path}: cache type ${name} is not known`);
}

function json(model: ModelShape, rows: readonly Row[], measured: CacheComparison[] | null): object {
  return {
    model: model.name,
    assumed: model.assumed,
    formats: rows.map((row) => {
      const head = { name: row.name, keys: row.keys, values: row.values };
      if ("unsupported" in row) return { ...head, unsupported: row.unsupported };
      const { bitsPerValue, tokenBytes: bytesPerToken, fixedBytes, contexts } = row;
      return { ...head, bitsPerValue, bytesPerToken, fixedBytes, contexts };
    }),
    ...(measured === null
      ? {}
      : {
          measured: measured.map(({ line, calculatedMib, difference, within }) => ({
            ...line,
            calculatedMib,
            difference,
            within,
          })),
        }),
  };
}

function text(
  model: ModelShape,
  rows: readonly Row[],
  measured: CacheComparison[] | null,
  contexts: number[],
): string {
  const table = new Table({
    head: [
      "keys/values",
      "bits/value",
      "bytes/token",
      ...contexts.map((c) => `${showTokens(c)}, MiB`),
      "saved",
    ],
    colAligns: ["left", "right", "right", ...contexts.map(() => "right" as const), "right"],
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) {
    if ("unsupported" in row) {
      table.push([row.name, { colSpan: 3 + contexts.length, content: row.unsupported }]);
      continue;
    }
    table.push([
      row.name,
      showBits(row.bitsPerValue),
      row.tokenBytes.toLocaleString("en-US"),
      ...row.contexts.map(({ bytes }) => showMib(bytes)),
      `${(100 * row.contexts.at(-1)!.saved).toFixed(1)} %`,
    ]);
  }
  return [
    `Model  ${showModel(model)}`,
    table.toString(),
    ...model.assumed.map((note) => `${paint("dim", "note")}   ${note}`),
    ...(measured ?? []).map(comparisonText),
  ].join("\n");
}

function comparisonText({ line, calculatedMib, difference, within }: CacheComparison): string {
  const types = `${line.typeK ?? "?"}/${line.typeV ?? "?"}`;
  const sign = difference >= 0 ? "+" : "−";
  const verdict = within
    ? paint("green", "as calculated")
    : paint("red", `differs by more than ${MEMORY_TOLERANCE * 100} %`);
  return (
    `log    ${types}, ${line.cells} cells, ${line.layers} layers: measured ${line.mib.toFixed(2)} MiB, ` +
    `calculated ${calculatedMib.toFixed(2)} MiB (${sign}${(100 * Math.abs(difference)).toFixed(2)} %): ${verdict}`
  );
}
