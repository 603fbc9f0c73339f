/** `turboquant plan`: which level of compression, how much context, with which flags. */
import Table from "cli-table3";
import { type Command, Option } from "commander";
import { type Hardware, macUsable, memoryPool } from "../plan/hardware.js";
import { LEVEL_NAMES, type LevelName } from "../plan/levels.js";
import {
  contextTable,
  type LevelPlan,
  type Plan,
  type PlanRequest,
  planLevel,
} from "../plan/select-level.js";
import { serverCommand } from "../plan/server-config.js";
import { paint, showBits, showGb, showTokens, tokenCounts, tokens } from "./amounts.js";
import { type HardwareOptions, hardwareFrom, withHardwareOptions } from "./hardware-options.js";
import { type HtmlFlag, htmlOption, pageWriter } from "./html.js";
import { type ModelOptions, modelShape, showModel, withModelOptions } from "./model-options.js";

export interface PlanOptions extends ModelOptions, HardwareOptions, HtmlFlag {
  readonly context: number;
  readonly contexts: number[];
  readonly prefer?: LevelName;
  readonly forceCpu?: boolean;
  readonly detectOnly?: boolean;
  readonly nominal?: boolean;
  readonly autoAsymmetric: boolean;
  readonly json?: boolean;
}

/** The options that make a plan; serve-config has them too. */
export const withPlanOptions = (command: Command): Command =>
  withHardwareOptions(withModelOptions(command))
    .option("-c, --context <tokens>", "context to plan for", tokens, 32_768)
    .addOption(
      new Option("--prefer <level>", "take this level, also if it does not fit").choices(LEVEL_NAMES),
    )
    .option("--force-cpu", "plan with system memory even if there is a GPU")
    .option("--no-auto-asymmetric", "plan with TURBO_AUTO_ASYMMETRIC=0");

/** The plan that the options ask for. */
export async function requestFrom(options: PlanOptions): Promise<PlanRequest> {
  const model = await modelShape(options, true);
  return {
    model,
    context: options.context,
    hardware: await hardwareFrom(options),
    autoAsymmetric: options.autoAsymmetric,
    ...(options.prefer === undefined ? {} : { prefer: options.prefer }),
    ...(options.forceCpu === undefined ? {} : { forceCpu: options.forceCpu }),
  };
}

export function register(program: Command): void {
  withPlanOptions(
    program.command("plan").description("choose the KV-cache level for a model, a context and this machine"),
  )
    .addOption(
      new Option("--contexts <list>", "contexts of the table")
        .argParser(tokenCounts)
        .default([32_768, 65_536, 131_072], "32K,64K,128K"),
    )
    .option("--nominal", "show the old planner's nominal figures (3.5/2.5/1.5 bits) side by side")
    .option("--detect-only", "only say what memory this machine has")
    .option("--json", "for machines")
    .addOption(htmlOption())
    .addHelpText(
      "after",
      `
Examples:
  $ turboquant plan --model model.gguf -c 64K
  $ turboquant plan --model-size 14 --memory 32 --chip "Apple M4 Max"
  $ turboquant plan --model-size 14 --layers 40 --heads 40 --kv-heads 8 --head-dim 128 --nominal
  $ turboquant plan --detect-only --json

GB are 2^30 bytes, K is 1,024 tokens.`,
    )
    .action(run);
}

async function run(options: PlanOptions): Promise<void> {
  const print = (text: string): unknown => process.stdout.write(`${text}\n`);
  if (options.detectOnly) {
    const hardware = await hardwareFrom(options);
    const pool = memoryPool(hardware, { forceCpu: options.forceCpu ?? false });
    if (options.json) print(JSON.stringify({ ...hardware, pool }, null, 2));
    else print(hardwareText(hardware, options.forceCpu ?? false));
    return;
  }
  const request = await requestFrom(options);
  const plan = planLevel(request);
  const table = contextTable(request, options.contexts);
  const modelPath = options.model?.endsWith(".gguf") ? options.model : "MODEL.gguf";
  const command = serverCommand(plan, { modelPath });
  if (options.json) print(JSON.stringify(planJson(plan, table, command, options.nominal ?? false), null, 2));
  else print(planText(plan, table, command, options.nominal ?? false));
  const writePage = await pageWriter(options.html);
  await writePage?.(({ planPage }) => planPage({ plan, rows: table, command }));
}

function hardwareText(hardware: Hardware, forceCpu: boolean): string {
  const pool = memoryPool(hardware, { forceCpu });
  const lines = [
    `Chip       ${hardware.chip ?? "unknown"}`,
    `Memory     ${showGb(hardware.totalBytes)} total, ${showGb(hardware.availableBytes)} available (${hardware.method})`,
    ...hardware.gpus.map(
      (gpu) => `GPU        ${gpu.name}: ${showGb(gpu.totalBytes)} total, ${showGb(gpu.freeBytes)} free`,
    ),
    ...(hardware.gpus.length === 0 && !hardware.unified ? ["GPU        no NVIDIA card found"] : []),
    `Plans with ${pool.label}: ${showGb(pool.usableBytes)} usable (${pool.rule})`,
  ];
  if (pool.kind === "apple") {
    const { careful, most } = macUsable(pool.totalBytes);
    lines.push(`Usable on this Mac: ${showGb(careful)} to ${showGb(most)} (total − 4 to 5 GB)`);
  }
  return [...lines, ...hardware.notes.map((note) => `Note       ${note}`)].join("\n");
}

