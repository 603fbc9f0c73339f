/**
 * What is known of a part of a dump, in bounded memory: counts, and the few windows that a diagnosis needs. Tallies of
 * disjoint parts are merged in any order and grouping: sums, and the best windows of all by one total order.
 *
 * Windows are aligned runs of 256 vectors. They are kept whole, right vectors and wrong ones alike: a selection of the
 * wrong ones alone would look like another fault.
 */
import type { Comparison } from "../compare-packed.js";

export const WINDOW = 256;
const MOST_KEPT = 3;

/** How bad a window is: `suspect` is within the tolerance, but more often than chance. */
export const SEVERITIES = ["same", "tolerated", "suspect", "faulty"] as const;
export type Severity = (typeof SEVERITIES)[number];

/** A window as it came; `output` holds packed bytes, or decoded f32 as bytes. */
export interface KeptWindow {
  readonly window: number;
  readonly severity: Severity;
  readonly input: Uint8Array;
  readonly output: Uint8Array;
}

export interface Tally {
  readonly vectors: number;
  /** Vectors that differ by more than the tolerance. */
  readonly wrong: number;
  readonly normUlps: number;
  readonly boundaryFlips: number;
  /** Window 0, and of the others the three worst, lowest first; ascending. */
  readonly kept: readonly KeptWindow[];
}

export const EMPTY: Tally = { vectors: 0, wrong: 0, normUlps: 0, boundaryFlips: 0, kept: [] };

/** Norms one half apart, or flips at exact ties, are expected now and then; this many in a window are not. */
const SUSPECT_NORMS = 6;
const SUSPECT_TIES = 8;

export function severityOf(c: Comparison): Severity {
  if (c.faulty) return "faulty";
  if (c.normUlps >= SUSPECT_NORMS || c.ties.flipped >= SUSPECT_TIES) return "suspect";
  return c.normUlps + c.boundaryFlips > 0 ? "tolerated" : "same";
}

/** a and b: of parts that have no window in common. */
export const mergeTallies = (a: Tally, b: Tally): Tally => ({
  vectors: a.vectors + b.vectors,
  wrong: a.wrong + b.wrong,
  normUlps: a.normUlps + b.normUlps,
  boundaryFlips: a.boundaryFlips + b.boundaryFlips,
  kept: best([...a.kept, ...b.kept]),
});

function best(windows: readonly KeptWindow[]): readonly KeptWindow[] {
  const rank = ({ severity }: KeptWindow): number => SEVERITIES.indexOf(severity);
  const others = windows
    .filter(({ window, severity }) => window !== 0 && severity !== "same")
    .sort((a, b) => rank(b) - rank(a) || a.window - b.window)
    .slice(0, MOST_KEPT);
  return [...windows.filter(({ window }) => window === 0), ...others].sort((a, b) => a.window - b.window);
}

/** Would a window of this kind be kept beside those that are there? What is not needs no copy. */
export const isKept = ({ kept }: Tally, window: number, severity: Severity): boolean => {
  if (window === 0) return true;
  if (severity === "same") return false;
  const probe = { window, severity, input: new Uint8Array(), output: new Uint8Array() };
  return best([...kept, probe]).includes(probe);
};
