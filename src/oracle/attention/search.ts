/**
 * Which fault of a path, or which two, give these outputs. Every hypothesis is tried on a few rows, what fits there on
 * more. A scale that nobody would guess is fitted, alone and beside every other fault.
 */
import { type Fault, pairId, ranked } from "../verdict.js";
import type { CacheRows } from "./cache-rows.js";
import { PATH_FAULTS, type PathFault, type Turn } from "./faults.js";
import { pathErrors } from "./output-error.js";
import { type AttentionCase, attendRow, type Path, pathOf } from "./path.js";

/** Multiplications that a search may spend, all hypotheses together, and on confirming those that fit. */
const BUDGET = 3e8;
const CONFIRM_BUDGET = 2e8;
/** Rows of the first look, of which at least one has to fit. */
const FIRST_LOOK = 3;
const LEAST_SHARE = 0.3;
/** What explains so much ends the search. */
const SETTLED = 0.98;
/** Errors that the order of sums in f32 leaves; and how much less a second fault has to leave. */
const EXACT = 2e-5;
const BETTER = 1 / 8;

interface Hypothesis {
  readonly faults: readonly PathFault[];
  readonly path: Path;
}

export interface Found {
  readonly faults: readonly Fault[];
  /** How the engine holds its queries, where that explains more. */
  readonly note?: string;
}

/** wrong: rows that differ. limit: largest relative error of a row that fits. most: 1 fault or 2 at a time. */
export function searchPath(
  variants: readonly { readonly note?: string; readonly c: AttentionCase }[],
  wrong: readonly number[],
  limit: number,
  most: 1 | 2,
): Found {
  const found = searchWithin(variants, wrong, limit, most);
  // Rows that fit within a rounding may still hide a second fault, if with it they fit far better.
  const best = found.faults[0];
  if (most === 1 || !best || best.id.includes("+") || best.explains < SETTLED || found.worst <= EXACT)
    return found;
  const closer = searchWithin(variants, wrong, found.worst * BETTER, most);
  return (closer.faults[0]?.explains ?? 0) > SETTLED ? closer : found;
}

function searchWithin(
  variants: readonly { readonly note?: string; readonly c: AttentionCase }[],
  wrong: readonly number[],
  limit: number,
  most: 1 | 2,
): Found & { readonly worst: number } {
  const searches = variants.map(({ note, c }) => ({ note, search: new Search(c, wrong, limit) }));
  const result = ({ note, search }: (typeof searches)[number]): Found & { worst: number } => ({
    faults: search.faults(),
    worst: search.worst(),
    ...(note ? { note } : {}),
  });
  const steps: readonly ((s: Search) => void)[] = [
    (s) => s.singles(),
    (s) => s.scales(),
    ...(most === 1 ? [] : [(s: Search) => s.pairs(), (s: Search) => s.scalesBeside()]),
  ];
  for (const step of steps)
    for (const one of searches) {
      step(one.search);
      if (one.search.settled()) return result(one);
    }
  const best = (f: readonly Fault[]): number => f[0]?.explains ?? 0;
  return searches.map(result).reduce((a, b) => (best(b.faults) > best(a.faults) + 0.05 ? b : a));
}

/** Hypotheses on one case. */
class Search {
  readonly #c: AttentionCase;
  readonly #limit: number;
  readonly #usable: readonly PathFault[];
  readonly #sample: readonly number[];
  readonly #found: Candidates;
  /** Of the sample, by id: what the best hypothesis so far explains. */
  readonly #shares = new Map<string, number>();