type Rows = ReturnType<typeof contextTable>;

function planText(plan: Plan, rows: Rows, command: string, nominal: boolean): string {
  const { chosen, context } = plan;
  const sections = [
    `Model    ${showModel(plan.model)}`,
    `Memory   ${plan.pool.label}: ${showGb(plan.pool.totalBytes)}, ${showGb(plan.pool.usableBytes)} usable (${plan.pool.rule})`,
    `Context  ${showTokens(context)} tokens; f16 would take ${showGb(plan.f16Bytes, 2)}`,
    `Level    ${paint("bold", chosen.level.name)}`,
    `Reason   ${plan.reason}`,
    "",
    levelTable(plan, nominal),
    "",
    contextsTable(rows),
    ...plan.warnings.map(
      (warning) => `${paint(chosen.headroomBytes < 0 ? "red" : "yellow", "WARNING")}  ${warning}`,
    ),
    ...plan.notes.map((note) => `${paint("dim", "note")}     ${note}`),
    "",
    command,
  ];
  return sections.join("\n");
}

const plain = { head: [], border: [], compact: true };

function levelTable({ levels, chosen, context }: Plan, nominal: boolean): string {
  const table = new Table({
    head: [
      "level",
      "mode",
      "quality",
      "bits/value",
      `cache at ${showTokens(context)}`,
      "headroom",
      "wanted",
      "longest context",
      ...(nominal ? ["nominal bits", "nominal cache"] : []),
    ],
    colAligns: ["left", "right", "left", ...Array(7).fill("right")],
    style: plain,
  });
  for (const entry of levels) {
    const mark = entry === chosen ? paint("green", "→ ") : "  ";
    const headroom = showGb(entry.headroomBytes);
    table.push([
      `${mark}${entry.level.name}`,
      entry.level.layerMode,
      entry.level.quality,
      showBits(entry.bitsPerValue),
      showGb(entry.kvBytes, 2),
      entry.fits ? headroom : paint(entry.headroomBytes < 0 ? "red" : "yellow", headroom),
      `${entry.level.headroomGb} GB`,
      entry.longestContext === 0 ? "none" : entry.longestContext.toLocaleString("en-US"),
      ...(nominal ? [showBits(entry.level.nominalBits), showGb(entry.nominalKvBytes, 2)] : []),
    ]);
  }
  return table.toString();
}

/** Cache of each level at each context; in brackets where its headroom does not suffice. */
function contextsTable(rows: Rows): string {
  const names = rows[0]?.levels.map((entry) => entry.level.name) ?? [];
  const table = new Table({
    head: ["context", ...names, "choice"],
    colAligns: ["right", ...names.map(() => "right" as const), "left"],
    style: plain,
  });
  const cell = (entry: LevelPlan): string => {
    const text = showGb(entry.kvBytes, 2);
    return entry.fits ? text : `(${text})`;
  };
  for (const row of rows)
    table.push([
      showTokens(row.context),
      ...row.levels.map(cell),
      row.chosenFits ? row.choice : `${row.choice}, does not fit`,
    ]);
  return `${table.toString()}\n(in brackets: leaves less than the wanted headroom)`;
}

function levelJson(entry: LevelPlan, nominal: boolean): object {
  return {
    level: entry.level.name,
    layerMode: entry.level.layerMode,
    quality: entry.level.quality,
    bitsPerValue: entry.bitsPerValue,
    kvBytes: entry.kvBytes,
    headroomBytes: entry.headroomBytes,
    wantedHeadroomBytes: entry.level.headroomGb * 2 ** 30,
    fits: entry.fits,
    longestContext: entry.longestContext,
    ...(nominal ? { nominal: { bitsPerValue: entry.level.nominalBits, kvBytes: entry.nominalKvBytes } } : {}),
  };
}

/** What `--json` prints. */
export function planJson(plan: Plan, rows: Rows, command: string, nominal: boolean): object {
  const { chosen, model } = plan;
  return {
    level: chosen.level.name,
    reason: plan.reason,
    fits: chosen.fits,
    kvBytes: chosen.kvBytes,
    f16Bytes: plan.f16Bytes,
    headroomBytes: chosen.headroomBytes,
    bitsPerValue: chosen.bitsPerValue,
    context: plan.context,
    longestContext: chosen.longestContext,
    env: plan.env,
    serverFlags: plan.serverFlags,
    command,
    warnings: plan.warnings,
    notes: plan.notes,
    memory: plan.pool,
    model: {
      name: model.name,
      layers: model.layers.length,
      cachedLayers: model.layers.filter((layer) => layer !== null).length,
      heads: model.heads,
      kvHeads: model.kvHeads,
      headDim: model.layers.find((layer) => layer !== null)?.keyDim ?? null,
      weightBytes: model.weightBytes,
      trainedContext: model.trainedContext,
    },
    layerTypes: { keys: chosen.layers.keys, values: chosen.layers.values },
    levels: plan.levels.map((entry) => levelJson(entry, nominal)),
    contexts: rows.map((row) => ({
      context: row.context,
      choice: row.choice,
      fits: row.chosenFits,
      levels: row.levels.map((entry) => levelJson(entry, nominal)),
    })),
  };
}
