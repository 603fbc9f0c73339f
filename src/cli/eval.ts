/** `turboquant eval`: what compressed caches cost a language model, measured on a text. */
import { readFile, rm } from "node:fs/promises";
import { basename } from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import type { Center } from "../core/centring.js";
import { FormatError } from "../core/format-error.js";
import { writeAtomic } from "../files/write-atomic.js";
import type { KvChoice } from "../model/kv-pair.js";
import { MEASURES, type Measure } from "../model/measures/measure-names.js";
import type { PairMeasures } from "../model/measures/measure-pairs.js";
import type { NativeResult } from "../model/native-baseline.js";
import type { EvalPlan } from "../model/perplexity.js";
import type { Transformer } from "../model/transformer.js";
import { PROMPTS } from "../plan/prompts.js";
import { encodeText } from "./encode-text.js";
import { evalText, nativeText, type PairReport } from "./eval-output.js";
import { CheckFailed, UsageError } from "./exit.js";
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
  readonly profile?: string;
  readonly firstChunk: number;
  readonly measure: readonly Measure[];
  readonly gates?: boolean;
  readonly native?: readonly string[];
  readonly long: number;
  readonly answer: number;
  readonly json?: boolean;
}

const list = (text: string): string[] => text.split(",").map((name) => name.trim());
/** What the gates ask; speed too where it is measured, which a busy machine cannot. */
const GATED: readonly Measure[] = ["attention", "needle", "session", "memory"];

function measures(text: string): readonly Measure[] {
  const names = text === "none" ? [] : text === "all" ? MEASURES : list(text);
  for (const name of names)
    if (!(MEASURES as readonly string[]).includes(name))
      throw new InvalidArgumentError(`expected all, none, or some of ${MEASURES.join(", ")}, got "${name}".`);
  return names as readonly Measure[];
}

/** The shipped model is not a published one: said wherever its numbers are shown. */
const STAND_IN = "novels3M";
const STAND_IN_NOTE =
  "a stand-in trained for tests, not a published checkpoint: its numbers are not a real model's";

/** Writes what each layer costs by itself, for `profile --sensitivity`. */
async function perLayer(
  transformer: Transformer,
  plan: EvalPlan,
  { model, kv, baseline, seed, checkpoint }: Options,
  path: string,
  progress: Progress,
): Promise<void> {
  const { layerSensitivity } = await import("../model/layer-sensitivity.js");
  const measured = await layerSensitivity(transformer, {
    plan,
    kv,
    baseline,
    seed,
    about: [basename(model)],
    ...(checkpoint ? { checkpoint } : {}),
    onProgress: (done, total) => progress.update(done, total, `${done} of ${total} layers of chunks`),
  });
  await writeAtomic(path, [new TextEncoder().encode(`${JSON.stringify(measured, null, 2)}\n`)]);
  progress.clear();
  process.stdout.write(`${path}: ${measured.layers.length} layers, ${kv.join(", ")}\n`);
  if (checkpoint) await rm(checkpoint, { force: true });
}

/** The pairs that are named, and the profile of a file. */
async function choicesOf({ kv, profile }: Options, layers: number): Promise<KvChoice[]> {
  const { kvPair } = await import("../model/kv-pair.js");
  const { profileChoice } = await import("../model/profile-choice.js");
  const named: KvChoice[] = [...new Set(kv)].map(kvPair);
  if (profile === undefined) return named;
  const text = await readFile(profile, "utf8");
  try {
    return [...named, profileChoice(basename(profile), JSON.parse(text), layers)];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new FormatError("BAD_FILE", `${profile}: ${error.message}`);
  }
}

/** Asks llama.cpp for its perplexities; undefined where nobody wants them. @throws UsageError where it cannot be asked. */
async function nativeAsker({
  model,
  native: kv,
  threads,
}: Options): Promise<((plan: EvalPlan, progress: Progress) => Promise<NativeResult[]>) | undefined> {
  if (!kv) return undefined;
  if (model.endsWith(".bin")) throw new UsageError("--native expected a GGUF model, which llama.cpp reads");
  const { nativeEngine, nativePerplexity } = await import("../model/native-baseline.js");
  const engine = await nativeEngine();
  if (!engine)
    throw new UsageError(
      "--native asks llama.cpp through node-llama-cpp, which is not installed: npm install node-llama-cpp",
    );
  return (plan, progress) =>
    nativePerplexity({
      engine,
      model,
      plan,
      kv,
      threads,
      onProgress: (done, total) => progress.update(done, total, "llama.cpp"),
    });
}

interface Evaluated {
  readonly plan: EvalPlan;
  readonly choices: readonly KvChoice[];
  readonly center: Center | undefined;
  readonly progress: Progress;
}

/** What else was asked for. */
async function measureMore(
  transformer: Transformer,
  options: Options,
  { plan, choices, center, progress }: Evaluated,
): Promise<readonly PairMeasures[]> {
  const { measurePairs } = await import("../model/measures/measure-pairs.js");
  const asked = new Set([...options.measure, ...(options.gates ? GATED : [])]);
  const speaks = asked.has("needle") || asked.has("prompts");
  const { openChat } = await import("../model/open-model.js");
  const { tokenizer } = options;
  let done = 0;
  return measurePairs(transformer, {
    measures: [...asked],
    plan,
    choices,
    center,
    baseline: options.baseline,
    seed: options.seed,
    longContext: Math.min(options.long, transformer.config.context),
    answerTokens: options.answer,
    chat: speaks ? await openChat(options.model, tokenizer ? { tokenizer } : {}) : undefined,
    prompts: PROMPTS.map(({ category, turns, expected: { pattern } }) => ({ category, turns, pattern })),
    onMeasure: (measure) => progress.update(done++, asked.size, measure),
  });
}

