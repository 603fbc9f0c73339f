/**
 * Diagnosis of decoded values of a rotating format, brought to the rotated basis: y = scale · c[code]. Values that are
 * multiples of the format's levels give codes and scales back, and the search is that of packed bytes; where they are
 * not, the levels that the groups share are the fork's table.
 */

import { budgetOf, SEARCH_TIME } from "../budget.js";
import { type Order, orders } from "../packed/stage.js";
import { cell, distance, generic, lengthOf } from "../pipeline/evidence.js";
import { type Leveled, readLevels } from "../pipeline/levels.js";
import { joined, type NormCase, type NormVerdict } from "../pipeline/norms.js";
import { type Reading, readings } from "../pipeline/readings.js";
import { roughTally } from "../pipeline/rough-rotation.js";
import {
  namesOf,
  type Transform,
  transformFaults,
  trueTransform,
  trueUnrotation,
} from "../pipeline/transforms.js";
import type { Wire } from "../pipeline/wire.js";
import { type Fault, faultCount, ranked } from "../verdict.js";
import { fromFronts } from "./fronts.js";
import { decodedNorms } from "./norms.js";
import { fromSteps } from "./quantiser.js";
import { turnedElsewhere } from "./rotation.js";
import { fromRough } from "./rough.js";
import { fromRuns } from "./runs.js";
import type { Search, View } from "./search.js";
import { fitTables, fromLevels, misread } from "./tables.js";

const SAMPLE = 8;
const SLACK = 1e-5;

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
  const transforms = [trueTransform(wire), ...transformFaults(wire, true)];
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
    budget: budgetOf(SEARCH_TIME),
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
    if (s.budget.spent()) break;
    const before = found.length;
    const read = readLevels(view.y, wire.centroids, (g) => all[0]!.groups.norm[g]!, s.slack);
    upright(s, view, read);
    const readable = s.picked.filter((g) => read.codes[g]).length;
    if (readable > 0.8 * s.picked.length) found.push(...fromCodes(s, view, read));
    const explained = (least: number): boolean => found.slice(before).some((f) => f.explains > least);
    if (!explained(0.97)) found.push(...fromFronts(s, view));
    if (!explained(0.97)) found.push(...fromSteps(s, view));
    if (!explained(0.97)) found.push(...fromRough(s, view));
    if (!explained(0.9)) found.push(...fromRuns(s, view));
    if (!explained(0.95) && readable > 0.8 * s.picked.length) found.push(...fromTables(s, view, read));
    const rough = found.slice(before).some((f) => f.id.includes("rotation-f16") && f.explains > 0.8);
    if (!rough && !explained(0.9)) found.push(...fromLevels(s, view));
    // Values are multiples of few levels in one basis only.
    if (found.some((f) => f.explains > (f.id.includes("+") ? 0.985 : 0.97))) break;
  }
  if (!found.some((f) => f.explains > 0.5)) found.push(...turnedElsewhere(s, raw));
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
      ...turnedTwice(wire, raw),
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

/** Values that the decoder rotated once more, where it should have left them or turned them back. */
function turnedTwice(wire: Wire, raw: readonly Float64Array[]): View[] {
  const id = wire.dense ? "rotation-transposed" : "rotation-signs-swapped";
  // Without signs the transform is its own inverse.
  if (!transformFaults(wire).some((t) => t.id === id)) return [];
  const y = raw.map((values) => {
    const z = values.slice();
    trueUnrotation(wire, z);
    return z;
  });
  return [{ id, note: "the decoder applies the forward rotation", y }];
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
        if (faultCount(...before) > (pairs ? 2 : 1)) continue;
        for (const reading of s.reads) {
          const ids = reading.id ? [...before, reading.id] : before;
          if (faultCount(...ids) > 2 || faultCount(...ids) > 1 !== pairs) continue;
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
  return found;
}

/** The format's levels, of codes that another table chose or a rougher rotation. */
function fromTables(s: Search, view: View, read: Leveled): Fault[] {
  const near = rough(s, view, read);
  const found: Fault[] = [];
  for (const [o, order] of s.all.entries())
    for (const [t, transform] of s.transforms.entries()) {
      if (faultCount(view.id, order.id, transform.id) > 1 || transform.gain || s.budget.spent()) continue;
      const stage = { view, o, t, codes: read.codes, scale: read.scale };
      found.push(...fitTables(s, stage, near.length > 0));
      if (!view.id && !order.id && !transform.id && near.length === 0) found.push(...misread(s, stage));
    }
  return [...found, ...near];
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
  const written: NormCase[] = [];
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
    if (reading.id === "codebook-truncated")
      written.push(normCase(s, groups, g, z, codes, codes, read.scale[g]!));
  }
  const share = fitting / Math.max(1, counted);
  const notes = [view.note, s.all[o]!.note, transform.note, reading.note];
  let rules = decodedNorms(wire, cases, s.renormalising).slice(0, 2);
  // Codes that the encoder cut short may have been so before it took their length.
  if (reading.id === "codebook-truncated" && !rules.some((r) => !r.id && r.share > 0.9))
    rules = [...decodedNorms(wire, written, s.renormalising).filter((r) => !r.id), ...rules].slice(0, 2);
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
      // Values and scales too large by the same: levels too small by as much, which the decoder's are not.
      const sized = rule.gain && transform.gain && Math.abs(rule.gain / transform.gain - 1) < 1e-6;
      const all = ids.map((id) => (id === transform.id && name ? name : id));
      const rest = rule.id?.split("+").filter((id) => id !== "rotation-scale" && id !== "codebook-sigma");
      const id = joined(all, sized ? rest?.join("+") || undefined : rule.id);
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
