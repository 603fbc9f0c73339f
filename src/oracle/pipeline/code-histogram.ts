/**
 * What the frequencies of codes say about a table when nothing is known of the rotation: under any orthogonal matrix the
 * coordinates of a unit vector are spread like N(0, 1/d), so every table has frequencies of its own.
 */
import { candidateTables, normalCdf } from "./tables.js";
import type { Wire } from "./wire.js";

export interface Frequencies {
  readonly counts: Float64Array;
  readonly total: number;
}

export function frequencies(codes: readonly Uint8Array[], levels: number): Frequencies {
  const counts = new Float64Array(levels);
  let total = 0;
  for (const group of codes)
    for (const c of group) {
      counts[c]!++;
      total++;
    }
  return { counts, total };
}

/** Share of N(0, 1/group) in every cell. */
export function cellMasses(boundaries: ArrayLike<number>, group: number): Float64Array {
  const edges = Array.from(boundaries, (b) => normalCdf(b * Math.sqrt(group)));
  return Float64Array.from(
    { length: boundaries.length + 1 },
    (_, k) => (edges[k] ?? 1) - (k > 0 ? edges[k - 1]! : 0),
  );
}

/** Half the sum of the differences: 0 … 1. */
export function apart({ counts, total }: Frequencies, masses: Float64Array): number {
  let sum = 0;
  masses.forEach((p, k) => {
    sum += Math.abs(counts[k]! / total - p);
  });
  return sum / 2;
}

const logLikelihood = ({ counts }: Frequencies, masses: Float64Array): number =>
  counts.reduce((sum, n, k) => sum + n * Math.log(Math.max(1e-6, masses[k]!)), 0);

/** So much better, in nats, must another table explain the frequencies; per thousand codes. */
const MARGIN = 6;
/** Frequencies of real vectors are so near those of N(0, 1/d). */
export const NEAR = 0.035;

export interface Spread {
  /** Absent: the format's own. */
  readonly id?: string;
  readonly note: string;
  /** Of a table of the own shape: its size. */
  readonly size?: number;
}

const sizes = Array.from({ length: 400 }, (_, i) => 0.04 * 1.012 ** i);

interface Candidate {
  readonly s: Spread;
  readonly masses: Float64Array;
  readonly cost: number;
}

const known = new Map<string, readonly Candidate[]>();

/** The format's own first. */
function candidates(wire: Wire): readonly Candidate[] {
  const key = `${wire.name}/${wire.group}`;
  const before = known.get(key);
  if (before) return before;
  const { boundaries, group } = wire;
  const times = (b: ArrayLike<number>, k: number): number[] => Array.from(b, (v) => v * k);
  const all: Candidate[] = [{ s: { note: "" }, masses: cellMasses(boundaries, group), cost: 0 }];
  const add = (s: Spread, b: ArrayLike<number>, cost: number): void => {
    all.push({ s, masses: cellMasses(b, group), cost });
  };
  const middle = (boundaries.length - 1) / 2;
  const unit = 1 / Math.sqrt(group);
  for (const k of sizes) {
    add(
      { id: "codebook-sigma", note: `codes spread as by a table ${k.toFixed(2)} times as large`, size: k },
      times(boundaries, k),
      1,
    );
    if (wire.bits > 2)
      add(
        { id: "codebook-uniform", note: "codes spread as by equal steps" },
        Array.from(boundaries, (_, i) => (i - middle) * k * unit),
        1,
      );
  }
  for (const t of candidateTables(wire))
    add({ id: t.id, note: `codes spread as by ${t.note}` }, t.boundaries, 1.2);
  all.push(...disordered(wire, all[0]!.masses));
  known.set(key, all);
  return all;
}

/** Frequencies of the format's own table where levels are moved, merged or exchanged, or where one is zero. */
function disordered({ boundaries, centroids, group }: Wire, own: Float64Array): Candidate[] {
  const out: Candidate[] = [];
  const n = own.length;
  if (n < 4) return out;
  const add = (note: string, masses: Float64Array, id = "codebook-order"): void => {
    out.push({ s: { id, note: `codes spread as ${note}` }, masses, cost: 1.1 });
  };
  for (let k = -10; k <= 10; k++) {
    const by = (0.05 * k) / Math.sqrt(group);
    if (Math.abs(k) > 1)
      add(
        `by a table moved by ${by.toFixed(4)}`,
        cellMasses(
          boundaries.map((b) => b + by),
          group,
        ),
      );
  }
  for (const j of [n / 2 - 1, n / 2]) {
    const table = centroids.map((c, i) => (i === j ? 0 : c));
    add(
      `by a table whose level ${j} is zero`,
      cellMasses(
        boundaries.map((_, i) => (table[i]! + table[i + 1]!) / 2),
        group,
      ),
    );
  }
  const moved = (from: number, to: number): Float64Array =>
    own.map((p, k) => (k === to ? p + own[from]! : k === from ? 0 : p));
  for (let k = 1; k < n - 1; k++)
    for (const to of [k - 1, k + 1]) add(`where ${k} is written as ${to}`, moved(k, to));
  for (let k = 0; k + 1 < n; k++)
    add(
      `where ${k} and ${k + 1} are exchanged`,
      own.map((_, i) => own[i === k ? k + 1 : i === k + 1 ? k : i]!),
    );
  const half = n / 2;
  const rest = own.slice(half).reduce((a, b) => a + b, 0);
  add(
    "where the upper half is cut to its middle",
    own.map((p, k) => (k < half - 1 ? p : k === half - 1 ? p + rest : 0)),
    "codebook-truncated",
  );
  return out;
}

/** The table whose frequencies these are; undefined where no table's are near. */
export function tableOfFrequencies(wire: Wire, seen: Frequencies): Spread | undefined {
  const all = candidates(wire);
  const margin = (MARGIN * seen.total) / 1000;
  const best = all
    .map((c) => ({ ...c, score: logLikelihood(seen, c.masses) - c.cost * margin }))
    .reduce((a, b) => (b.score > a.score ? b : a));
  // Beside the format's own frequencies, only an order that they cannot have shows.
  if (apart(seen, all[0]!.masses) < NEAR && best.s.id !== "codebook-order") return all[0]!.s;
  return apart(seen, best.masses) < 1.6 * NEAR ? best.s : undefined;
}
