/** `turboquant verify`: what a fork produced → a verdict. Exit 0 conforming, 1 faulty or bad data, 2 wrong usage. */
import type { Command } from "commander";
import { Option } from "commander";
import { findFormat } from "../formats/registry.js";
import { CASES } from "../oracle/cases.js";
import { type DumpOptions, verifyDump, verifyShard } from "../oracle/dumps/dump.js";
import type { OnProgress } from "../oracle/dumps/judge.js";
import { shardToJson } from "../oracle/dumps/shard-file.js";
import { openLibrary } from "../oracle/forks/library.js";
import { openProcess } from "../oracle/forks/process.js";
import type { Verdict } from "../oracle/verdict.js";
import type { CasesVerdict } from "../oracle/verify-cases.js";
import { type ForkInput, verifyFork } from "../oracle/verify-fork.js";
import type { PageVerdict } from "../report/html/verify-page.js";
import { UsageError } from "./exit.js";
import { type HtmlFlag, htmlOption, pageWriter } from "./html.js";
import { integer, jobs, seconds, seed, share } from "./options.js";
import { Progress } from "./progress.js";
import { showVerdict } from "./show-verdict.js";
import { readVectors } from "./streams.js";
import { verifyDirectory } from "./verify-directory.js";
import { registerPaths } from "./verify-paths.js";

interface Flags extends HtmlFlag {
  readonly format?: string;
  readonly dim?: number;
  readonly input?: string;
  readonly packed?: string;
  readonly decoded?: string;
  readonly lib?: string;
  readonly quantizeSymbol?: string;
  readonly dequantizeSymbol?: string;
  readonly exec?: string;
  readonly timeout: number;
  readonly shard?: readonly [number, number];
  readonly jobs?: number;
  readonly side: "key" | "value";
  readonly seed: bigint;
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
    .option("-d, --dim <n>", "values per vector; with --lib and --exec 128 by default", integer)
    .option("--input <file>", "inputs: raw f32, .npy or FILE.safetensors:TENSOR, (n, dim)")
    .option("--packed <file>", "the fork's packed bytes: raw, .npy (u1) or FILE.safetensors:TENSOR (U8)")
    .option("--decoded <file>", "the fork's decoded values, in the engine's own basis")
    .option("--lib <file>", "a shared library to call: any ggml build (needs the package koffi)")
    .option("--quantize-symbol <name>", 'its quantiser, where it is not the usual one; "" for none')
    .option("--dequantize-symbol <name>", 'its dequantiser, where it is not the usual one; "" for none')
    .option("--exec <command>", "a program that speaks the protocol of docs/oracle.md")
    .addOption(
      new Option("--timeout <seconds>", "longest wait for one answer of --lib or --exec")
        .argParser(seconds)
        .default(30),
    )
    .addOption(
      new Option("--side <side>", "for formats whose sides differ").choices(["key", "value"]).default("key"),
    )
    .addOption(new Option("--seed <n>", "seed of the rotation").argParser(seed).default(0n, "0"))
    .option(
      "--shard <i/n>",
      "only share i of n (from 1) of --input; writes JSON for `turboquant merge`",
      share,
    )
    .option("--jobs <n>", "threads for --input of more than a few thousand vectors; default 1", jobs)
    .option("--json", "machine-readable")
    .addOption(htmlOption())
    .addHelpText(
      "after",
      `
Examples:
  $ turboquant verify --format llama/turbo4 --dim 128 --input x.f32 --packed fork.bin
  $ turboquant verify --format llama/turbo3 --dim 128 --input x.f32 --decoded fork.f32 --json
  $ turboquant verify --format llama/turbo4 --dim 128 --input huge.npy --packed huge.bin --jobs 8
  $ turboquant verify --format ggml/q8_0 --lib libggml-base.so
  $ turboquant verify --format llama/turbo4 --exec ./fork
  $ turboquant verify trace trace.json`,
    )
    .action(async (dir: string | undefined, flags: Flags) => {
      if (flags.shard !== undefined) return writeShard(flags, flags.shard);
      const writePage = await pageWriter(flags.html);
      const verdict: Verdict | CasesVerdict =
        dir !== undefined
          ? await verifyDirectory(dir)
          : flags.lib !== undefined || flags.exec !== undefined
            ? await verifyRunning(flags)
            : await verifyPair(flags);
      await writePage?.(({ verifyPage }) => verifyPage(partsOf(verdict)));
      showVerdict(verdict, flags.json);
    });
  registerPaths(command);
}

