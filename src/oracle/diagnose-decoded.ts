/**
 * Diagnosis of decoded values of a rotating format, brought to the rotated basis: y = scale · c[code]. Values that are
 * multiples of the format's levels give codes and scales back, and the search is that of packed bytes; where they are
 * not, the levels that the groups share are the fork's table.
 */
import { decodedNorms } from "./decoded-norms.js";
import { type Order, orders } from "./diagnose-packed.js";
import { cell, distance, generic, lengthOf } from "./evidence.js";
import { discoverLevels, type Leveled, readLevels } from "./levels.js";
import { joined, looseVerdicts, type NormCase, type NormVerdict } from "./norms.js";
import { type Reading, readings } from "./readings.js";
import { roughTally } from "./rough-rotation.js";
import { fittedTables } from "./table-fit.js";
import type { Table } from "./tables.js";
import { namesOf, type Transform, transformFaults, trueTransform } from "./transforms.js";
import { type Fault, ranked } from "./verdict.js";
import type { Wire } from "./wire.js";

const SAMPLE = 8;
const SLACK = 1e-5;

/** One basis in which the values may be meant. */
interface View {
  readonly id: string;
  readonly note: string;
  readonly y: readonly Float64Array[];
  /** The decoder's wrong inverse: the encoder may have used the same. */
  readonly transform?: Transform;
}

interface Search {
  readonly wire: Wire;
  readonly all: readonly Order[];
  readonly transforms: readonly Transform[];
  readonly reads: readonly Reading[];
  readonly picked: readonly number[];
  readonly renormalising: boolean;
  /** Largest error of a value, in a group's largest. */
  readonly slack: number;
  rotated(o: number, t: number, g: number): Float64Array;
}

const WRONG_INVERSES = [
  "rotation-missing",
  "rotation-unsigned",
  "rotation-signs-swapped",
  "rotation-signs-after",
  "rotation-transposed",
  "rotation-dense-vs-wht",
];

/** rotated: the engine's values stay rotated. */
export function diagnoseDecoded(
  wire: Wire,
  rotated: boolean,
  x: Float32Array,
  decoded: Float32Array,
): Fault[] {
  const all = orders(wire, x);
  const transforms = [trueTransform(wire), ...transformFaults(wire)];
  const count = all[0]!.groups.count;
  const raw = Array.from({ length: count }, (_, g) => {
    const y = new Float64Array(wire.group);
    for (let i = 0; i < wire.group; i++) y[i] = decoded[g * wire.group + i] ?? 0;
    return y;
  });
  const renormalising = wire.name.startsWith("vllm");
  const cache = new Map<string, Float64Array>();
  const s: Search = {
    wire,
    all,
    transforms,
    reads: readings(wire),
    picked: generic(all[0]!.groups, 60),
    renormalising,
    slack: renormalising ? 1.1e-3 : rotated ? 1e-6 : 4e-6,
    rotated(o, t, g) {
      const key = `${o}:${t}:${g}`;
      let z = cache.get(key);
      if (!z) {
        z = new Float64Array(wire.group);
        const { groups } = all[o]!;
        transforms[t]!.run(groups.x[g]!, groups.norm[g]!, z);
        cache.set(key, z);
      }
      return z;
    },
  };
  if (s.picked.length === 0) return [];
  const found: Fault[] = [];
  for (const view of views(wire, rotated, raw, transforms)) {
    const before = found.length;
    const read = readLevels(view.y, wire.centroids, (g) => all[0]!.groups.norm[g]!, s.slack);
    upright(s, view, read);
    const readable = s.picked.filter((g) => read.codes[g]).length;
    if (readable > 0.8 * s.picked.length) found.push(...fromCodes(s, view, read));
    const rough = found.slice(before).some((f) => f.id.includes("rotation-f16") && f.explains > 0.8);
    if (!rough && !found.slice(before).some((f) => f.explains > 0.9)) found.push(...fromLevels(s, view));
    if (found.some((f) => f.explains > 0.97 && !f.id.includes("+"))) break;
  }
  if (!found.some((f) => f.explains > 0.5)) found.push(...otherRotation(s, raw));
  return ranked(found);
}

