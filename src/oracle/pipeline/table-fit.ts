/** Tables read off the evidence: codes as a step function of z give the boundaries; levels, where they show, the rest. */
import { type Brackets, matchingTables, misfit, type Table } from "./tables.js";
import type { Wire } from "./wire.js";

export type NormEvidence = (use: (counts: Float64Array, ratio: number) => void) => void;

/** Rounding leaves cells that overlap by no more than this. */
const OVERLAP = 4e-6;

export interface Cell {
  readonly code: number;
  readonly low: number;
  readonly high: number;
  readonly count: number;
}

/** Cells in the order of z; undefined when the codes are no step function of z. */
export function cellsOf(z: readonly number[], codes: readonly number[], most: number): Cell[] | undefined {
  const low = new Float64Array(most).fill(Number.POSITIVE_INFINITY);
  const high = new Float64Array(most).fill(Number.NEGATIVE_INFINITY);
  const count = new Float64Array(most);
  for (let i = 0; i < z.length; i++) {
    const k = codes[i]!;
    count[k]!++;
    if (z[i]! < low[k]!) low[k] = z[i]!;
    if (z[i]! > high[k]!) high[k] = z[i]!;
  }
  const cells: Cell[] = [];
  for (let k = 0; k < most; k++)
    if (count[k]! > 0) cells.push({ code: k, low: low[k]!, high: high[k]!, count: count[k]! });
  cells.sort((a, b) => a.low + a.high - b.low - b.high);
  for (let i = 1; i < cells.length; i++) if (cells[i - 1]!.high > cells[i]!.low + OVERLAP) return undefined;
  return cells;
}

/**
 * Tables under which `codes` are the cells of `z`; none when codes are no step function of z. levels: of every code, in
 * any unit, where the evidence shows them (NaN: not seen).
 */
export function fittedTables(
  wire: Wire,
  z: readonly number[],
  codes: readonly number[],
  more: { readonly norms?: NormEvidence; readonly levels?: Float64Array } = {},
): Table[] {
  const cells = cellsOf(z, codes, 2 ** wire.bits);
  return cells ? tablesOfCells(wire, cells, more) : [];
}

/** Tables that have these cells; cells: ascending. blur: how far their ends may be from where they should be. */
export function tablesOfCells(
  wire: Wire,
  cells: readonly Cell[],
  more: { readonly norms?: NormEvidence; readonly levels?: Float64Array; readonly blur?: number } = {},
): Table[] {
  const count = 2 ** wire.bits;
  const blur = more.blur ?? 0;
  if (cells.length < 2 || new Set(cells.map((c) => c.code)).size < cells.length) return [];
  const rising = cells.every((c, i) => i === 0 || c.code > cells[i - 1]!.code);
  if (!rising) return permuted(wire, cells);
  const brackets: Brackets = { low: new Float64Array(count - 1), high: new Float64Array(count - 1) };
  for (let b = 0; b < count - 1; b++) {
    const below = cells.filter((c) => c.code <= b).at(-1);
    const above = cells.find((c) => c.code > b);
    const [low, high] = [below ? below.high : -1e9, above ? above.low : 1e9];
    brackets.low[b] = Math.min(low, high) - blur;
    brackets.high[b] = Math.max(low, high) + blur;
  }
  const { levels } = more;
  // One boundary where it should be: whatever the two levels are, they are no table of another name.
  if (wire.bits === 1 && Math.abs(brackets.low[0]! + brackets.high[0]!) < 1e-3 / Math.sqrt(wire.group))
    return [];
  const found = matchingTables(wire, brackets, levels);
  const spaced = levels && evenly(levels);
  if (spaced && cells.length > 2)
    return [
      ...found.filter((t) => t.id === "codebook-uniform"),
      { ...fitted(wire, brackets, levels), id: "codebook-uniform", note: "levels at equal distances" },
    ].slice(0, 1);
  const odd = oddity(wire, cells, brackets, levels);
  if (odd) return [{ ...fitted(wire, brackets, levels), ...odd }];
  const fit = more.norms ? centroidsFrom(wire, more.norms) : undefined;
  if (levels) return found.length > 0 ? found : [fitted(wire, brackets, levels)];
  if (wire.rule === "norm-matching" && fit) {
    const agree = found.filter((t) => sameLengths(t.centroids, fit, 0.05));
    const own = fitted(wire, brackets, fit);
    agree.sort((a, b) => misfit(a.centroids, fit) - misfit(b.centroids, fit));
    return agree.length > 0 ? agree : [...(found[0] ? [{ ...found[0], centroids: fit }] : [own]), ...found];
  }
  return found.length > 0 ? found : [fitted(wire, brackets, fit)];
}

const sameLengths = (a: Float64Array, b: Float64Array, slack: number): boolean =>
  a.every((v, i) => Math.abs(Math.abs(v) - Math.abs(b[i]!)) <= slack * Math.abs(v) + 0.004);

