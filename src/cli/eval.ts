/** `turboquant eval`: what compressed caches cost a language model, measured on a text. */
import { rm } from "node:fs/promises";
import { basename } from "node:path";
import Table from "cli-table3";
import type { Command } from "commander";
import { writeAtomic } from "../files/write-atomic.js";
import type { EvalResult } from "../model/eval-pairs.js";
import type { EvalPlan } from "../model/perplexity.js";
import type { Transformer } from "../model/transformer.js";
import { encodeText } from "./encode-text.js";
import { UsageError } from "./exit.js";
import { type HtmlFlag, htmlOption, pageWriter } from "./html.js";
import { integer } from "./options.js";
import { Progress } from "./progress.js";

interface Options extends HtmlFlag {
  readonly model: string;
  readonly text: string;
  readonly ctx: number;
  readonly chunks: number;
  readonly kv: readonly string[];
  readonly baseline: string;
  readonly seed: number;
  readonly threads: number;
  readonly tokenizer?: string;
  readonly centre?: string;
  readonly checkpoint?: string;
  readonly perLayer?: string;
  readonly json?: boolean;
}

const list = (text: string): string[] => text.split(",").map((name) => name.trim());
/** The shipped model is not a published one: said wherever its numbers are shown. */
const STAND_IN = "novels3M";
const STAND_IN_NOTE =
  "a stand-in trained for tests, not a published checkpoint: its numbers are not a real model's";

const percent = (share: number): string => `${(100 * share).toFixed(1)}%`;

function table(results: readonly EvalResult[]): string {
  const table = new Table({
    head: [
      "K/V",
      "bits/\nvalue",
      "bytes/\ntoken",
      "perplexity",
      "ratio",
      "KLD\nmean",
      "KLD\n99 %",
      "KLD\n99.9 %",
      "same\ntop",
      "lost,\ngate",
    ],
    colAligns: ["left", ...Array.from({ length: 9 }, () => "right" as const)],
    style: { head: [], border: [], compact: true },
  });
  for (const r of results)
    table.push([
      r.kv,
      r.bitsPerValue.toFixed(3),
      String(r.bytesPerToken),
      `${r.ppl.toFixed(3)} ± ${r.pplSe.toFixed(3)}`,
      `${r.ratio.toFixed(4)} ± ${r.ratioSe.toFixed(4)}`,
      `${r.kld.toPrecision(3)} ± ${r.kldSe.toPrecision(2)}`,
      r.kld99.toPrecision(3),
      r.kld999.toPrecision(3),
      percent(r.sameTop),
      `${r.deltaPpl.toFixed(3)} ${r.gate}`,
    ]);
  return table.toString();
}

/** Writes what each layer costs by itself, for `profile --sensitivity`. */
async function perLayer(
  transformer: Transformer,
  plan: EvalPlan,
  { kv, baseline, seed }: Options,
  path: string,
  progress: Progress,
): Promise<void> {
  const { layerSensitivity } = await import("../model/layer-sensitivity.js");
  const onProgress = (done: number, total: number) =>
    progress.update(done, total, `${done} of ${total} layers and pairs`);
  const measured = await layerSensitivity(transformer, { plan, kv, baseline, seed, onProgress });
  await writeAtomic(path, [new TextEncoder().encode(`${JSON.stringify(measured, null, 2)}\n`)]);
  progress.clear();
  process.stdout.write(`${path}: ${measured.layers.length} layers, ${kv.join(", ")}\n`);
}

async function run(options: Options): Promise<void> {
  // Loaded here: the other commands need neither the kernels nor the tokenizers.
  const { openTransformer } = await import("../model/open-model.js");
  const { evaluatePairs } = await import("../model/eval-pairs.js");
  const { readCenter } = await import("../model/measure-center.js");
  if (options.ctx < 2 || options.chunks < 1)
    throw new UsageError("--ctx expected at least 2, --chunks at least 1");
  const writePage = await pageWriter(options.html);
  const { threads, tokenizer } = options;
  const { tokens, bos } = await encodeText({
    model: options.model,
    text: options.text,
    ...(tokenizer ? { tokenizer } : {}),
  });
  const { transformer, fileBytes } = await openTransformer(options.model, { threads });
  const progress = new Progress();
  try {
    const chunks = Math.min(options.chunks, Math.floor(tokens.length / options.ctx));
    if (chunks === 0)
      throw new UsageError(`--ctx ${options.ctx} expected at most the text's ${tokens.length} tokens`);
    const plan = { tokens, context: options.ctx, chunks, ...(bos === undefined ? {} : { bos }) };
    if (options.perLayer) return await perLayer(transformer, plan, options, options.perLayer, progress);
    const center = options.centre ? await readCenter(options.centre, transformer.kvShape) : undefined;
    const { results, scored } = await evaluatePairs(transformer, {
      plan,
      kv: options.kv,
      baseline: options.baseline,
      seed: options.seed,
      about: [basename(options.model), fileBytes],
      ...(center ? { center } : {}),
      ...(options.checkpoint ? { checkpoint: options.checkpoint } : {}),
      onProgress: (p) => {
        const left = Math.ceil(p.secondsLeft);
        progress.update(p.tokens, p.totalTokens, `${p.tokensPerSecond.toFixed(0)} tokens/s, ${left} s left`);
      },
    });
    progress.clear();
    const note = transformer.config.name.startsWith(STAND_IN) ? STAND_IN_NOTE : undefined;
    const report = {
      model: basename(options.model),
      text: basename(options.text),
      ctx: options.ctx,
      chunks,
      scored,
      baseline: options.baseline,
      ...(note ? { note } : {}),
      results,
    };
    if (options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    else
      process.stdout.write(
        `${transformer.config.name} on ${report.text}: ${chunks} chunks of ${options.ctx} tokens, ${scored} predictions scored, against ${options.baseline}\n${note ? `(${note})\n` : ""}${table(results)}\n`,
      );
    await writePage?.(({ evalPage }) => evalPage(report));
    if (options.checkpoint) await rm(options.checkpoint, { force: true });
  } finally {
    progress.clear();
    await transformer.close();
  }
}

export function register(program: Command): void {
  program
    .command("eval")
    .description(
      "perplexity and divergence of a model whose cache is compressed, against an uncompressed one",
    )
    .requiredOption("--model <file>", "GGUF, or llama2.c's .bin (with --tokenizer)")
    .requiredOption("--text <file>", "UTF-8 text")
    .option("--ctx <n>", "tokens of a chunk; the second half is scored", integer, 512)
    .option("--chunks <n>", "chunks, each from an empty cache", integer, 8)
    .option(
      "--kv <list>",
      "formats, or key/value pairs of them: turbo4,q8_0/turbo3; with +centre, +sinks4, +mean; best4, best3, best2",
      list,
      ["q8_0", "turbo4", "turbo3"],
    )
    .option(
      "--centre <file>",
      "means for +centre and presets: turboquant centre (default: measured on the text)",
    )
    .option("--baseline <kv>", "what they are compared with", "f16")
    .option("--seed <n>", "seed of the rotations", integer, 0)
    .option("--threads <n>", "threads that compute", integer, 1)
    .option("--tokenizer <file>", "llama2.c's tokenizer file")
    .option("--checkpoint <file>", "keep finished chunks there, and go on from it after a stop")
    .option("--per-layer <file>", "measure each layer by itself; writes what profile --sensitivity reads")
    .option("--json", "machine-readable output")
    .addOption(htmlOption())
    .action(run);
}
