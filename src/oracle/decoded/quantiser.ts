/**
 * The fork's own quantiser: where values are a step function of what was rotated, its boundaries are where the steps
 * are, and its levels are between them.
 */

import { cell } from "../pipeline/evidence.js";
import { discoverLevels } from "../pipeline/levels.js";
import type { Reading } from "../pipeline/readings.js";
import { cellsOf, fittedTables } from "../pipeline/table-fit.js";
import { type Brackets, matchingTables, misfit, type Table } from "../pipeline/tables.js";
import { type Fault, faultCount } from "../verdict.js";
import { fits, heard } from "./fronts.js";
import { nameFront } from "./naming.js";
import { type Parts, partsOf } from "./parts.js";
import type { Search, View } from "./search.js";
import { commonSteps } from "./steps.js";

/** Tables of one front that are looked at. */
const TABLES = 6;

export function fromSteps(s: Search, view: View): Fault[] {
  const { wire, all, transforms } = s;
  const found: Fault[] = [];
  const orders = positional(s.reads, wire.group, wire.bits);
  const sample = s.picked.filter((g) => view.y[g]!.some((v) => v !== 0 && Number.isFinite(v)));
  if (sample.length < 2) return [];
  for (const [o, order] of all.entries())
    for (const [t, transform] of transforms.entries())
      for (const { reading, from } of orders) {
        const ids = [view.id, order.id, transform.id, reading?.id].filter((id): id is string => !!id);
        if (faultCount(...ids) > 1 || s.budget.spent()) continue;
        const z = (g: number): Float64Array => {
          const own = s.rotated(o, t, g);
          return from ? own.map((_, i) => own[from[i]!]!) : own;
        };
        const most = 2 ** wire.bits;
        if (!commonSteps(view.y, z, sample.slice(0, 4), most, s.slack)) continue;
        const steps = commonSteps(view.y, z, sample, most, s.slack);
        if (!steps) continue;
        const read = quantised(s, view, steps, z, sample) ?? labelled(s, view, o, z);
        if (!read) continue;
        const { spread, codes, parts } = read;
        const share = parts.fitting.length / heard(view, s.picked);
        const notes = [view.note, order.note, transform.note, reading?.note];
        for (const [rank, table] of tablesOf(s, spread, codes, z, parts.fitting, parts.levels).entries())
          found.push(
            ...nameFront(
              s,
              {
                ids,
                notes: [...notes, table.note],
                o,
                t,
                boundaries: Float64Array.from(table.boundaries),
                centroids: table.centroids,
                ...(table.id ? { tableId: table.id } : {}),
                estimate: table.estimate !== undefined,
                less: 0.001 * rank + (transform.gain ? 0.004 : 0) + (table.estimate === "shape" ? 0.01 : 0),
              },
              view.y,
              parts,
              share,
            ),
          );
      }
  return found;
}

interface Quantised {
  readonly spread: Brackets;
  readonly codes: (g: number) => Uint8Array;
  readonly parts: Parts;
}

/** Codes between steps, where values are a function of them. */
function quantised(
  s: Search,
  view: View,
  steps: Brackets,
  z: (g: number) => Float64Array,
  sample: readonly number[],
): Quantised | undefined {
  const most = 2 ** s.wire.bits;
  const spread = spreadOut(steps, most);
  const middle = Float64Array.from(spread.low, (low, i) =>
    Math.abs(low) > 1e8 ? low : (low + spread.high[i]!) / 2,
  );
  const codes = (g: number): Uint8Array => Uint8Array.from(z(g), (v) => cell(middle, v));
  if (!fits(view, sample.slice(0, 6), codes, s.slack)) return undefined;
  const parts = partsOf(view.y, codes, s.picked, most, s.slack);
  return parts && { spread, codes, parts };
}

/** The same by the levels that the groups share: far from zero steps of several boundaries look like those of one. */
function labelled(s: Search, view: View, o: number, z: (g: number) => Float64Array): Quantised | undefined {
  const most = 2 ** s.wire.bits;
  const y = view.y.map((values, g) => {
    if (!s.picked.includes(g)) return values;
    const due = z(g);
    return values.reduce((sum, v, i) => sum + v * due[i]!, 0) < 0 ? values.map((v) => -v) : values;
  });
  const found = discoverLevels(y, s.all[o]!.groups.norm, s.picked, most, s.slack);
  if (!found) return undefined;
  const groups = s.picked.filter((g) => found.codes[g]);
  const cells = cellsOf(
    groups.flatMap((g) => Array.from(z(g))),
    groups.flatMap((g) => Array.from(found.codes[g]!)),
    most,
  );
  if (!cells || cells.length < 2) return undefined;
  const steps = {
    low: Float64Array.from(cells.slice(1), (c, i) => Math.min(cells[i]!.high, c.low)),
    high: Float64Array.from(cells.slice(1), (c, i) => Math.max(cells[i]!.high, c.low)),
  };
  return quantised(s, view, steps, z, groups);
}

