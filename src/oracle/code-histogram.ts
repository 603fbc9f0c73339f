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

const sizes = Array.from({ length: 140 }, (_, i) => 0.04 * 1.035 ** i);

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
  known.set(key, all);
  return all;
}

/** The table whose frequencies these are; undefined where no table's are near. */
export function tableOfFrequencies(wire: Wire, seen: Frequencies): Spread | undefined {
  const all = candidates(wire);
  if (apart(seen, all[0]!.masses) < NEAR) return all[0]!.s;
  const margin = (MARGIN * seen.total) / 1000;
  const best = all
    .map((c) => ({ ...c, score: logLikelihood(seen, c.masses) - c.cost * margin }))
    .reduce((a, b) => (b.score > a.score ? b : a));
  return apart(seen, best.masses) < 1.6 * NEAR ? best.s : undefined;
}