/** A scale of the wrong sign reads as complemented codes: where some groups are so and some are not, it is the sign. */
function upright(s: Search, view: View, read: Leveled): void {
  const top = 2 ** s.wire.bits - 1;
  const flipped: number[] = [];
  let counted = 0;
  for (const [g, codes] of read.codes.entries()) {
    if (!codes) continue;
    const z = s.rotated(0, 0, g);
    let dot = 0;
    let size = 0;
    for (let i = 0; i < z.length; i++) {
      dot += z[i]! * view.y[g]![i]!;
      size += view.y[g]![i]! ** 2;
    }
    counted++;
    if (dot < -0.6 * Math.sqrt(size)) flipped.push(g);
  }
  if (flipped.length > 0.9 * counted) return;
  for (const g of flipped) {
    read.codes[g] = read.codes[g]!.map((k) => top - k);
    read.scale[g]! *= -1;
  }
}

function views(
  wire: Wire,
  rotated: boolean,
  raw: readonly Float64Array[],
  transforms: readonly Transform[],
): View[] {
  const through = (t: Transform): Float64Array[] =>
    raw.map((y) => {
      const z = new Float64Array(y.length);
      t.run(y, 1, z);
      return z;
    });
  const turned = through(trueTransform(wire));
  if (rotated) {
    const plain = wire.name.startsWith("llama") ? "test-basis" : "";
    return [
      { id: "", note: "", y: raw },
      { id: plain, note: "values are in the original basis", y: turned },
    ];
  }
  return [
    { id: "", note: "", y: turned },
    { id: "test-basis", note: "values are still rotated", y: raw },
    ...transforms
      .filter((t) => WRONG_INVERSES.includes(t.id ?? "") && t.id !== "rotation-missing")
      .map((t) => ({ id: t.id!, note: `un-rotated: ${t.note}`, y: through(t), transform: t })),
  ];
}

/** The format's own levels: codes and scales as if from bytes. */
function fromCodes(s: Search, view: View, read: Leveled): Fault[] {
  const found: Fault[] = [];
  const sample = s.picked.filter((g) => read.codes[g]).slice(0, SAMPLE);
  for (const pairs of [false, true]) {
    for (const [o, order] of s.all.entries())
      for (const [t, transform] of s.transforms.entries()) {
        const both = view.transform && transform.id === view.transform.id;
        const before = [view.id, order.id, both ? "" : transform.id].filter((id): id is string => !!id);
        if (before.length > (pairs ? 2 : 1)) continue;
        for (const reading of s.reads) {
          const ids = reading.id ? [...before, reading.id] : before;
          if (ids.length > 2 || ids.length > 1 !== pairs) continue;
          let sum = 0;
          for (const [k, g] of sample.entries()) {
            const share = agreement(s, reading, s.rotated(o, t, g), read.codes[g]!);
            sum += share;
            if (k === 0 && share < 0.86) break;
          }
          if (sum / sample.length >= 0.98) found.push(...confirm(s, view, read, o, t, reading, ids));
        }
      }
    if (found.some((f) => f.explains > 0.97)) break;
  }
  if (!found.some((f) => f.explains > 0.9)) {
    const near = rough(s, view, read);
    for (const [o, order] of s.all.entries())
      for (const [t, transform] of s.transforms.entries()) {
        const ids = [view.id, order.id, transform.id].filter((id) => id);
        if (ids.length > 1 || transform.gain) continue;
        found.push(...fitTables(s, view, o, t, read.codes, read.scale, undefined, near.length > 0));
      }
    found.push(...near);
  }
  return found;
}

/** Share of codes that are what the reading makes of z's cells; next to a boundary either cell will do. */
function agreement(s: Search, reading: Reading, z: Float64Array, codes: Uint8Array): number {
  const { boundaries, tieDown } = s.wire;
  const due = reading.map(Uint8Array.from(z, (v) => cell(boundaries, v, tieDown)));
  let same = 0;
  for (let i = 0; i < codes.length; i++)
    if (due[i] === codes[i] || (!reading.id && distance(boundaries, z[i]!, codes[i]!) < SLACK)) same++;
  return same / codes.length;
}

function confirm(
  s: Search,
  view: View,
  read: Leveled,
  o: number,
  t: number,
  reading: Reading,
  ids: readonly string[],
): Fault[] {
  const { wire } = s;
  const { groups } = s.all[o]!;
  const transform = s.transforms[t]!;
  const cases: NormCase[] = [];
  let fitting = 0;
  let counted = 0;
  for (let g = 0; g < groups.count; g++) {
    if (read.silent[g] || !(groups.norm[g]! > 1e-9)) continue;
    counted++;
    const codes = read.codes[g];
    if (!codes) continue;
    const z = s.rotated(o, t, g);
    const own = Uint8Array.from(z, (v) => cell(wire.boundaries, v, wire.tieDown));
    const due = reading.map(own.slice());
    let off = 0;
    for (let i = 0; i < codes.length; i++) if (due[i] !== codes[i] && !edge(wire, z[i]!)) off++;
    if (off > 0) continue;
    fitting++;
    cases.push(normCase(s, groups, g, z, own, codes, read.scale[g]!));
  }
  const share = fitting / Math.max(1, counted);
  const notes = [view.note, s.all[o]!.note, transform.note, reading.note];
  const rules = decodedNorms(wire, cases, s.renormalising).slice(0, 2);
  return named(ids, transform, wire, share, rules, notes, groups.count);
}