  constructor(c: AttentionCase, wrong: readonly number[], limit: number) {
    this.#c = c;
    this.#limit = limit;
    this.#usable = PATH_FAULTS.filter((f) => applies(c, f));
    const perRow = c.tokens * (c.keys.width + c.values.width);
    const most = Math.floor(BUDGET / (perRow * this.#usable.length ** 2));
    this.#sample = sampleRows(c, wrong, Math.max(4, Math.min(16, most)));
    this.#found = new Candidates(c, limit, sampleRows(c, wrong, confirmRows(c, perRow)));
  }

  singles(): void {
    for (const f of this.#usable) this.#try([f]);
  }

  pairs(): void {
    for (const [i, a] of this.#usable.entries())
      for (const b of this.#usable.slice(i + 1)) if (a.stage !== b.stage && a.id !== b.id) this.#try([a, b]);
  }

  scales(): void {
    for (const scaled of fittedScales(this.#c, [], this.#sample)) this.#try([scaled]);
  }

  scalesBeside(): void {
    for (const f of this.#usable)
      if (f.stage !== "scale" && f.keys !== "zero")
        for (const scaled of fittedScales(this.#c, [f], this.#sample)) this.#try([f, scaled]);
  }

  #try(faults: readonly PathFault[]): void {
    const path = pathOf(this.#c, faults);
    const share = (rows: readonly number[]): number => {
      const errors = pathErrors(this.#c, path, rows);
      return errors.filter((e) => e <= this.#limit).length / Math.max(1, errors.length);
    };
    if (share(this.#sample.slice(0, FIRST_LOOK)) === 0) return;
    const fits = share(this.#sample);
    const id = pairId(faults.map((f) => f.id));
    if (fits <= (this.#shares.get(id) ?? LEAST_SHARE)) return;
    this.#shares.set(id, fits);
    this.#found.add({ faults, path });
  }

  settled(): boolean {
    return this.#found.settled();
  }

  faults(): Fault[] {
    return this.#found.faults();
  }

  worst(): number {
    return this.#found.worst();
  }
}

const confirmRows = (c: AttentionCase, perRow: number): number =>
  Math.max(16, Math.min(c.rows, Math.floor(CONFIRM_BUDGET / (8 * perRow))));

/** What fits a sample, measured on more rows. */
class Candidates {
  readonly #found: (Fault & { readonly worst: number })[] = [];
  readonly #c: AttentionCase;
  readonly #limit: number;
  readonly #rows: readonly number[];

  constructor(c: AttentionCase, limit: number, rows: readonly number[]) {
    this.#c = c;
    this.#limit = limit;
    this.#rows = rows;
  }

  add(h: Hypothesis): void {
    const errors = pathErrors(this.#c, h.path, this.#rows);
    const close = errors.filter((e) => e <= this.#limit).length;
    const worst = errors.filter((e) => e <= this.#limit).reduce((most, e) => Math.max(most, e), 0);
    const mean = errors.reduce((sum, e) => sum + Math.min(e, 1), 0) / errors.length;
    this.#found.push({
      worst,
      id: pairId(h.faults.map((f) => f.id)),
      explains: close / errors.length - Math.min(0.004, mean),
      evidence: `${close} of ${errors.length} output vectors within ${this.#limit.toPrecision(2)}: ${h.faults.map((f) => f.note).join("; ")}`,
    });
  }

  settled(): boolean {
    return this.#found.some((f) => f.explains > SETTLED);
  }

  /** Largest error of the best, among the rows that it explains. */
  worst(): number {
    const best = ranked(this.#found)[0];
    return Math.min(...this.#found.filter((f) => f.id === best?.id).map((f) => f.worst));
  }

  faults(): Fault[] {
    return ranked(this.#found).map(({ id, explains, evidence }) => ({ id, explains, evidence }));
  }
}

function applies(c: AttentionCase, f: PathFault): boolean {
  const { heads, kvHeads, causal } = c.options;
  if (f.query) return rotates(c.keys, f.query);
  if (f.output) return rotates(c.values, f.output);
  if (f.head) return heads > kvHeads || kvHeads > 1;
  if (f.mask && !causal) return !f.note.startsWith("every query");
  return true;
}

/** A plain Hadamard transform is its own inverse: against it is with it, and twice is not at all. */
function rotates({ wire }: CacheRows, turn: Turn): boolean {
  return wire !== undefined && (turn === "none" || wire.before.some((s) => s < 0));
}

/** Rows over all queries and heads, wrong ones first and among the rest. */
export function sampleRows(c: AttentionCase, wrong: readonly number[], most: number): number[] {
  const chosen = new Set<number>();
  const spread = (rows: readonly number[], count: number): void => {
    for (let i = 0; i < count && rows.length > 0; i++)
      chosen.add(rows[Math.floor(((i * 0.6180339887498949) % 1) * rows.length)]!);
  };
  spread(wrong, Math.ceil(most * 0.7));
  const all = Array.from({ length: c.rows }, (_, i) => i);
  if (most >= c.rows) for (const row of all) chosen.add(row);
  else spread(all, most - Math.ceil(most * 0.7));
  return [...chosen];
}

/** The scale of least error beside other faults: a grid of logarithms, then golden sections. */
function fittedScales(
  c: AttentionCase,
  beside: readonly PathFault[],
  sample: readonly number[],
): PathFault[] {
  const { dim, output } = c.options;
  const rows = sample.slice(0, 2);
  const path = pathOf(c, beside);
  const due = new Float64Array(dim);
  const error = (log: number): number => {
    let e = 0;
    for (const row of rows) {
      if (!attendRow(c, { ...path, scale: Math.exp(log) }, row, due)) continue;
      for (let i = 0; i < dim; i++) e += (due[i]! - output[row * dim + i]!) ** 2;
    }
    return Number.isFinite(e) ? e : Number.MAX_VALUE;
  };
  const middle = Math.log(Math.abs(c.scale) || 1);
  const grid = Array.from({ length: 25 }, (_, i) => middle + (i - 12) * 0.4);
  const errors = grid.map(error);
  const best = errors.indexOf(Math.min(...errors));
  let low = grid[best]! - 0.4;
  let high = grid[best]! + 0.4;
  for (let k = 0; k < 26; k++) {
    const a = low + (high - low) * 0.382;
    const b = low + (high - low) * 0.618;
    if (error(a) < error(b)) high = b;
    else low = a;
  }
  const scale = Math.exp((low + high) / 2);
  return Math.abs(scale / c.scale - 1) < 1e-3
    ? []
    : [
        {
          id: "attention-scale",
          note: `scale ${scale.toPrecision(4)} in place of ${c.scale.toPrecision(4)}`,
          stage: "scale",
          scale: () => scale,
        },
      ];
}
