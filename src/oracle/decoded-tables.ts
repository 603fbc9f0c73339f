/**
 * Decoded values whose levels are not the format's: the levels that the groups share are the fork's table, and codes
 * against what was rotated say which.
 */
import { decodedNorms } from "./decoded-norms.js";
import type { Search, View } from "./decoded-search.js";
import { lengthOf } from "./evidence.js";
import { discoverLevels } from "./levels.js";
import { joined, looseVerdicts } from "./norms.js";
import { fittedTables } from "./table-fit.js";
import type { Table } from "./tables.js";
import { type Fault, faultCount } from "./verdict.js";

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
      if (faultCount(view.id, order.id, transform.id) > 1 || transform.gain) continue;
      out.push(...fitTables(s, view, o, t, codes, found.scale, levels));
    }
  return out;
}

/** Tables that levels, or codes, are of: the fork's own, under every rule for its scale that fits. */
export function fitTables(
  s: Search,
  view: View,
  o: number,
  t: number,
  codes: readonly (Uint8Array | undefined)[],
  scale: Float64Array,
  levels?: Float64Array,
  knownOnly = false,
): Fault[] {
  const { wire } = s;
  const { groups } = s.all[o]!;
  const transform = s.transforms[t]!;
  const usable = s.picked.filter((g) => codes[g]);
  const zs: number[] = [];
  const ks: number[] = [];
  const gather = (list: readonly number[]): void => {
    for (const g of list) {
      const z = s.rotated(o, t, g);
      for (let i = 0; i < z.length; i++) {
        zs.push(z[i]!);
        ks.push(codes[g]![i]!);
      }
    }
  };
  gather(usable.slice(0, 4));
  if (usable.length < 2 || fittedTables(wire, zs, ks, levels ? { levels } : {}).length === 0) return [];
  gather(usable.slice(4));
  const tables = fittedTables(wire, zs, ks, levels ? { levels } : {}).slice(0, 6);
  const ids = [view.id, s.all[o]!.id, transform.id].filter((id): id is string => !!id);
  const out: Fault[] = [];
  for (const [rank, table] of tables.entries()) {
    if (knownOnly && table.estimate === "shape") continue;
    if (!levels && wire.boundaries.every((b, i) => Math.abs(b - table.boundaries[i]!) < 1e-4)) continue;
    const unit = levels ? unitOf(table, levels) : 1;
    const cases = usable.map((g) => {
      const z = s.rotated(o, t, g);
      const own = s.wire.centroids;
      const k = codes[g]!;
      let inner = 0;
      for (let i = 0; i < z.length; i++) inner += z[i]! * table.centroids[k[i]!]!;
      const length = lengthOf(table.centroids, k);
      const stored = scale[g]! * unit;
      return {
        norm: groups.norm[g]!,
        chosen: length,
        inner,
        stored: s.renormalising ? stored * (levels ? length : lengthOf(own, k)) : stored,
        x: groups.x[g]!,
      };
    });
    const loose = table.estimate !== undefined && !s.renormalising;
    const rules = loose
      ? looseVerdicts(wire.rule, cases, wire.normBytes === 4, wire.group)
      : decodedNorms(wire, cases, s.renormalising);
    for (const rule of rules.slice(0, 2)) {
      // Levels of another size are the table's own fault.
      const size = rule.id === "codebook-sigma";
      const id = joined([...ids, table.id], size ? undefined : rule.id);
      if (id.split("+").length > 2) continue;
      // A table of nobody's, fitted, explains more than it should: beside another fault least of all.
      const freedom = table.estimate === "shape" && id.includes("+") ? 0.1 : 0;
      const explains = 0.98 * rule.share - 0.001 * rank - freedom;
      out.push({
        id,
        explains,
        evidence: `${usable.length} groups with shared levels: ${[view.note, s.all[o]!.note, transform.note, table.note, rule.note].filter((n) => n).join("; ")}`,
      });
    }
  }
  return out;
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
