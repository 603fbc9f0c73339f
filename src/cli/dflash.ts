/** `turboquant dflash`: plan a DFlash benchmark on Apple silicon, make its report, read its log. */
import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { writeAtomic } from "../files/write-atomic.js";
import { type DflashPlan, planDflash } from "../plan/dflash.js";
import { type DflashResult, parseDflashLog } from "../plan/dflash-log.js";
import { dflashReport } from "../plan/dflash-report.js";
import { paint, showGb } from "./amounts.js";
import { CheckFailed } from "./exit.js";
import { type HardwareOptions, hardwareFrom, withHardwareOptions } from "./hardware-options.js";
import { integer } from "./options.js";

interface Options extends HardwareOptions {
  readonly pair?: string;
  readonly dataset: string;
  readonly samples: number;
  readonly thinking: boolean;
  readonly machine?: string;
  readonly report?: string | true;
  readonly log?: string;
  readonly json?: boolean;
}

export function register(program: Command): void {
  withHardwareOptions(
    program
      .command("dflash")
      .description("plan a DFlash run (Apple silicon, MLX), write its report, read its log"),
  )
    .option("--pair <slug>", "qwen35-4b or qwen35-9b (default: the largest that fits)")
    .option("--dataset <name>", "benchmark data", "gsm8k")
    .option("--samples <n>", "at most this many", integer, 128)
    .option("--no-thinking", "without --enable-thinking")
    .option("--machine <name>", 'name in the report, e.g. "M3 Max 36GB" (default: what is found)')
    .option("--report [file]", "print the Markdown report, or write it; filled in when --log is given")
    .option("--log <file>", "read what a run printed")
    .option("--json", "for machines")
    .addHelpText(
      "after",
      `
Examples:
  $ turboquant dflash --memory 36
  $ turboquant dflash --pair qwen35-4b --samples 64 --json
  $ turboquant dflash --memory 36 --log run.log --report report.md

A log of a failed run (a Metal GPU timeout, say) ends with exit code 1.`,
    )
    .action(run);
}

async function run(options: Options): Promise<void> {
  const hardware = await hardwareFrom(options);
  const plan = planDflash({
    totalBytes: hardware.totalBytes,
    dataset: options.dataset,
    samples: options.samples,
    thinking: options.thinking,
    ...(options.pair === undefined ? {} : { slug: options.pair }),
  });
  const result = options.log === undefined ? null : parseDflashLog(await readFile(options.log, "utf8"));
  const machine = options.machine ?? `${hardware.chip ?? "unknown chip"}, ${showGb(hardware.totalBytes, 0)}`;
  const notApple = options.memory === undefined && !hardware.unified;
  const warnings = notApple
    ? [...plan.warnings, "this is no Apple silicon machine: DFlash with MLX does not run here"]
    : plan.warnings;
  const write = (text: string): unknown => process.stdout.write(text);
  if (typeof options.report === "string") {
    await writeAtomic(options.report, [new TextEncoder().encode(dflashReport(plan, machine, result))]);
    process.stderr.write(`wrote ${options.report}\n`);
  }
  if (options.json) write(`${JSON.stringify({ ...plan, warnings, machine, result }, null, 2)}\n`);
  else if (options.report === true) write(dflashReport(plan, machine, result));
  else if (result !== null) write(resultText(result));
  else write(planText(plan, warnings));
  if (result?.status === "failed") throw new CheckFailed();
}

function planText(plan: DflashPlan, warnings: readonly string[]): string {
  return [
    `Pair       ${paint("bold", plan.pair.slug)}: ${plan.pair.base} + ${plan.pair.draft}`,
    `Reason     ${plan.reason}`,
    `Known      ${plan.pair.known}`,
    ...warnings.map((warning) => `${paint("yellow", "WARNING")}    ${warning}`),
    "",
    "Set up:",
    ...plan.setup.map((command) => `  ${command}`),
    "Run:",
    `  ${plan.benchmark}`,
    "",
  ].join("\n");
}

function resultText(result: DflashResult): string {
  const rate = (value: number | null): string => (value === null ? "–" : `${value.toFixed(2)} tok/s`);
  const shares = result.histogram?.map((share, length) => `${length}: ${(share * 100).toFixed(1)} %`);
  const colour = result.status === "complete" ? "green" : result.status === "failed" ? "red" : "yellow";
  return [
    `Status      ${paint(colour, result.status)}${result.reason === null ? "" : `: ${result.reason}`}`,
    `Samples     ${result.samples ? `${result.samples.done} of ${result.samples.total}` : "–"}`,
    `Baseline    ${rate(result.baseline)}`,
    `DFlash      ${rate(result.dflash)}`,
    `Speed-up    ${result.speedup === null ? "–" : `${result.speedup.toFixed(2)}×`}`,
    `Acceptance  ${result.acceptanceLength === null ? "–" : `${result.acceptanceLength.toFixed(2)} tokens on average`}`,
    ...(shares ? [`Histogram   ${shares.join(", ")}`] : []),
    "",
  ].join("\n");
}
