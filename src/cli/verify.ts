/** `turboquant verify`: what a fork produced → a verdict. Exit 0 conforming, 1 faulty or bad data, 2 wrong usage. */
import type { Command } from "commander";
import { Option } from "commander";
import { FormatError } from "../core/format-error.js";
import { findFormat } from "../formats/registry.js";
import { verifyAttention } from "../oracle/attention.js";
import { verifyTrace } from "../oracle/trace.js";
import type { Verdict } from "../oracle/verdict.js";
import { verify } from "../oracle/verify.js";
import { CheckFailed, UsageError } from "./exit.js";
import { integer, seed } from "./options.js";
import { readBytes, readVectors } from "./streams.js";
import { type CaseVerdict, verifyDirectory } from "./verify-directory.js";

interface PairFlags {
  readonly format?: string;
  readonly dim?: number;
  readonly input?: string;
  readonly packed?: string;
  readonly decoded?: string;
  readonly side: "key" | "value";
  readonly seed: bigint;
  readonly json?: boolean;
}

interface AttentionFlags {
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

export function register(program: Command): void {
  program.enablePositionalOptions(); // `verify attention --dim` is the subcommand's
  const command = program
    .command("verify")
    .description("compare what a fork produced with the definition, and name its fault")
    .enablePositionalOptions()
    .argument("[dir]", "what `vectors emit` wrote, with the fork's files beside the inputs")
    .option("-f, --format <name>", "wire format (see `turboquant formats`)")
    .option("-d, --dim <n>", "values per vector", integer)
    .option("--input <file>", "inputs: raw f32 or .npy, (n, dim)")
    .option("--packed <file>", "the fork's packed bytes")
    .option("--decoded <file>", "the fork's decoded values, in the engine's own basis")
    .addOption(
      new Option("--side <side>", "for formats whose sides differ").choices(["key", "value"]).default("key"),
    )
    .addOption(new Option("--seed <n>", "seed of the rotation").argParser(seed).default(0n, "0"))
    .option("--json", "machine-readable")
    .addHelpText(
      "after",
      `
Examples:
  $ turboquant verify --format llama/turbo4 --dim 128 --input x.f32 --packed fork.bin
  $ turboquant verify --format llama/turbo3 --dim 128 --input x.f32 --decoded fork.f32 --json
  $ turboquant verify trace trace.json`,
    )
    .action(async (dir: string | undefined, flags: PairFlags) => {
      if (dir !== undefined) {
        showAll(await verifyDirectory(dir), flags.json);
        return;
      }
      const { format, dim, input, packed, decoded, side } = flags;
      if (!format || dim === undefined || !input)
        throw new UsageError('"verify" expected --format, --dim and --input');
      if (!packed && !decoded) throw new UsageError('"verify" expected --packed or --decoded');
      if (!findFormat(format).supports(dim))
        throw new RangeError(`"dim" expected ${findFormat(format).dims} for ${format}, got ${dim}`);
      const width = findFormat(format).open({ dim, side }).width;
      show(
        verify({
          format,
          dim,
          side,
          seed: flags.seed,
          input: await readVectors(input, dim),
          ...(packed ? { packed: await nonEmpty(packed) } : {}),
          ...(decoded ? { decoded: await readVectors(decoded, width) } : {}),
        }),
        flags.json,
      );
    });
  const jsonAnywhere = (flags: { json?: boolean }): boolean | undefined =>
    flags.json ?? command.opts<PairFlags>().json;

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
    .action(async (flags: AttentionFlags) => {
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
      show(verdict, jsonAnywhere(flags));
    });

  command
    .command("trace")
    .description("a cache's life: operations, and what the fork's reads gave back")
    .argument("<file>", "trace.json; the f32 files it names lie beside it")
    .option("--json", "machine-readable")
    .action(async (file: string, flags: { json?: boolean }) =>
      show(await verifyTrace(file), jsonAnywhere(flags)),
    );
}

async function nonEmpty(path: string): Promise<Uint8Array> {
  const bytes = await readBytes(path);
  if (bytes.length === 0) throw new FormatError("BAD_LENGTH", `${path} is empty: expected packed vectors`);
  return bytes;
}

function showAll(all: readonly CaseVerdict[], json: boolean | undefined): void {
  process.stdout.write(
    json ? `${JSON.stringify(all, null, 2)}\n` : all.map((v) => `${v.case}: ${text(v)}`).join("\n"),
  );
  if (all.some((v) => v.verdict === "faulty")) throw new CheckFailed();
}

function show(v: Verdict, json: boolean | undefined): void {
  process.stdout.write(json ? `${JSON.stringify(v, null, 2)}\n` : text(v));
  if (v.verdict === "faulty") throw new CheckFailed();
}

function text(v: Verdict): string {
  const lines = [`${v.verdict.toUpperCase()}  ${v.format} d=${v.dim}, ${v.vectors} vectors`];
  const { first, tolerated } = v;
  if (first)
    lines.push(
      `first     vector ${first.vector}, ${first.field}${first.coordinate === null ? "" : ` ${first.coordinate}`}${first.byte === null ? "" : ` (byte ${first.byte})`}: expected ${first.expected}, got ${first.actual}${first.distance === undefined ? "" : `, ${first.distance.toExponential(2)} from the boundary`}${first.source ? `; it is ${first.source}` : ""}`,
    );
  if (tolerated.normUlps + tolerated.boundaryFlips > 0)
    lines.push(
      `tolerated ${tolerated.normUlps} norms one ulp off, ${tolerated.boundaryFlips} codes next to a boundary`,
    );
  for (const f of v.faults)
    lines.push(`fault     ${f.id}  ${(100 * f.explains).toFixed(1)} %  ${f.evidence}`);
  for (const c of v.checks)
    lines.push(
      `check     ${c.status.padEnd(4)}  ${c.id}  ${c.value ?? ""}${c.limit === null ? "" : `  (limit ${c.limit})`}`,
    );
  return `${lines.join("\n")}\n`;
}
