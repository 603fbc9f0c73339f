/**
 * Decoded values whose levels are not the format's: the levels that the groups share are the fork's table, and codes
 * against what was rotated say which.
 */

import { cell, lengthOf } from "../pipeline/evidence.js";
import { halfUnit } from "../pipeline/half-unit.js";
import { discoverLevels } from "../pipeline/levels.js";
import { joined, looseVerdicts, type NormVerdict, normVerdicts } from "../pipeline/norms.js";
import type { Reading } from "../pipeline/readings.js";
import { fittedTables } from "../pipeline/table-fit.js";
import type { Table } from "../pipeline/tables.js";
import { type Fault, faultCount } from "../verdict.js";
import { decodedNorms } from "./norms.js";
import type { Search, View } from "./search.js";

/** Levels of nobody's that the groups share. */
export function fromLevels(s: Search, view: View): Fault[] {
  const { wire, all } = s;
  const most = 2 ** wire.bits;
  const found = discoverLevels(view.y, all[0]!.groups.norm, s.picked, most, s.slack);
  if (!found) return [];
  // Codes count from the middle: levels that nobody used are the outer ones.
  const negative = found.levels.filter((v) => v < 0).length;
  const shift = Math.max(0, Math.min(most - found.levels.length, most / 2 - negative));
  const levels = new Float64Array(most).fill(Number.NaN);
  found.levels.forEach((v, k) => {
    levels[k + shift] = v;
  });
  const codes = found.codes.map((c) => c?.map((k) => k + shift));
  const out: Fault[] = [];
  for (const [o, order] of all.entries())
    for (const [t, transform] of s.transforms.entries()) {
      if (faultCount(view.id, order.id, transform.id) > 1 || transform.gain || s.budget.spent()) continue;
      const stage = { view, o, t, codes, scale: found.scale, levels };
      out.push(...fitTables(s, stage));
      if (!view.id && !order.id && !transform.id) out.push(...misread(s, stage));
    }
  return out;
}

/** Where decoded values are looked at: basis, order, transform; codes and scales of the groups, and levels of nobody's. */
export interface DecodedStage {
  readonly view: View;
  readonly o: number;
  readonly t: number;
  readonly codes: readonly (Uint8Array | undefined)[];
  readonly scale: Float64Array;
  readonly levels?: Float64Array;
  readonly reading?: Reading;
}

/** The same where the decoder misread the codes as well, in a way that can be undone. */
export function misread(s: Search, stage: DecodedStage): Fault[] {
  return s.reads.flatMap((reading) =>
    reading.back
      ? fitTables(s, { ...stage, reading, codes: stage.codes.map((c) => c && reading.back!(c)) })
      : [],
  );
}

/** Tables that levels, or codes, are of: the fork's own, under every rule for its scale that fits. */
export function fitTables(s: Search, stage: DecodedStage, knownOnly = false): Fault[] {
  const { wire } = s;
  const { view, o, t, codes, levels, reading } = stage;
  const transform = s.transforms[t]!;
  const usable = s.picked.filter((g) => codes[g]);
  const more = levels ? { levels } : {};
  const zs: number[] = [];
  const ks: number[] = [];
  const gather = (list: readonly number[]): void => {
    for (const g of list) {
      const z = s.rotated(o, t, g);
      for (let i = 0; i < z.length; i++) {
        if (reading?.telling && !reading.telling[i]) continue;
        zs.push(z[i]!);
        ks.push(codes[g]![i]!);
      }
    }
  };
  if (reading && !possibleElsewhere(reading, codes, usable)) return [];
  gather(usable.slice(0, 4));
  if (usable.length < 2 || fittedTables(wire, zs, ks, more).length === 0) return [];
  gather(usable.slice(4));
  const tables = fittedTables(wire, zs, ks, more).slice(0, 6);
  const ids = [view.id, s.all[o]!.id, transform.id, reading?.id].filter((id): id is string => !!id);
  const notes = [view.note, s.all[o]!.note, transform.note, reading?.note];
  const out: Fault[] = [];
  for (const [rank, table] of tables.entries()) {
    if (knownOnly && table.estimate === "shape") continue;
    if (table.relabel && reading?.relabels) continue;
    if (!levels && wire.boundaries.every((b, i) => Math.abs(b - table.boundaries[i]!) < 1e-4)) continue;
    const { rules, exact } = rulesOf(s, stage, table, usable);
    for (const rule of rules.slice(0, 2)) {
      // Levels of another size are the table's own fault.
      const size = rule.id === "codebook-sigma";
      const id = joined([...ids, table.id], size ? undefined : rule.id);
      if (faultCount(id) > 2) continue;
      // A table of nobody's, fitted, explains more than it should: beside another fault least of all.
      const freedom = table.estimate === "shape" && id.includes("+") && !exact ? 0.1 : 0;
      const explains = 0.98 * rule.share - 0.001 * rank - freedom;
      const said = [...notes, table.note, rule.note].filter((n) => n).join("; ");
      out.push({ id, explains, evidence: `${usable.length} groups with shared levels: ${said}` });
    }
  }
  return out;
}