/** Neighbours all the same distance apart; three or more of them. */
export function evenly(levels: Float64Array): boolean {
  const gaps: number[] = [];
  for (let k = 1; k < levels.length; k++)
    if (!Number.isNaN(levels[k]!) && !Number.isNaN(levels[k - 1]!)) gaps.push(levels[k]! - levels[k - 1]!);
  const mean = gaps.reduce((a, b) => a + b, 0) / gaps.length;
  return gaps.length > 2 && gaps.every((v) => Math.abs(v - mean) < 4e-3 * mean);
}

/** What no sorted symmetric table of the format's size does. */
function oddity(
  wire: Wire,
  cells: readonly Cell[],
  k: Brackets,
  levels?: Float64Array,
): Pick<Table, "id" | "note"> | undefined {
  const count = 2 ** wire.bits;
  if (cells.length <= count / 2 && wire.bits > 1 && cells.at(-1)!.high > 0) {
    const top = cells.at(-1)!.code;
    const bottom = cells[0]!.code;
    if (top <= count / 2 - 1 || bottom >= count / 2)
      return { id: "codebook-truncated", note: `only codes ${bottom} … ${top} occur` };
  }
  for (let i = 1; i < cells.length; i++)
    if (cells[i]!.code - cells[i - 1]!.code > 1) {
      const [a, b] = [cells[i - 1]!, cells[i]!];
      const fewest = Math.min(a.count, b.count);
      if (fewest >= 12)
        return {
          id: "codebook-order",
          note: `code ${a.code + 1} never occurs between ${a.code} and ${b.code}`,
        };
    }
  const n = k.low.length;
  const slack = 4e-5 / Math.sqrt(wire.group / 128);
  for (let i = 0; i < n; i++)
    if (k.low[i]! > -k.low[n - 1 - i]! + slack || k.high[i]! < -k.high[n - 1 - i]! - slack)
      return {
        id: "codebook-order",
        note: `boundary ${i} lies between ${k.low[i]!.toFixed(5)} and ${k.high[i]!.toFixed(5)}: not symmetric`,
      };
  if (levels) {
    const most = levels.reduce((m, v) => (Number.isNaN(v) ? m : Math.max(m, Math.abs(v))), 0);
    for (let i = 0; i < count; i++) {
      const [a, b] = [levels[i]!, levels[count - 1 - i]!];
      if (Math.abs(a + b) > 3e-3 * most) return { id: "codebook-order", note: "levels are not symmetric" };
      if (Math.abs(a) < 1e-6 * most) return { id: "codebook-order", note: "a level is zero" };
    }
  }
  return undefined;
}

/** A table nobody is known to use. */
function fitted(wire: Wire, k: Brackets, centroids: Float64Array | undefined): Table {
  const boundaries = k.low.map((low, i) =>
    low < -1e8
      ? wire.boundaries[0]! * 2
      : k.high[i]! > 1e8
        ? -wire.boundaries[0]! * 2
        : (low + k.high[i]!) / 2,
  );
  const n = boundaries.length;
  const sized = centroids && levelsOf(k, centroids);
  const own = Float64Array.from({ length: n + 1 }, (_, i) =>
    i === 0
      ? boundaries[0]! * 1.15
      : i === n
        ? boundaries[n - 1]! * 1.15
        : (boundaries[i - 1]! + boundaries[i]!) / 2,
  );
  return {
    id: looksUnconverged(wire, boundaries) ? "codebook-unconverged" : "codebook-mismatch",
    note: "a table of its own, fitted from codes and values",
    boundaries,
    centroids: sized?.every((c) => !Number.isNaN(c)) ? sized : own,
    estimate: "shape",
  };
}

/** Levels of any unit, so large that the boundaries lie in their middles. */
function levelsOf(k: Brackets, levels: Float64Array): Float64Array {
  let mm = 0;
  let mb = 0;
  for (let i = 0; i < k.low.length; i++) {
    const middle = (levels[i]! + levels[i + 1]!) / 2;
    if (Number.isNaN(middle) || k.low[i]! < -1e8 || k.high[i]! > 1e8) continue;
    mm += middle * middle;
    mb += (middle * (k.low[i]! + k.high[i]!)) / 2;
  }
  return mm > 0 && mb > 0 ? levels.map((c) => (c * mb) / mm) : levels;
}

/** Between cells of equal probability and the fixed point: outermost boundary inside the true one, inner ones too. */
function looksUnconverged(wire: Wire, boundaries: Float64Array): boolean {
  return boundaries.every((b, i) => Math.abs(b) <= Math.abs(wire.boundaries[i]!) * 1.02 + 1e-4);
}

