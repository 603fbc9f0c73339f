/** The answer of every check, as people and programs read it. Fault ids are those of the catalogue, or `unknown`. */
export type VerdictWord = "exact" | "tolerated" | "conforming" | "faulty";

/** Where a fork's output first differs. */
export interface FirstDifference {
  readonly vector: number;
  readonly field: string;
  readonly coordinate: number | null;
  readonly byte: number | null;
  readonly expected: number | string | null;
  readonly actual: number | string | null;
  /** How far the value was from the boundary that it should not have crossed, in group norms. */
  readonly distance?: number;
  /** Where the wrong value really came from. */
  readonly source?: string;
}

/** A named fault, how much of the differences it explains, and why. */
export interface Fault {
  /** A catalogue id, two of them joined by + in alphabetical order, or `unknown`. */
  readonly id: string;
  /** Share of the evidence that this explains, 0 … 1. */
  readonly explains: number;
  readonly evidence: string;
}

/** One measured figure of a verdict, with its limit. */
export interface Check {
  readonly id: string;
  readonly status: "pass" | "fail" | "info";
  readonly value: number | string | null;
  readonly limit: number | string | null;
}

/** What the oracle says. */
export interface Verdict {
  readonly format: string;
  readonly dim: number;
  readonly vectors: number;
  readonly verdict: VerdictWord;
  readonly first: FirstDifference | null;
  readonly tolerated: { readonly normUlps: number; readonly boundaryFlips: number };
  readonly faults: readonly Fault[];
  readonly checks: readonly Check[];
}

export const pairId = (ids: readonly string[]): string => [...new Set(ids)].sort().join("+") || "unknown";

/** How many faults these are; an id may be a pair. */
export function faultCount(...ids: readonly (string | undefined)[]): number {
  let n = 0;
  for (const id of ids)
    if (id) {
      n++;
      for (let at = id.indexOf("+"); at >= 0; at = id.indexOf("+", at + 1)) n++;
    }
  return n;
}

/**
 * Best first: what explains most, then fewest faults; equal ones keep their order. One entry per id. A second fault has
 * to explain three hundredths more than the first alone, or all that the first left over.
 */
export function ranked(faults: readonly Fault[]): Fault[] {
  const parts = (f: Fault): number => f.id.split("+").length;
  const dear = (f: Fault): number => (parts(f) - 1) * (f.explains > 0.998 ? 1 : 3);
  const step = (f: Fault): number => Math.round(f.explains * 100 - dear(f));
  const sorted = [...faults].sort(
    (a, b) => step(b) - step(a) || parts(a) - parts(b) || b.explains - a.explains,
  );
  const seen = new Set<string>();
  return sorted.filter((f) => !seen.has(f.id) && seen.add(f.id)).slice(0, 8);
}

/** Where bytes are compared to the last, what explains all of them leaves no room for what explains most. */
export const exactFirst = (faults: readonly Fault[]): readonly Fault[] =>
  faults.some((f) => f.explains === 1) ? faults.filter((f) => f.explains === 1) : faults;

/** Checks of bytes and of values: each once, as it fails rather than as it passes. */
export function together(checks: readonly Check[]): Check[] {
  const worth = { fail: 2, pass: 1, info: 0 };
  const kept = new Map<string, Check>();
  for (const check of checks) {
    const before = kept.get(check.id);
    if (!before || worth[check.status] > worth[before.status]) kept.set(check.id, check);
  }
  return [...kept.values()];
}
