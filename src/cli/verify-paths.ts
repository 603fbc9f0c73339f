/** `turboquant verify attention` and `turboquant verify trace`: what is compared as values, not as bytes. */
import type { Command } from "commander";
import { verifyAttention } from "../oracle/attention.js";
import { verifyTrace } from "../oracle/trace.js";
import { type HtmlFlag, htmlOption, pageWriter } from "./html.js";
import { integer } from "./options.js";
import { showVerdict } from "./show-verdict.js";
import { readVectors } from "./streams.js";

interface AttentionFlags extends HtmlFlag {
  readonly keyFormat: string;
  readonly valueFormat: string;
  readonly dim: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly causal?: boolean;
  readonly scale?: number;
  readonly query: string;
  readonly key: string;
  readonly value: string;
  readonly output: string;
  readonly json?: boolean;
}

/** command: `verify`, whose own --json counts as well. */
export function registerPaths(command: Command): void {
  const json = (flags: { json?: boolean }): boolean | undefined =>
    flags.json ?? command.opts<{ json?: boolean }>().json;

  command
    .command("attention")
    .description("an attention path: queries, keys, values and the output that the fork gave")
    .requiredOption("--key-format <name>", "format of the keys")
    .requiredOption("--value-format <name>", "format of the values")
    .requiredOption("--dim <n>", "values per head", integer)
    .requiredOption("--heads <n>", "query heads", integer)
    .requiredOption("--kv-heads <n>", "key and value heads", integer)
    .option("--causal", "query t sees tokens 0 … tokens − queries + t")
    .option("--scale <s>", "factor of the scores; default 1/√dim", Number)
    .requiredOption("--query <file>", "(queries, heads, dim)")
    .requiredOption("--key <file>", "(tokens, kvHeads, dim), before encoding")
    .requiredOption("--value <file>", "(tokens, kvHeads, dim), before encoding")
    .requiredOption("--output <file>", "(queries, heads, dim), original basis")
    .option("--json", "machine-readable")
    .addOption(htmlOption())
    .action(async (flags: AttentionFlags) => {
      const writePage = await pageWriter(flags.html);
      const { keyFormat, valueFormat, dim, heads, kvHeads, causal, scale } = flags;
      const read = (path: string): Promise<Float32Array> => readVectors(path, dim);
      const verdict = verifyAttention({
        keyFormat,
        valueFormat,
        dim,
        heads,
        kvHeads,
        causal: causal ?? false,
        ...(scale !== undefined ? { scale } : {}),
        query: await read(flags.query),
        key: await read(flags.key),
        value: await read(flags.value),
        output: await read(flags.output),
      });
      await writePage?.(({ verifyPage }) => verifyPage([verdict]));
      showVerdict(verdict, json(flags));
    });

  command
    .command("trace")
    .description("a cache's life: operations, and what the fork's reads gave back")
    .argument("<file>", "trace.json; the f32 files it names lie beside it")
    .option("--json", "machine-readable")
    .addOption(htmlOption())
    .action(async (file: string, flags: HtmlFlag & { json?: boolean }) => {
      const writePage = await pageWriter(flags.html);
      const verdict = await verifyTrace(file);
      await writePage?.(({ verifyPage }) => verifyPage([verdict]));
      showVerdict(verdict, json(flags));
    });
}