/** Where a reading does not tell, codes are those that it leaves. */
function possibleElsewhere(
  { telling, possible }: Reading,
  codes: readonly (Uint8Array | undefined)[],
  groups: readonly number[],
): boolean {
  if (!telling || !possible) return true;
  return groups.every((g) => codes[g]!.every((c, i) => telling[i] || (possible[i]! >> c) & 1));
}

/** Rules for the scale under a table. exact: the table's size is known to all digits. */
function rulesOf(
  s: Search,
  { o, t, codes, scale, levels, reading }: DecodedStage,
  table: Table,
  usable: readonly number[],
): { readonly rules: readonly NormVerdict[]; readonly exact: boolean } {
  const { wire, renormalising } = s;
  const { groups } = s.all[o]!;
  const wide = wire.normBytes === 4;
  const unit = levels ? unitOf(table, levels) : 1;
  // Stored halves tell the size of the table that multiplies them.
  const half =
    levels && table.estimate && !wide && !renormalising
      ? halfUnit(
          usable.map((g) => scale[g]! * unit),
          0.1,
        )
      : undefined;
  const size = half ?? 1;
  const cases = usable.map((g) => {
    const z = s.rotated(o, t, g);
    const read = codes[g]!;
    const k = reading?.telling ? read.map((c, i) => (reading.telling![i] ? c : codeOf(table, z[i]!))) : read;
    let inner = 0;
    for (let i = 0; i < z.length; i++) inner += z[i]! * table.centroids[k[i]!]!;
    const length = lengthOf(table.centroids, k);
    const stored = scale[g]! * unit * size;
    return {
      norm: groups.norm[g]!,
      chosen: length / size,
      inner: inner / size,
      stored: renormalising ? stored * (levels ? length : lengthOf(wire.centroids, k)) : stored,
      x: groups.x[g]!,
    };
  });
  if (half !== undefined) {
    const whole = decodedNorms(wire, cases, renormalising);
    if (whole.length > 0) return { rules: whole, exact: true };
    // The encoder's table may be the format's own.
    const own = usable.map((g, i) => ({ ...cases[i]!, chosen: lengthOf(wire.centroids, codes[g]!) }));
    const encoders = normVerdicts(wire.rule, own, wide, wire.group, 0.9);
    if (encoders.length > 0) return { rules: encoders, exact: true };
  }
  const loose = table.estimate !== undefined && !renormalising;
  return {
    rules: loose
      ? looseVerdicts(wire.rule, cases, wide, wire.group)
      : decodedNorms(wire, cases, renormalising),
    exact: false,
  };
}

function codeOf(table: Table, z: number): number {
  const level = cell(table.boundaries, z);
  return table.relabel ? table.relabel[level]! : level;
}

/** The factor between a table and the levels found. */
function unitOf(table: Table, levels: Float64Array): number {
  let tl = 0;
  let tt = 0;
  levels.forEach((v, k) => {
    if (Number.isNaN(v)) return;
    tl += v * table.centroids[k]!;
    tt += table.centroids[k]! ** 2;
  });
  return tt > 0 && tl > 0 ? tl / tt : 1;
}
