/** `turboquant centre`: the mean keys of a model, which a centred cache takes off before it quantises. */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import type { Command } from "commander";
import { UsageError } from "./exit.js";
import { integer } from "./options.js";
import { Progress } from "./progress.js";

interface Options {
  readonly model: string;
  readonly text: string;
  readonly ctx: number;
  readonly chunks: number;
  readonly tokenizer?: string;
  readonly threads: number;
  readonly output: string;
}

/** Share of the keys' energy that is their mean. */
const percent = (share: number): string => `${(100 * share).toFixed(0)}%`;

async function run(options: Options): Promise<void> {
  // Loaded here: the other commands need neither the kernels nor the tokenizers.
  const { openModel } = await import("../model/open-model.js");
  const { measureCenter, writeCenter } = await import("../model/measure-center.js");
  if (options.ctx < 8 || options.chunks < 1)
    throw new UsageError("--ctx expected at least 8, --chunks at least 1");
  const model = await openModel(options.model, {
    threads: options.threads,
    ...(options.tokenizer === undefined ? {} : { tokenizer: options.tokenizer }),
  });
  const progress = new Progress();
  try {
    const { transformer, tokenizer } = model;
    const tokens = tokenizer.encode(await readFile(options.text, "utf8"), { bos: false });
    const chunks = Math.min(options.chunks, Math.floor(tokens.length / options.ctx));
    if (chunks === 0)
      throw new UsageError(`--ctx ${options.ctx} expected at most the text's ${tokens.length} tokens`);
    const started = performance.now();
    const { shares, ...center } = measureCenter(transformer, {
      tokens,
      context: options.ctx,
      chunks,
      onProgress: (done, total) =>
        progress.update(
          done,
          total,
          `${((1000 * done) / (performance.now() - started)).toFixed(0)} tokens/s`,
        ),
    });
    const { layers, kvHeads, headDim } = transformer.kvShape;
    await writeCenter(options.output, center, transformer.kvShape, {
      model: `${transformer.config.name}, ${basename(options.model)}`,
      text: `${basename(options.text)}, ${chunks} chunks of ${options.ctx} tokens`,
    });
    progress.clear();
    const sorted = [...shares].sort((a, b) => a - b);
    process.stdout.write(
      `${options.output}: means of ${layers} layers, ${kvHeads} KV heads of ${headDim}, over ${chunks} chunks of ${options.ctx} tokens; the mean holds ${percent(sorted[0]!)} to ${percent(sorted.at(-1)!)} of the keys' energy\n`,
    );
  } finally {
    progress.clear();
    await model.close();
  }
}

export function register(program: Command): void {
  program
    .command("centre")
    .alias("center")
    .description("measure the mean keys of a model over a text, for caches whose keys are centred")
    .requiredOption("--model <file>", "GGUF, or llama2.c's .bin (with --tokenizer)")
    .requiredOption("--text <file>", "UTF-8 text; any will do, a few hundred tokens suffice")
    .option("--ctx <n>", "tokens of a chunk, each from an empty cache", integer, 512)
    .option("--chunks <n>", "chunks", integer, 4)
    .option("--tokenizer <file>", "llama2.c's tokenizer file")
    .option("--threads <n>", "threads that compute", integer, 1)
    .requiredOption(
      "-o, --output <file>",
      "where to write: safetensors, means (layers, KV heads, head) and how they turn",
    )
    .addHelpText(
      "after",
      `
The means are of keys before RoPE; the file says how RoPE turns them. They hold for any text and position.

Example:
  $ turboquant centre --model model.gguf --text book.txt -o model.centre.safetensors`,
    )
    .action(run);
}