/** Codes are a function of z, but not an ascending one: the table's entries are out of order. */
function permuted(wire: Wire, cells: readonly Cell[]): Table[] {
  const solid = cells.filter((r) => r.count > 2);
  const falls = solid.filter((r, i) => i > 0 && r.code < solid[i - 1]!.code).length;
  if (falls > 0.6 * (solid.length - 1)) return []; // complemented, whatever else: not out of order
  if (solid.length < 3) return [];
  const boundaries = new Float64Array(2 ** wire.bits - 1).fill(1e9);
  const relabel = new Uint8Array(2 ** wire.bits);
  solid.slice(1).forEach((r, i) => {
    boundaries[i] = (solid[i]!.high + r.low) / 2;
  });
  solid.forEach((r, i) => {
    relabel[i] = r.code;
  });
  // Each code keeps the centroid nearest to its cell: the format's own, in the order of the cells.
  const ordered = wire.centroids.slice();
  if (solid.length === wire.centroids.length)
    solid.forEach((r, i) => {
      ordered[r.code] = wire.centroids[i]!;
    });
  const table: Table = {
    id: "codebook-order",
    note: `codes in the order ${solid.map((r) => r.code).join(" ")}`,
    boundaries,
    centroids: ordered,
    relabel,
  };
  const moved = movedEntry(wire, solid);
  return moved ? [{ ...table, ...moved, estimate: "shape" }, table] : [table];
}

/** One entry of the format's table has another value, and the boundaries are in the middles of what is left. */
function movedEntry(wire: Wire, cells: readonly Cell[]): Pick<Table, "centroids" | "note"> | undefined {
  const near = 4e-3 / Math.sqrt(wire.group);
  const between = cells.slice(1).map((c, i) => (c.low + cells[i]!.high) / 2);
  const middle = (i: number): number =>
    (wire.centroids[cells[i]!.code]! + wire.centroids[cells[i + 1]!.code]!) / 2;
  let best: { at: number; value: number; off: number } | undefined;
  for (const at of cells.keys()) {
    const rest = cells.filter((_, i) => i !== at);
    if (rest.some((c, i) => i > 0 && c.code < rest[i - 1]!.code)) continue;
    const values = [at - 1, at]
      .filter((i) => i >= 0 && i < between.length)
      .map((i) => 2 * between[i]! - wire.centroids[cells[i === at ? at + 1 : at - 1]!.code]!);
    const others = between.map((b, i) => (i === at || i === at - 1 ? 0 : Math.abs(b - middle(i))));
    const off = Math.max(...others, (Math.max(...values) - Math.min(...values)) / 4);
    if (off <= near && (!best || off < best.off))
      best = { at, value: values.reduce((a, b) => a + b, 0) / values.length, off };
  }
  if (!best) return undefined;
  const { code } = cells[best.at]!;
  const centroids = wire.centroids.slice();
  centroids[code] = best.value;
  return { centroids, note: `entry ${code} is ${best.value.toFixed(4)}` };
}

/** Least squares for c² from (‖x‖/stored)² = Σ count·c², entries ±k taken together. */
function centroidsFrom(wire: Wire, norms: NormEvidence): Float64Array | undefined {
  const half = 2 ** (wire.bits - 1);
  const a = Array.from({ length: half }, () => new Float64Array(half + 1));
  let n = 0;
  norms((counts, ratio) => {
    const row = Float64Array.from({ length: half }, (_, k) => counts[half + k]! + counts[half - 1 - k]!);
    const target = ratio * ratio;
    n++;
    for (let i = 0; i < half; i++) {
      for (let j = 0; j < half; j++) a[i]![j]! += (row[i]! * row[j]!) / target ** 2;
      a[i]![half]! += row[i]! / target;
    }
  });
  if (n < half + 2) return undefined;
  for (let i = 0; i < half; i++) {
    let p = i;
    for (let r = i + 1; r < half; r++) if (Math.abs(a[r]![i]!) > Math.abs(a[p]![i]!)) p = r;
    [a[i], a[p]] = [a[p]!, a[i]!];
    if (Math.abs(a[i]![i]!) < 1e-9) return undefined;
    for (let r = 0; r < half; r++) {
      if (r === i) continue;
      const f = a[r]![i]! / a[i]![i]!;
      for (let j = i; j <= half; j++) a[r]![j]! -= f * a[i]![j]!;
    }
  }
  const squares = Array.from({ length: half }, (_, i) => a[i]![half]! / a[i]![i]!);
  if (squares.some((s) => !(s > -1e-4) || !Number.isFinite(s))) return undefined;
  const c = squares.map((s) => Math.sqrt(Math.max(0, s)));
  // Equal levels: the stored norms do not depend on the codes, so they say nothing about the table.
  if (Math.max(...c) < 1.3 * Math.min(...c)) return undefined;
  return Float64Array.from([
    ...c
      .slice()
      .reverse()
      .map((v) => -v),
    ...c,
  ]);
}
