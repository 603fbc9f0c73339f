/**
 * Reads what `python -m dflash.benchmark` prints: throughputs, speed-up, acceptance lengths; and recognises the
 * failures that leave no summary. Terminal colours, progress bars and log prefixes are tolerated.
 */

export interface DflashResult {
  readonly status: "complete" | "failed" | "incomplete";
  /** Why the run failed, or what is missing. */
  readonly reason: string | null;
  /** Tokens per second. */
  readonly baseline: number | null;
  readonly dflash: number | null;
  readonly speedup: number | null;
  readonly acceptanceLength: number | null;
  /** Share of each accepted length 0, 1, 2, …, in 0..1. */
  readonly histogram: readonly number[] | null;
  /** Samples finished, from the progress bar. */
  readonly samples: { readonly done: number; readonly total: number } | null;
}

const FAILURES: readonly { pattern: RegExp; reason: string }[] = [
  {
    pattern: /kIOGPUCommandBufferCallbackErrorTimeout|Caused GPU Timeout Error/,
    reason: "Metal GPU timeout (kIOGPUCommandBufferCallbackErrorTimeout)",
  },
  {
    pattern: /kIOGPUCommandBufferCallbackErrorOutOfMemory|Insufficient Memory/,
    reason: "Metal ran out of memory (kIOGPUCommandBufferCallbackErrorOutOfMemory)",
  },
  { pattern: /\[METAL\] Command buffer execution failed/, reason: "a Metal command buffer failed" },
  { pattern: /^Traceback \(most recent call last\)/m, reason: "a Python exception" },
  { pattern: /Fatal Python error|libc\+\+abi: terminating/, reason: "the process aborted" },
];

/** Several runs in one log: the last summary counts, and only failures after it. */
export function parseDflashLog(log: string): DflashResult {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal colours begin with ESC
  const text = log.replace(/\u001b\[[0-9;?]*[A-Za-z]/g, "").replace(/\r\n?/g, "\n");
  const baseline = last(text, /Baseline throughput:\s*([\d.]+)/g);
  const dflash = last(text, /DFlash throughput:\s*([\d.]+)/g);
  const speedup = last(text, /Decoding speedup:\s*([\d.]+)/g) ?? ratio(dflash, baseline);
  const found = { baseline, dflash, speedup };
  const numbers = {
    ...found,
    acceptanceLength: last(text, /Average Acceptance length:\s*([\d.]+)/gi),
    histogram: histogramOf(text),
    samples: progress(text),
  };
  const tail = text.slice(Math.max(0, text.lastIndexOf("Decoding speedup:")));
  const complete = baseline !== null && dflash !== null;
  const failure = FAILURES.find(({ pattern }) => pattern.test(complete ? tail : text));
  if (failure) return { status: "failed", reason: withException(failure.reason, text), ...numbers };
  if (complete) return { status: "complete", reason: null, ...numbers };
  return { status: "incomplete", reason: "the log has no throughput summary", ...numbers };
}

function last(text: string, pattern: RegExp): number | null {
  const value = Number([...text.matchAll(pattern)].at(-1)?.[1] ?? Number.NaN);
  return Number.isFinite(value) ? value : null;
}

const ratio = (a: number | null, b: number | null): number | null =>
  a !== null && b !== null && b > 0 ? Math.round((a / b) * 100) / 100 : null;

function histogramOf(text: string): number[] | null {
  const list = [...text.matchAll(/Acceptance length histogram:\s*\[([^\]]*)\]/gi)].at(-1)?.[1];
  if (list === undefined) return null;
  const shares = [...list.matchAll(/([\d.]+)\s*(%?)/g)].map((m) => Number(m[1]) / (m[2] ? 100 : 1));
  return shares.length > 0 && shares.every(Number.isFinite) ? shares : null;
}

function progress(text: string): { done: number; total: number } | null {
  const match = [...text.matchAll(/\|\s*(\d+)\/(\d+)\s*\[/g)].at(-1);
  return match ? { done: Number(match[1]), total: Number(match[2]) } : null;
}

/** The exception's own line, where a traceback is all there is. */
function withException(reason: string, text: string): string {
  if (reason !== "a Python exception") return reason;
  const line = [...text.matchAll(/^(?:[\w.]*(?:Error|Exception|Interrupt))\b.*$/gm)].at(-1)?.[0];
  return line ? `a Python exception: ${line.trim().slice(0, 200)}` : reason;
}