function dumpOf({ format, dim, input, packed, decoded, side, seed }: Flags): DumpOptions {
  if (!format || dim === undefined || !input)
    throw new UsageError('"verify" expected --format, --dim and --input');
  if (!packed && !decoded) throw new UsageError('"verify" expected --packed or --decoded');
  assertDim(format, dim);
  return { format, dim, side, seed, input, ...(packed ? { packed } : {}), ...(decoded ? { decoded } : {}) };
}

async function verifyPair(flags: Flags): Promise<Verdict> {
  const progress = new Progress();
  const onProgress: OnProgress = (done, total) => progress.update(done, total, `vector ${done} of ${total}`);
  try {
    return await verifyDump(dumpOf(flags), { jobs: flags.jobs ?? 1, onProgress });
  } finally {
    progress.clear();
  }
}

/** What a share says is data, right or wrong: the exit code is for `merge` to give. */
async function writeShard(flags: Flags, share: readonly [number, number]): Promise<void> {
  if (flags.lib !== undefined || flags.exec !== undefined || flags.html !== undefined)
    throw new UsageError('"verify --shard" expected --input with --packed or --decoded alone');
  process.stdout.write(`${shardToJson(await verifyShard(dumpOf(flags), share))}\n`);
}

async function verifyRunning(flags: Flags): Promise<CasesVerdict> {
  const { format, lib, exec, side, seed } = flags;
  const dim = flags.dim ?? 128;
  if (!format) throw new UsageError('"verify" expected --format');
  if (lib !== undefined && exec !== undefined)
    throw new UsageError('"verify" expected --lib or --exec, got both');
  if (flags.packed || flags.decoded)
    throw new UsageError('"verify" expected --packed and --decoded without --lib or --exec');
  assertDim(format, dim);
  const inputs: ForkInput[] = flags.input
    ? [{ case: flags.input, dim, exposes: [], input: await readVectors(flags.input, dim) }]
    : CASES.map(({ name, exposes, make }) => ({ case: name, dim, exposes, input: make(dim) }));
  const timeoutMs = 1000 * flags.timeout;
  const symbols = {
    ...(flags.quantizeSymbol === undefined ? {} : { quantize: flags.quantizeSymbol }),
    ...(flags.dequantizeSymbol === undefined ? {} : { dequantize: flags.dequantizeSymbol }),
  };
  const fork =
    lib !== undefined
      ? await openLibrary({ path: lib, format, symbols, timeoutMs })
      : openProcess(exec!, { name: `"${exec}"`, timeoutMs });
  let verdict: CasesVerdict;
  try {
    verdict = await verifyFork(fork, { format, side, seed }, inputs);
  } catch (error) {
    await fork.close().catch(() => {}); // the first failure is the one to tell
    throw error;
  }
  await fork.close();
  return verdict;
}

function assertDim(format: string, dim: number): void {
  const found = findFormat(format);
  if (!found.supports(dim)) throw new RangeError(`"dim" expected ${found.dims} for ${format}, got ${dim}`);
}

/** What a page shows: each part of a verdict over cases, or the verdict itself. */
const partsOf = (v: Verdict | CasesVerdict): readonly PageVerdict[] =>
  "parts" in v ? v.parts.map((part) => ({ ...part, case: part.part })) : [v];