async function run(options: Options): Promise<void> {
  // Loaded here: the other commands need neither the kernels nor the tokenizers.
  const { openTransformer } = await import("../model/open-model.js");
  const { centerFor, evaluatePairs } = await import("../model/eval-pairs.js");
  const { askGates, worstOf } = await import("../model/measures/gates.js");
  const { readCenter } = await import("../model/measure-center.js");
  if (options.ctx < 2 || options.chunks < 1 || options.firstChunk < 0)
    throw new UsageError("--ctx expected at least 2, --chunks at least 1, --first-chunk at least 0");
  const writePage = await pageWriter(options.html);
  const askNative = await nativeAsker(options);
  const { threads, tokenizer } = options;
  const {
    tokens: all,
    bos,
    header,
  } = await encodeText({
    model: options.model,
    text: options.text,
    ...(tokenizer ? { tokenizer } : {}),
  });
  const transformer = await openTransformer(header, { threads });
  const progress = new Progress();
  try {
    const tokens = all.subarray(options.firstChunk * options.ctx);
    const chunks = Math.min(options.chunks, Math.floor(tokens.length / options.ctx));
    if (chunks === 0)
      throw new UsageError(
        `--ctx ${options.ctx} after chunk ${options.firstChunk} expected at most the text's ${all.length} tokens`,
      );
    const plan = { tokens, context: options.ctx, chunks, ...(bos === undefined ? {} : { bos }) };
    if (options.perLayer) return await perLayer(transformer, plan, options, options.perLayer, progress);
    const choices = await choicesOf(options, transformer.config.layers);
    const given = options.centre ? await readCenter(options.centre, transformer.kvShape) : undefined;
    const center = centerFor(transformer, plan, choices, given);
    const { results: measured, scored } = await evaluatePairs(transformer, {
      plan,
      kv: choices,
      baseline: options.baseline,
      seed: options.seed,
      about: [basename(options.model), header.fileBytes],
      ...(center ? { center } : {}),
      ...(options.checkpoint ? { checkpoint: options.checkpoint } : {}),
      onProgress: (p) => {
        const left = Math.ceil(p.secondsLeft);
        progress.update(p.tokens, p.totalTokens, `${p.tokensPerSecond.toFixed(0)} tokens/s, ${left} s left`);
      },
    });
    const native = await askNative?.(plan, progress);
    const more = await measureMore(transformer, options, { plan, choices, center, progress });
    progress.clear();
    const results = measured.map((result, i): PairReport => {
      const gates = askGates({ ...result, ...more[i] });
      return { ...result, ...more[i], gates, verdict: worstOf(gates.map(({ verdict }) => verdict)) };
    });
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
      ...(native ? { native } : {}),
    };
    if (options.json) process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
    else
      process.stdout.write(
        `${transformer.config.name} on ${report.text}: ${chunks} chunks of ${options.ctx} tokens, ${scored} predictions scored, against ${options.baseline}\n${note ? `(${note})\n` : ""}${evalText(results, options.gates === true)}\n${native ? `${nativeText(native)}\n` : ""}`,
      );
    await writePage?.(({ evalPage }) => evalPage(report));
    if (options.checkpoint) await rm(options.checkpoint, { force: true });
    if (options.gates && results.some(({ verdict }) => verdict === "FAIL"))
      throw new CheckFailed("a gate failed");
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
      "formats, or key/value pairs of them: turbo4,q8_0/turbo3; with +centre, +sinks4, +recent64, +mean; best4, best3, best2",
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
    .option("--first-chunk <n>", "begin at that chunk of the text, from 0", integer, 0)
    .option("--profile <file>", "also a cache with formats layer by layer: what profile --json prints")
    .option("--per-layer <file>", "measure each layer by itself; writes what profile --sensitivity reads")
    .option("--measure <list>", `beside perplexity: ${MEASURES.join(", ")}; all or none of them`, measures, [
      "attention",
    ] as const)
    .option("--gates", "ask the quality gates (all measures but speed and prompts); exit 1 where one fails")
    .option("--long <n>", "tokens of a haystack, of a session, of a prompt with its answer", integer, 2048)
    .option("--answer <n>", "most tokens of an answer to a prompt", integer, 64)
    .option(
      "--native <list>",
      "also llama.cpp's perplexities with these caches, as f16,q8_0,q4_0 (npm install node-llama-cpp)",
      list,
    )
    .option("--json", "machine-readable output")
    .addOption(htmlOption())
    .addHelpText(
      "after",
      `
Examples:
  $ turboquant eval --model model.gguf --text book.txt --kv q8_0,turbo4,turbo3+centre
  $ turboquant eval --model model.gguf --text book.txt --kv best3 --gates --html eval.html`,
    )
    .action(run);
}
