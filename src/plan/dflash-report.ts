/** The Markdown report of a DFlash run: a template to fill in, or filled from a parsed log. */
import type { DflashPlan } from "./dflash.js";
import type { DflashResult } from "./dflash-log.js";

const number = (value: number | null | undefined, unit: string): string =>
  value == null ? "" : `${value.toFixed(2)}${unit}`;

/** @param machine e.g. "M3 Max 36GB" */
/** The Markdown report of a run. */
export function dflashReport(plan: DflashPlan, machine: string, result: DflashResult | null = null): string {
  const { pair } = plan;
  return `# DFlash Apple Silicon Benchmark Report

## Machine

- Machine: ${machine}
- Memory: ${plan.memoryGb.toFixed(1)} GB
- macOS version:
- MLX version:

## Setup

- Base model: ${pair.base}
- Draft model: ${pair.draft}
- Weights: ${pair.weightsGb} GB, recommended memory ${pair.leastGb} GB or more
- Draft sliding window: ${plan.draftWindow}
- Dataset: ${plan.dataset}, ${plan.samples} samples, thinking ${plan.thinking ? "on" : "off"}
- Known before: ${pair.known}

\`\`\`sh
${plan.setup.join("\n")}
${plan.benchmark}
\`\`\`

## Baseline comparison

Compare against plain MLX or llama.cpp speculative decoding on the same prompts.

| run | tok/s | prompts | notes |
|---|---|---|---|
| plain MLX | ${number(result?.baseline, "")} | ${result?.baseline == null ? "" : plan.dataset} | |
| llama.cpp speculative decoding | | | |
| DFlash | ${number(result?.dflash, "")} | ${result?.dflash == null ? "" : plan.dataset} | |

## Results

- Status: ${result === null ? "" : [result.status, result.reason].filter(Boolean).join(": ")}
- Samples finished: ${result?.samples ? `${result.samples.done} of ${result.samples.total}` : ""}
- Speed-up: ${number(result?.speedup, "×")}
- Average acceptance length: ${number(result?.acceptanceLength, "")}
- Acceptance length histogram: ${histogram(result)}
- Peak memory:
- Answers equal to the baseline's:

## Verdict

Worth operationalizing locally?

${verdict(result)}

## Recommendation

${recommendation(plan, result)}
`;
}

const histogram = (result: DflashResult | null): string =>
  result?.histogram?.map((share, length) => `${length}: ${(share * 100).toFixed(1)} %`).join(", ") ?? "";

function verdict(result: DflashResult | null): string {
  if (result === null) return "- [ ] yes\n- [ ] no\n- [ ] not yet, because:";
  if (result.status === "failed") return `No: the run failed (${result.reason}).`;
  if (result.status === "incomplete" || result.speedup === null)
    return `Not yet: ${result.reason ?? "no speed-up measured"}.`;
  const few = (result.samples?.done ?? 0) < 30 ? " Few samples: directional only." : "";
  return result.speedup > 1
    ? `Measured ${result.speedup.toFixed(2)}× over the baseline.${few}`
    : `No: ${result.speedup.toFixed(2)}× is no faster than the baseline.${few}`;
}

function recommendation(plan: DflashPlan, result: DflashResult | null): string {
  if (result?.status === "failed" && plan.pair.slug !== "qwen35-4b")
    return "Use the smaller pair (qwen35-4b) on this machine.";
  return plan.pair.experimental ? "Experimental on this class of machine: repeat before relying on it." : "";
}
