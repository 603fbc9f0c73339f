/** DFlash (block-diffusion speculative decoding, z-lab/dflash) on Apple silicon with MLX: what to run and how. */
import { assertInteger } from "../core/check.js";
import { GIB } from "./kv-bytes.js";
import { shellCommand } from "./shell.js";

/** A target model and its draft model. */
export interface DflashPair {
  readonly slug: string;
  readonly base: string;
  readonly draft: string;
  /** Weights of both models, GB. */
  readonly weightsGb: number;
  /** Least unified memory, GB. */
  readonly leastGb: number;
  /** What is known from runs elsewhere. */
  readonly known: string;
  readonly experimental: boolean;
}

/** Smallest first. */
export const DFLASH_PAIRS: readonly DflashPair[] = [
  {
    slug: "qwen35-4b",
    base: "Qwen/Qwen3.5-4B",
    draft: "z-lab/Qwen3.5-4B-DFlash",
    weightsGb: 9.68,
    leastGb: 16,
    known: "M3 Max 36 GB: 22.35 → 46.78 tok/s (2.09×), one sample, so directional only",
    experimental: false,
  },
  {
    slug: "qwen35-9b",
    base: "Qwen/Qwen3.5-9B",
    draft: "z-lab/Qwen3.5-9B-DFlash",
    weightsGb: 19.93,
    leastGb: 28,
    known: "M3 Max 36 GB: Metal GPU timeout (kIOGPUCommandBufferCallbackErrorTimeout)",
    experimental: true,
  },
];

export const DRAFT_WINDOW = 4096;

/** Memory and machine that a DFlash pair must fit. */
export interface DflashRequest {
  readonly totalBytes: number;
  readonly slug?: string;
  readonly dataset?: string;
  readonly samples?: number;
  readonly thinking?: boolean;
}

/** The pair that fits, and the commands that run it. */
export interface DflashPlan {
  readonly pair: DflashPair;
  readonly memoryGb: number;
  readonly fits: boolean;
  readonly reason: string;
  readonly warnings: readonly string[];
  readonly draftWindow: number;
  readonly dataset: string;
  readonly samples: number;
  readonly thinking: boolean;
  readonly setup: readonly string[];
  readonly benchmark: string;
}

/** The largest pair that fits, else the smallest; a slug forces one. @throws RangeError for an unknown slug. */
export function planDflash(request: DflashRequest): DflashPlan {
  const { totalBytes, slug, dataset = "gsm8k", samples = 128, thinking = true } = request;
  if (!(totalBytes > 0))
    throw new RangeError(`"totalBytes" expected the machine's memory, got ${totalBytes}`);
  assertInteger(samples, "samples", 1, 1_000_000);
  if (!/^[A-Za-z0-9][\w.-]*$/.test(dataset))
    throw new RangeError(`"dataset" expected a name like gsm8k, got "${dataset}"`);
  const memoryGb = totalBytes / GIB;
  const pair = choosePair(memoryGb, slug);
  const fits = memoryGb >= pair.leastGb;
  const why = slug !== undefined ? "as asked" : fits ? "the largest that fits" : "the smallest; none fits";
  const warnings: string[] = [];
  if (!fits)
    warnings.push(`${pair.slug} wants ${pair.leastGb} GB, this machine has ${memoryGb.toFixed(1)} GB`);
  if (pair.experimental) warnings.push(`${pair.slug} is experimental: ${pair.known}`);
  return {
    pair,
    memoryGb,
    fits,
    reason: `${memoryGb.toFixed(1)} GB: ${pair.slug} (${pair.weightsGb} GB weights, ${pair.leastGb} GB or more), ${why}.`,
    warnings,
    draftWindow: DRAFT_WINDOW,
    dataset,
    samples,
    thinking,
    setup: SETUP,
    benchmark: benchmarkCommand(pair, dataset, samples, thinking),
  };
}

function choosePair(memoryGb: number, slug: string | undefined): DflashPair {
  if (slug === undefined)
    return DFLASH_PAIRS.filter((pair) => memoryGb >= pair.leastGb).at(-1) ?? DFLASH_PAIRS[0]!;
  const pair = DFLASH_PAIRS.find((entry) => entry.slug === slug);
  if (pair) return pair;
  const known = DFLASH_PAIRS.map((entry) => entry.slug).join(", ");
  throw new RangeError(`"pair" expected one of ${known}, got "${slug}"`);
}

// DEVIATION from the README's `pip install -e .[mlx]`: quoted, because zsh, the Mac's shell, expands brackets.
const SETUP: readonly string[] = [
  "python3 -m venv .venv-dflash",
  "source .venv-dflash/bin/activate",
  "git clone https://github.com/z-lab/dflash.git",
  "cd dflash",
  "pip install -e '.[mlx]'  # pip install -e .[mlx], quoted for zsh",
];

function benchmarkCommand(pair: DflashPair, dataset: string, samples: number, thinking: boolean): string {
  return shellCommand({}, [
    ...["python", "-m", "dflash.benchmark", "--backend", "mlx"],
    ...["--model", pair.base, "--draft-model", pair.draft],
    ...["--dataset", dataset, "--max-samples", String(samples)],
    ...(thinking ? ["--enable-thinking"] : []),
    ...["--draft-sliding-window-size", String(DRAFT_WINDOW)],
  ]);
}
