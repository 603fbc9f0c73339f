/** `turboquant record`: what a model writes to its cache, for the report, the oracle and other experiments. */
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { channels, integer } from "./options.js";
import { Progress } from "./progress.js";

interface Options {
  readonly model: string;
  readonly text: string;
  readonly tokens?: readonly [number, number];
  readonly layers?: readonly number[];
  readonly queries: number;
  readonly tokenizer?: string;
  readonly threads: number;
  readonly output: string;
}

function tokenRange(text: string): [number, number] {
  const [first, last, ...more] = text.split("..").map(integer);
  if (last === undefined || more.length > 0 || last < first! || first! < 0)
    throw new InvalidArgumentError(`expected FIRST..LAST, got "${text}".`);
  return [first!, last];
}

async function run(options: Options): Promise<void> {
  // Loaded here: the other commands need neither the kernels nor the tokenizers.
  const { openModel } = await import("../model/open-model.js");
  const { record } = await import("../model/record.js");
  const model = await openModel(options.model, {
    threads: options.threads,
    ...(options.tokenizer === undefined ? {} : { tokenizer: options.tokenizer }),
  });
  try {
    const { transformer, tokenizer } = model;
    const all = tokenizer.encode(await readFile(options.text, "utf8"));
    const [first, last] = options.tokens ?? [0, Math.min(all.length, transformer.config.context) - 1];
    if (last >= all.length)
      throw new RangeError(
        `"--tokens" expected at most ..${all.length - 1} (the text's last), got ..${last}`,
      );
    const tokens = all.slice(first, last + 1);
    const layers = options.layers ?? Array.from({ length: transformer.config.layers }, (_, layer) => layer);
    const queries = Math.min(options.queries, tokens.length);
    const started = performance.now();
    const progress = new Progress();
    await record(
      transformer,
      {
        tokens,
        layers,
        queries,
        model: `${transformer.config.name}, ${basename(options.model)}`,
        text: `${basename(options.text)}, tokens ${first}..${last}`,
        onProgress: (done) => {
          const rate = (1000 * done) / (performance.now() - started);
          progress.update(done, tokens.length, `${rate.toFixed(0)} tokens/s`);
        },
      },
      options.output,
    );
    progress.clear();
    process.stdout.write(`${options.output}: ${tokens.length} tokens, layers ${layers.join(", ")}\n`);
  } finally {
    await model.close();
  }
}

export function register(program: Command): void {
  program
    .command("record")
    .description(
      "run a model over a text and write keys, values and queries of its layers to a safetensors file",
    )
    .requiredOption("--model <file>", "GGUF, or llama2.c's .bin (with --tokenizer)")
    .requiredOption("--text <file>", "UTF-8 text")
    .option(
      "--tokens <first..last>",
      "part of the text, in tokens (default: what the context holds)",
      tokenRange,
    )
    .option("--layers <list>", "layers, as 1,13,26 (default: all)", channels)
    .option("--queries <n>", "keep the queries of the last n tokens", integer, 64)
    .option("--tokenizer <file>", "llama2.c's tokenizer file")
    .option("--threads <n>", "threads that compute", integer, 1)
    .requiredOption("-o, --output <file>", "where to write")
    .addHelpText(
      "after",
      `
Examples:
  $ turboquant record --model model.gguf --text book.txt --output kv.safetensors
  $ turboquant report --from kv.safetensors`,
    )
    .action(run);
}
