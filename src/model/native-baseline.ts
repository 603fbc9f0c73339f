/**
 * Perplexity of the same tokens from llama.cpp, through node-llama-cpp where it is installed (an optional peer, some hundred
 * megabytes): what an engine in use makes of f16, q8_0, q4_0 caches. It quantises activations in every product with packed
 * weights, and the queries of a packed cache; its figures differ a little from an f32 forward pass's for that alone.
 */
import { FormatError } from "../core/format-error.js";
import { type EvalPlan, scoredPerChunk } from "./perplexity.js";
import { meanOf } from "./statistics.js";

/** The package, and what is used of it. */
const PACKAGE = "node-llama-cpp";

interface NativeLogits {
  readonly next: {
    /** Logits by token: those that were asked for, and the largest. */
    readonly logits?: ReadonlyMap<number, number>;
    /** Σ e^(logit − largest). */
    readonly totalLogitWeight?: number;
  };
}
interface NativeContext {
  getSequence(): {
    controlledEvaluate(input: readonly unknown[]): Promise<readonly (NativeLogits | undefined)[]>;
  };
  dispose(): Promise<void>;
}
interface NativeModel {
  createContext(options: Readonly<Record<string, unknown>>): Promise<NativeContext>;
  dispose(): Promise<void>;
}
/** What of node-llama-cpp is called here. */
export interface NativeEngine {
  /** Opens the engine. */
  getLlama(options: Readonly<Record<string, unknown>>): Promise<{
    /** Opens a GGUF file. */
    loadModel(options: { readonly modelPath: string }): Promise<NativeModel>;
    /** Frees the engine. */
    dispose(): Promise<void>;
  }>;
}

/** Types of llama.cpp's cache that need no fork. */
const TYPES = ["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"];

/** llama.cpp's figure for one K/V pair. */
export interface NativeResult {
  readonly kv: string;
  readonly ppl: number;
  readonly pplSe: number;
  /** Against the first pair, paired token by token. */
  readonly ratio: number;
  readonly ratioSe: number;
}

/** What to ask the engine. */
export interface NativeRequest {
  /** The GGUF file. */
  readonly model: string;
  readonly plan: EvalPlan;
  /** `f16`, or `q8_0/f16` for keys and values; the first is what the others are compared with. */
  readonly kv: readonly string[];
  readonly threads: number;
  readonly engine: NativeEngine;
  /** Called as work proceeds. */
  readonly onProgress?: (chunks: number, total: number) => void;
}

/** @throws FormatError UNKNOWN_FORMAT */
function typesOf(kv: string): { readonly key: string; readonly value: string } {
  const [key, value = key, ...more] = kv.split("/");
  for (const type of [key, value])
    if (!TYPES.includes(type!) || more.length > 0)
      throw new FormatError(
        "UNKNOWN_FORMAT",
        `"native" expected types of llama.cpp (${TYPES.join(", ")}), got "${kv}"`,
      );
  return { key: key!.toUpperCase(), value: value!.toUpperCase() };
}

/** node-llama-cpp; undefined where it is not installed. */
export async function nativeEngine(): Promise<NativeEngine | undefined> {
  try {
    return (await import(PACKAGE)) as NativeEngine;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    return undefined;
  }
}

/** ln p of the token that came, for every prediction that is scored. */
async function logProbs(context: NativeContext, plan: EvalPlan, chunk: number): Promise<number[]> {
  const tokens = Array.from(plan.tokens.subarray(chunk * plan.context, (chunk + 1) * plan.context));
  const next = tokens.slice(1);
  if (plan.bos !== undefined) tokens[0] = plan.bos;
  const from = plan.scoredFrom ?? plan.context >> 1;
  const asked = (token: number) => ({
    generateNext: { logits: { filter: { tokens: [token], includeTop: 1 } }, totalLogitWeight: true },
  });
  const input = tokens.map((token, at) =>
    at < from || at >= next.length ? token : [token, asked(next[at]!)],
  );
  const answers = await context.getSequence().controlledEvaluate(input);
  return next.slice(from).map((token, i) => {
    const { logits, totalLogitWeight } = answers[from + i]?.next ?? {};
    const logit = logits?.get(token);
    if (logit === undefined || !(totalLogitWeight! > 0))
      throw new FormatError(
        "BAD_FILE",
        `${PACKAGE} gave no logit for token ${token}: another version of it?`,
      );
    return logit - Math.max(...logits!.values()) - Math.log(totalLogitWeight!);
  });
}

/**
 * Runs the plan over each pair of types.
 * @throws FormatError UNKNOWN_FORMAT for a type, BAD_FILE for answers that say too little.
 */
export async function nativePerplexity(request: NativeRequest): Promise<NativeResult[]> {
  const { model: modelPath, plan, kv, threads } = request;
  const pairs = kv.map((name) => ({ name, ...typesOf(name) }));
  const llama = await request.engine.getLlama({
    gpu: false,
    build: "never",
    logLevel: "error",
    maxThreads: threads,
  });
  const scored: Float64Array[] = [];
  try {
    const model = await llama.loadModel({ modelPath });
    for (const { key, value } of pairs) {
      const logProb = new Float64Array(plan.chunks * scoredPerChunk(plan));
      for (let chunk = 0; chunk < plan.chunks; chunk++) {
        const context = await model.createContext({
          contextSize: plan.context,
          batchSize: Math.min(512, plan.context),
          flashAttention: true,
          experimentalKvCacheKeyType: key,
          experimentalKvCacheValueType: value,
        });
        try {
          logProb.set(await logProbs(context, plan, chunk), chunk * scoredPerChunk(plan));
        } finally {
          await context.dispose();
        }
        request.onProgress?.(scored.length * plan.chunks + chunk + 1, pairs.length * plan.chunks);
      }
      scored.push(logProb);
    }
  } finally {
    await llama.dispose();
  }
  return pairs.map(({ name }, i) => {
    const loss = meanOf(scored[i]!.map((x) => -x));
    const paired = meanOf(scored[i]!.map((x, at) => scored[0]![at]! - x));
    const [ppl, ratio] = [Math.exp(loss.mean), Math.exp(paired.mean)];
    return { kv: name, ppl, pplSe: ppl * loss.se, ratio, ratioSe: ratio * paired.se };
  });
}