/** Within rounding of a boundary: whatever a reading makes of it. */
const edge = (wire: Wire, z: number): boolean => wire.boundaries.some((b) => Math.abs(z - b) < 4e-6);

function normCase(
  s: Search,
  groups: Order["groups"],
  g: number,
  z: Float64Array,
  own: Uint8Array,
  codes: Uint8Array,
  scale: number,
): NormCase {
  const { centroids } = s.wire;
  let inner = 0;
  let size = 0;
  for (let i = 0; i < z.length; i++) {
    inner += z[i]! * centroids[own[i]!]!;
    size += z[i]! ** 2;
  }
  return {
    norm: groups.norm[g]!,
    chosen: lengthOf(centroids, own),
    inner: inner / Math.sqrt(size || 1),
    stored: s.renormalising ? scale * lengthOf(centroids, codes) : scale,
    x: groups.x[g]!,
  };
}

/** One fault for every rule that fits, under every name of the transform. */
function named(
  ids: readonly string[],
  transform: Transform,
  wire: Wire,
  share: number,
  rules: readonly NormVerdict[],
  notes: readonly string[],
  count: number,
): Fault[] {
  const out: Fault[] = [];
  for (const rule of rules)
    for (const [i, name] of namesOf(transform, wire, false).entries()) {
      const all = ids.map((id) => (id === transform.id && name ? name : id));
      const id = joined(all, rule.id);
      if ((all.length === 0 && !rule.id) || id.split("+").length > 2) continue;
      const explains = share * rule.share - 0.01 * i;
      out.push({
        id,
        explains,
        evidence: `${Math.round(explains * count)} of ${count} groups: ${[...notes, rule.note].filter((n) => n).join("; ")}`,
      });
    }
  return out;
}

/** Levels of nobody's that the groups share. */
function fromLevels(s: Search, view: View): Fault[] {
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
      if ([view.id, order.id, transform.id].filter((id) => id).length > 1 || transform.gain) continue;
      out.push(...fitTables(s, view, o, t, codes, found.scale, levels));
    }
  return out;
}

function fitTables(
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

function rough(s: Search, view: View, read: Leveled): Fault[] {
  const out: Fault[] = [];
  for (const [o, order] of s.all.entries()) {
    const tally = roughTally();
    const cases: NormCase[] = [];
    for (const g of s.picked) {
      const codes = read.codes[g];
      if (!codes) continue;
      const z = s.rotated(o, 0, g);
      if (!tally.add(s.wire, z, codes) && tally.groups === 1) break;
      cases.push(normCase(s, order.groups, g, z, codes, codes, read.scale[g]!));
    }
    const share = tally.share();
    if (share === 0) continue;
    const ids = [view.id, order.id, "rotation-f16"].filter((id): id is string => !!id);
    const rules = decodedNorms(s.wire, cases, s.renormalising).slice(0, 2);
    out.push(
      ...named(ids, s.transforms[0]!, s.wire, share, rules, [view.note, tally.evidence()], s.picked.length),
    );
  }
  return out;
}

/** Lengths are right, directions have nothing to do with what is due. */
function otherRotation(s: Search, y: readonly Float64Array[]): Fault[] {
  const { wire } = s;
  const { groups } = s.all[0]!;
  let right = 0;
  let lost = 0;
  for (const g of s.picked) {
    const z = s.rotated(0, 0, g);
    let dot = 0;
    let size = 0;
    for (let i = 0; i < z.length; i++) {
      dot += z[i]! * y[g]![i]!;
      size += y[g]![i]! ** 2;
    }
    const length = Math.sqrt(size);
    const slack = wire.rule === "norm-matching" || s.renormalising ? 2e-3 : 0.25;
    if (Math.abs(length / groups.norm[g]! - 1) < slack) right++;
    if (Math.abs(dot / length) < 0.6) lost++;
  }
  const counted = s.picked.length;
  if (right < 0.9 * counted || lost < 0.9 * counted) return [];
  return [
    {
      id: "rotation-unknown",
      explains: 0.6,
      evidence: `${right} of ${counted} groups have the right length, ${lost} point elsewhere`,
    },
  ];
}
