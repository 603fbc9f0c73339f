/** `turboquant report` (and `npm start`): what each K/V pair costs and keeps on recorded keys, values and queries. */
import type { Command } from "commander";
import { NATIVE_VECTORS, RECORDING } from "../files/fixtures.js";
import { DEFAULT_CONFIGURATIONS, parseConfiguration } from "../report/configuration.js";
import { readRecording } from "../report/recording.js";
import { makeReport } from "../report/report.js";
import { reportNotes, reportTable } from "../report/table.js";
import { CheckFailed } from "./exit.js";
import { type HtmlFlag, htmlOption, pageWriter } from "./html.js";
import { integer } from "./options.js";
import { Progress } from "./progress.js";

/** Layers of SmolLM2-135M, of which the shipped recording holds three. */
const RECORDED_LAYERS = 30;

interface Flags extends HtmlFlag {
  readonly from?: string;
  readonly kv?: string;
  readonly layers?: number;
  readonly json?: boolean;
}

export function register(program: Command): void {
  program
    .command("report")
    .description("compare formats on real keys, values and queries: memory, quality, speed, bit-exactness")
    .option(
      "--from <file>",
      "a safetensors recording (layers.N.key, .value, .query); default: the shipped one",
    )
    .option("--kv <list>", "pairs to compare: turbo4,turbo4/turbo2,q8_0/turbo3,turbo3+mean")
    .option("--layers <n>", "layers of the model, for the memory figures; default: those recorded", integer)
    .option("--json", "for machines, with the definition of every figure")
    .addOption(htmlOption())
    .addHelpText(
      "after",
      `
Examples:
  $ turboquant report
  $ turboquant report --kv f16,turbo3,turbo3+mean,turbo4/turbo2
  $ turboquant report --from my-model.safetensors --layers 32 --json > report.json
  $ turboquant report --html report.html`,
    )
    .action(async ({ from, kv, layers, json, html }: Flags) => {
      const configurations = (kv?.split(",") ?? DEFAULT_CONFIGURATIONS).map((text) =>
        parseConfiguration(text.trim()),
      );
      const recording = await readRecording(from ?? RECORDING);
      if (layers !== undefined && layers < 1)
        throw new RangeError(`"--layers" expected 1 or more, got ${layers}`);
      const writePage = await pageWriter(html);
      const progress = new Progress();
      const report = await makeReport({
        recording,
        configurations,
        layers: layers ?? (from ? recording.layers.length : RECORDED_LAYERS),
        seeds: [0, 1, 2, 3],
        nativeVectors: NATIVE_VECTORS,
        figures: html !== undefined,
        progress: (done, total, what) => progress.update(done, total, what),
      }).finally(() => progress.clear());
      process.stdout.write(
        json ? `${JSON.stringify(report, null, 2)}\n` : `${reportTable(report)}\n\n${reportNotes(report)}\n`,
      );
      await writePage?.(({ reportPage }) => reportPage(report));
      if (report.agreement.differences > 0 || report.native.mismatches > 0) throw new CheckFailed();
    });
}
