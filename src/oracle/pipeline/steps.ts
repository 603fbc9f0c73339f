/**
 * Codes as a step function of values, whatever the codes are called: sorted by value, runs of one code. A rotation in few
 * digits leaves runs that mix next to their ends; then the runs are those that leave the fewest codes unexplained.
 */

/** Values from low to high have this code. */
export interface Step {
  readonly code: number;
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

export interface Steps {
  /** Ascending; neighbours differ. */
  readonly cells: readonly Step[];
  readonly total: number;
  /** Codes of a neighbouring run: how many lie above and below their run's end, and how far at most. */
  readonly up: number;
  readonly down: number;
  readonly widest: number;
  /** Codes that no run near them explains. */
  readonly far: number;
}

/** Rounding leaves runs that overlap by no more than this. */
export const OVERLAP = 4e-6;
/** A run has to explain more codes than this. */
const DEAR = 2.5;

/** z, codes: of the same length; most: number of codes; limit: how far from its run a code may be. */
export function stepsOf(z: Float64Array, codes: Uint8Array, most: number, limit: number): Steps {
  const n = z.length;
  const order = new Uint32Array(n).map((_, i) => i).sort((a, b) => z[a]! - z[b]!);
  const label = exactRuns(order, codes, most) ?? likeliestRuns(order, codes, most);
  const cells: { code: number; low: number; high: number; count: number }[] = [];
  for (let i = 0; i < n; i++) {
    // A run reaches from the first to the last of its own code.
    if (codes[order[i]!] !== label[i]) continue;
    const at = z[order[i]!]!;
    const last = cells.at(-1);
    if (last && last.code === label[i]) {
      last.high = at;
      last.count++;
    } else cells.push({ code: label[i]!, low: at, high: at, count: 1 });
  }
  let [up, down, far, widest] = [0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    const k = order[i]!;
    if (codes[k] === label[i]) continue;
    let off = Number.POSITIVE_INFINITY;
    for (const c of cells)
      if (c.code === codes[k]) {
        const d = z[k]! < c.low ? z[k]! - c.low : z[k]! - c.high;
        if (Math.abs(d) < Math.abs(off)) off = d;
      }
    if (!(Math.abs(off) <= limit)) far++;
    else {
      widest = Math.max(widest, Math.abs(off));
      if (off > 0) up++;
      else down++;
    }
  }
  return { cells, total: n, up, down, widest, far };
}

/** The runs as they are, where there are no more than codes; a code or two within a run of others are none. */
function exactRuns(order: Uint32Array, codes: Uint8Array, most: number): Uint8Array | undefined {
  const runs: { code: number; count: number }[] = [];
  for (const k of order) {
    const last = runs.at(-1);
    if (last?.code === codes[k]) last!.count++;
    else if (runs.push({ code: codes[k]!, count: 1 }) > most) return undefined;
  }
  const stray = runs.some((r, i) => r.count < 3 && i > 0 && runs[i - 1]!.code === runs[i + 1]?.code);
  return stray ? undefined : Uint8Array.from(order, (k) => codes[k]!);
}

/** Fewest codes that are not their run's, where a run costs as much as so many codes: Viterbi. */
function likeliestRuns(order: Uint32Array, codes: Uint8Array, most: number): Uint8Array {
  const n = order.length;
  const from = new Uint8Array(n * most);
  const cost = new Float64Array(most);
  for (let i = 0; i < n; i++) {
    const code = codes[order[i]!]!;
    let best = 0;
    for (let k = 1; k < most; k++) if (cost[k]! < cost[best]!) best = k;
    const turn = cost[best]! + DEAR;
    for (let k = 0; k < most; k++) {
      const switched = turn < cost[k]!;
      from[i * most + k] = switched ? best : k;
      cost[k] = (switched ? turn : cost[k]!) + (k === code ? 0 : 1);
    }
  }
  const label = new Uint8Array(n);
  let k = cost.indexOf(Math.min(...cost));
  for (let i = n - 1; i >= 0; i--) {
    label[i] = k;
    k = from[i * most + k]!;
  }
  return label;
}

/** How far sorted codes change from one to the next against codes in any order: about 0 for steps, 1 for no relation. */
export function unrest(z: Float64Array, codes: Uint8Array, most: number): number {
  const order = new Uint32Array(z.length).map((_, i) => i).sort((a, b) => z[a]! - z[b]!);
  return restless(order, codes, most);
}

/** The same of an order that is known. */
export function restless(order: Uint32Array, codes: Uint8Array, most: number): number {
  const counts = new Uint32Array(most);
  let changes = 0;
  for (let i = 0; i < order.length; i++) {
    counts[codes[order[i]!]!]!++;
    if (i > 0 && codes[order[i]!] !== codes[order[i - 1]!]) changes++;
  }
  const n = order.length;
  let same = 0;
  for (const c of counts) same += (c / n) ** 2;
  const due = (n - 1) * (1 - same);
  return due > 2 ? changes / due : 1;
}