/** Boundaries of all codes from those that were seen: the ones that are missing are the outer ones. */
export function spreadOut({ low, high }: Brackets, codes: number): Brackets {
  const out = { low: new Float64Array(codes - 1).fill(1e9), high: new Float64Array(codes - 1).fill(1e9) };
  // As many codes below zero as above: the boundary nearest to zero is the middle one.
  let nearest = 0;
  for (let i = 1; i < low.length; i++)
    if (Math.abs(low[i]! + high[i]!) < Math.abs(low[nearest]! + high[nearest]!)) nearest = i;
  const shift = Math.max(0, Math.min(codes - 1 - low.length, codes / 2 - 1 - nearest));
  out.low.fill(-1e9, 0, shift);
  out.high.fill(-1e9, 0, shift);
  low.forEach((v, i) => {
    out.low[i + shift] = v;
    out.high[i + shift] = high[i]!;
  });
  return out;
}

/** Tables that boundaries allow, those of the levels seen first; the format's own is one of them. */
export function tablesOf(
  s: Search,
  steps: Brackets,
  codes: (g: number) => Uint8Array,
  z: (g: number) => Float64Array,
  groups: readonly number[],
  levels: Float64Array,
): (Table | (Omit<Table, "id"> & { readonly id?: undefined }))[] {
  const { wire } = s;
  const slack = wire.tieDown ? 1.5e-4 : 1.5e-5;
  const zs = groups.flatMap((g) => Array.from(z(g)));
  const ks = groups.flatMap((g) => Array.from(codes(g)));
  let [least, most] = [0, 0];
  for (const v of zs) {
    least = Math.min(least, v);
    most = Math.max(most, v);
  }
  // A boundary that nothing crosses lies beyond everything.
  const open: Brackets = {
    low: steps.low.map((v) => (v > 1e8 ? most : v)),
    high: steps.high.map((v) => (v < -1e8 ? least : v)),
  };
  const own = wire.boundaries.every((b, i) => b >= open.low[i]! - slack && b <= open.high[i]! + slack);
  const known = matchingTables(wire, open);
  const like = known
    .map((t, i) => ({ t, i, off: Math.min(1, misfit(t.centroids, levels)) }))
    .sort((a, b) => Math.round((a.off - b.off) / 4e-4) || a.i - b.i)
    .map(({ t }) => t);
  const out: (Table | (Omit<Table, "id"> & { readonly id?: undefined }))[] = like.slice(0, TABLES);
  if (own) {
    const { boundaries, centroids } = wire;
    return [{ note: "", boundaries, centroids }];
  }
  if (midway(open, levels, slack))
    for (const t of fittedTables(wire, zs, ks, { levels }))
      if (!out.some((u) => u.id === t.id)) out.unshift(t);
  const free = fittedTables(wire, zs, ks)[0];
  if (free && !out.some((u) => u.id === free.id)) out.push(free);
  // A table that is the format's to the last digits is none of another name.
  const other = (t: { readonly centroids: Float64Array; readonly estimate?: unknown }): boolean =>
    t.estimate !== undefined || misfit(t.centroids, wire.centroids) > 2e-3;
  return out.filter((t) => other(t) || t.id !== "codebook-mismatch").slice(0, TABLES);
}

/** Boundaries are in the middles of the levels, in some unit. */
function midway({ low, high }: Brackets, levels: Float64Array, slack: number): boolean {
  let least = 0;
  let most = Number.POSITIVE_INFINITY;
  for (let i = 0; i < low.length; i++) {
    const m = (levels[i]! + levels[i + 1]!) / 2;
    if (Number.isNaN(m)) continue;
    if (levels[i]! > levels[i + 1]!) return false;
    const [a, b] = [low[i]! - slack, high[i]! + slack];
    if (Math.abs(m) < 1e-6 * Math.abs(levels[i]!)) {
      if (a > 0 || b < 0) return false;
    } else {
      least = Math.max(least, m > 0 ? a / m : b / m);
      most = Math.min(most, m > 0 ? b / m : a / m);
    }
  }
  // Levels of halves are known to a part in two thousand.
  return least <= most * 1.004;
}

interface Positions {
  readonly reading?: Reading;
  readonly from?: Uint16Array;
}

/** Readings that move codes as wholes: which position each comes from. */
function positional(reads: readonly Reading[], group: number, bits: number): Positions[] {
  const out: Positions[] = [{}];
  const probes = Array.from({ length: 24 }, (_, p) =>
    Uint8Array.from(
      { length: group },
      (_, i) => (Math.imul(i + 1, 2654435761 + 97 * p) >>> (11 + (p % 9))) % 2 ** bits,
    ),
  );
  for (const reading of reads) {
    if (!reading.id || reading.relabels) continue;
    const read = probes.map((p) => reading.map(p.slice()));
    const from = new Uint16Array(group);
    const whole = from.every((_, i) => {
      const j = probes[0]!.findIndex((_, k) => probes.every((p, q) => p[k] === read[q]![i]));
      from[i] = Math.max(0, j);
      return j >= 0;
    });
    if (whole) out.push({ reading, from });
  }
  return out;
}
