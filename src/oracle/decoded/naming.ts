/** From a front of the pipeline that fits decoded values to the faults that it means: the decoder's table, the scale's rule. */

import { type DecoderTable, decoderTables } from "../pipeline/decoder-tables.js";
import { cell, lengthOf } from "../pipeline/evidence.js";
import { halfUnit } from "../pipeline/half-unit.js";
import { joined, type NormCase, type NormVerdict } from "../pipeline/norms.js";
import type { Fault } from "../verdict.js";
import { faultCount } from "../verdict.js";
import { decodedNorms } from "./norms.js";
import type { Parts } from "./parts.js";
import type { Search } from "./search.js";

/** What the encoder did before the scale: faults so far, and the table that made the codes. */
export interface Front {
  readonly ids: readonly string[];
  readonly notes: readonly (string | undefined)[];
  readonly o: number;
  readonly t: number;
  readonly boundaries: Float64Array;
  readonly centroids: Float64Array;
  readonly tableId?: string;
  /** The table's size is an estimate. */
  readonly estimate?: boolean;
  /** What this explains less for being a guess. */
  readonly less?: number;
  /** Its packing exchanges codes, as a table out of order does. */
  readonly relabels?: boolean;
}

/** share: of the groups that the front fits. */
export function nameFront(
  s: Search,
  front: Front,
  y: readonly Float64Array[],
  parts: Parts,
  share: number,
): Fault[] {
  const { wire } = s;
  const before = front.tableId ? [...front.ids, front.tableId] : [...front.ids];
  if (faultCount(...before) > 2) return [];
  const out: Fault[] = [];
  const turned = oriented(front, parts);
  const tables: readonly DecoderTable[] = front.ids.includes("pack-zero")
    ? [{ note: "", centroids: wire.centroids }]
    : decoderTables(wire, s.reads, front.centroids, turned.levels);
  for (const [rank, table] of tables.entries()) {
    if (front.relabels && table.relabels) continue;
    const ids = table.id && table.id !== front.tableId ? [...before, table.id] : before;
    if (faultCount(joined(ids, undefined)) > 2) continue;
    const free = table.estimate === true || front.estimate === true;
    for (const rule of scaleRules(s, front, y, turned, table.centroids, free).slice(0, 3)) {
      const all = rule.id === "codebook-sigma" && front.tableId === "codebook-sigma" ? undefined : rule.id;
      const id = joined(ids, all);
      if ((ids.length === 0 && !rule.id) || faultCount(id) > 2) continue;
      const explains =
        share * rule.share * Math.max(0.5, 1 - 20 * parts.off) -
        0.002 * rank -
        (front.less ?? 0) -
        (table.estimate ? 0.002 : 0);
      const said = [...front.notes, table.note, rule.note].filter((n) => n).join("; ");
      out.push({ id, explains, evidence: `${parts.fitting.length} of ${y.length} groups: ${said}` });
    }
  }
  return out;
}

/** Scales of both signs are a decoder's doing: then the levels go up with the codes. */
function oriented(front: Front, parts: Parts): Parts {
  const down = parts.fitting.filter((g) => parts.scale[g]! < 0).length;
  if (down < 0.1 * parts.fitting.length) return parts;
  let dot = 0;
  parts.levels.forEach((v, k) => {
    if (!Number.isNaN(v)) dot += v * front.centroids[k]!;
  });
  if (dot >= 0) return parts;
  return { ...parts, levels: parts.levels.map((v) => -v), scale: parts.scale.map((v) => -v) };
}

/** free: the table's size is not known. */
function scaleRules(
  s: Search,
  front: Front,
  y: readonly Float64Array[],
  parts: Parts,
  table: Float64Array,
  free: boolean,
): NormVerdict[] {
  const { wire, renormalising } = s;
  const { groups } = s.all[front.o]!;
  let lt = 0;
  let tt = 0;
  parts.levels.forEach((v, k) => {
    if (Number.isNaN(v)) return;
    lt += v * table[k]!;
    tt += table[k]! ** 2;
  });
  let unit = tt > 0 ? lt / tt : 1;
  if (!(Math.abs(unit) > 0)) return [];
  const scales = parts.fitting.map((g) => parts.scale[g]! * unit);
  let exact = !free;
  if (free && wire.normBytes === 2 && !renormalising) {
    const by = halfUnit(scales, 0.35);
    if (by !== undefined) {
      unit *= by;
      exact = true;
    }
  }
  const cases: NormCase[] = parts.fitting.map((g) => {
    const z = s.rotated(front.o, front.t, g);
    let inner = 0;
    let size = 0;
    let chosen = 0;
    for (let i = 0; i < z.length; i++) {
      const c = front.centroids[cell(front.boundaries, z[i]!, wire.tieDown)]!;
      inner += z[i]! * c;
      chosen += c * c;
      size += z[i]! ** 2;
    }
    const whole = lengthOf(
      y[g]!,
      y[g]!.map((_, i) => i),
    );
    const scale = parts.scale[g]! * unit;
    return {
      norm: groups.norm[g]!,
      chosen: Math.sqrt(chosen),
      inner: inner / Math.sqrt(size || 1),
      stored: renormalising ? Math.sign(scale) * whole : scale,
      x: groups.x[g]!,
      read: whole / Math.abs(scale || 1),
    };
  });
  const rules = decodedNorms(wire, cases, renormalising, free && !exact).filter((r) => r.share > 0.5);
  if (!free) return rules;
  // The size of the table is an estimate: that scales are a multiple of the rule's is no fault of theirs.
  return rules
    .filter((r) => exact || !r.gain)
    .map((r) =>
      r.id === "codebook-sigma" ? { note: r.note, fits: r.fits, share: Math.min(1, r.share + 0.02) } : r,
    );
}
