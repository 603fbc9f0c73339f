/**
 * Diagnosis of packed bytes of a rotating format. The pipeline is order → transform → table → norm rule → packing; a
 * fault replaces one stage, a pair two. The stages part: codes decide order, transform, table and packing, the stored
 * norm decides the rule. So each pair of candidates for the codes is tried on one group, what survives on several,
 * and only what still stands on all.
 */
import {
  cell,
  distance,
  type Groups,
  generic,
  groupsOf,
  lengthOf,
  NOISE,
  readNorm,
  transformed,
} from "./evidence.js";
import { type Packing, packingFaults, readCodes } from "./layouts.js";
import { joined, type NormCase, normVerdicts } from "./norms.js";
import { fittedTables } from "./table-fit.js";
import { type Transform, transformFaults, trueTransform } from "./transforms.js";
import { type Fault, ranked } from "./verdict.js";
import type { Wire } from "./wire.js";

const SLACK = 1e-5;
/** Groups on which a candidate is confirmed. */
const SAMPLE = 8;

export interface Order {
  readonly id?: string;
  readonly note: string;
  readonly groups: Groups;
}

interface Stage {
  readonly order: Order;
  readonly packing: Packing;
  readonly transform: Transform;
}

/** The transpositions [tokens, heads] ↔ [heads, tokens] that n vectors allow. */
export function orders(wire: Wire, x: Float32Array): Order[] {
  const n = x.length / wire.dim;
  const out: Order[] = [{ note: "", groups: groupsOf(wire, x) }];
  for (let h = 2; h <= n / 2; h++) {
    if (n % h !== 0) continue;
    const tokens = n / h;
    out.push({
      id: "stride-head",
      note: `${h} heads and ${tokens} tokens exchanged`,
      groups: groupsOf(wire, x, (i) => (i % tokens) * h + Math.floor(i / tokens)),
    });
  }
  return out;
}

const truePacking = (wire: Wire): Packing => ({
  id: "",
  note: "",
  layout: wire.layout,
  groupBytes: wire.groupBytes,
  normAt: wire.normAt,
  flip: 0,
  mask: 2 ** wire.bits - 1,
});

/** packed: bytes whose length some hypothesis explains. */
export function diagnosePacked(wire: Wire, x: Float32Array, packed: Uint8Array): Fault[] {
  const all = orders(wire, x);
  const count = all[0]!.groups.count;
  const packings = [truePacking(wire), ...packingFaults(wire)].filter(
    (p) => p.groupBytes * count === packed.length,
  );
  const transforms = [trueTransform(wire), ...transformFaults(wire)];
  const found: Fault[] = [];
  const picked = generic(all[0]!.groups, 40);
  if (picked.length === 0) return [];
  const survivors = codeCandidates(wire, all, packings, transforms, packed, picked);
  for (const s of survivors) found.push(...withNorms(wire, s, packed, wire.boundaries, wire.centroids, []));
  if (!found.some((f) => f.explains > 0.9 && !f.id.includes("+")))
    found.push(...tableCandidates(wire, all, packings, transforms, packed));
  if (!found.some((f) => f.explains > 0.5)) found.push(...otherRotation(wire, all[0]!, packed, packings));
  return ranked(found.filter((f) => f.id !== ""));
}

const codesAt = (s: { packing: Packing }, wire: Wire, packed: Uint8Array, g: number): Uint8Array => {
  const codes = new Uint8Array(wire.group);
  readCodes(packed, g * s.packing.groupBytes, s.packing.layout, wire.bits, s.packing.flip, codes);
  return codes;
};

/** Share of codes that are those of z within the slack. */
function agreement(
  codes: Uint8Array,
  z: Float64Array,
  boundaries: Float64Array,
  mask: number,
  top: number,
): number {
  let same = 0;
  for (let i = 0; i < codes.length; i++) {
    const k = cell(boundaries, z[i]!);
    if ((k & mask) === codes[i]! || (mask === top && distance(boundaries, z[i]!, codes[i]!) < SLACK)) same++;
  }
  return same / codes.length;
}

function codeCandidates(
  wire: Wire,
  all: readonly Order[],
  packings: readonly Packing[],
  transforms: readonly Transform[],
  packed: Uint8Array,
  picked: readonly number[],
): Stage[] {
  const top = 2 ** wire.bits - 1;
  const survivors: Stage[] = [];
  const sample = picked.slice(0, SAMPLE);
  const codesOf = new Map<string, Uint8Array>();
  const z = new Map<string, Float64Array>();
  packings.forEach((packing, p) => {
    for (const [o, order] of all.entries()) {
      transforms.forEach((transform, t) => {
        const faults = (packing.id ? 1 : 0) + (order.id ? 1 : 0) + (transform.id ? 1 : 0);
        if (faults > 2) return;
        const least = transform.inexact ? 0.85 : packing.mask === top ? 0.98 : 0.99;
        let sum = 0;
        for (const [k, g] of sample.entries()) {
          // With the order changed, the stored group g is that of another input; the sample's inputs are where they are.
          const codeKey = `${p}:${g}`;
          let codes = codesOf.get(codeKey);
          if (!codes) codesOf.set(codeKey, (codes = codesAt({ packing }, wire, packed, g)));
          const zKey = `${t}:${o}:${g}`;
          let values = z.get(zKey);
          if (!values) {
            values = new Float64Array(wire.group);
            transform.run(order.groups.x[g]!, order.groups.norm[g]!, values);
            z.set(zKey, values);
          }
          const share = agreement(codes, values, wire.boundaries, packing.mask, top);
          if (k === 0 && share < least - 0.12) return;
          sum += share;
        }
        if (sum / sample.length >= least) survivors.push({ order, packing, transform });
      });
    }
  });
  return survivors.slice(0, 60);
}

/** How much of everything a stage explains with each norm rule. */
function withNorms(
  wire: Wire,
  s: Stage,
  packed: Uint8Array,
  boundaries: Float64Array,
  centroids: Float64Array,
  more: readonly string[],
  note = "",
  relabel?: Uint8Array,
): Fault[] {
  const top = 2 ** wire.bits - 1;
  const { groups } = s.order;
  const z = transformed(groups, s.transform);
  const exactZ = s.transform.id
    ? z.map((v, i) =>
        s.transform.gain
          ? v.map((w) => w / s.transform.gain!)
          : groups.norm[i]! > 0 && s.transform.id === "norm-missing"
            ? v.map((w) => w / groups.norm[i]!)
            : v,
      )
    : z;
  const codesFit = new Uint8Array(groups.count);
  const cases: NormCase[] = [];
  const masked: NormCase[] = [];
  for (let g = 0; g < groups.count; g++) {
    const codes = codesAt(s, wire, packed, g);
    let good = 0;
    const full = new Uint8Array(wire.group);
    for (let i = 0; i < codes.length; i++) {
      const level = cell(boundaries, z[g]![i]!, wire.tieDown);
      const k = relabel ? relabel[level]! : level;
      full[i] = k;
      const near =
        s.transform.id || more.length > 0 || s.packing.id || s.order.id
          ? SLACK * Math.max(1, s.transform.gain ?? 1)
          : 1e-6 + NOISE;
      if ((k & s.packing.mask) === codes[i]!) good++;
      else if (
        relabel
          ? distance(boundaries, z[g]![i]!, relabel.indexOf(codes[i]!)) <= near
          : s.packing.mask === top && distance(boundaries, z[g]![i]!, codes[i]!) <= near
      ) {
        full[i] = codes[i]!;
        good++;
      }
    }
    codesFit[g] = good === codes.length || !Number.isFinite(groups.norm[g]!) ? 1 : 0;
    const at = g * s.packing.groupBytes + s.packing.normAt[0]!;
    const stored = readNorm(wire, packed, at, s.packing.swapNorm);
    const make = (chosen: ArrayLike<number>): NormCase => {
      let inner = 0;
      for (let i = 0; i < chosen.length; i++) inner += exactZ[g]![i]! * centroids[chosen[i]!]!;
      return { norm: groups.norm[g]!, chosen: lengthOf(centroids, chosen), inner, stored, x: groups.x[g]! };
    };
    cases.push(make(full));
    if (s.packing.mask !== top) masked.push(make(codes));
  }
  const ids = [s.order.id, s.packing.id, s.transform.id, ...more].filter((id): id is string => !!id);
  const notes = [note, s.order.note, s.packing.note, s.transform.note].filter((n) => n).join("; ");
  const out: Fault[] = [];
  const score = (list: readonly NormCase[], names: readonly string[]): void => {
    for (const rule of normVerdicts(wire.rule, list, wire.normBytes === 4).slice(0, 3)) {
      const id = joined(names, rule.id);
      if (names.length === 0 && !rule.id) continue;
      if (id.split("+").length > 2) continue;
      let both = 0;
      for (let g = 0; g < groups.count; g++) both += codesFit[g]! & rule.fits[g]!;
      out.push({
        id,
        explains: both / groups.count,
        evidence: `${both} of ${groups.count} groups: ${[notes, rule.note].filter((n) => n).join("; ")}`,
      });
    }
  };
  score(cases, ids);
  if (masked.length > 0 && s.packing.id === "pack-plane-missing")
    score(
      masked,
      ids.map((id) => (id === "pack-plane-missing" ? "codebook-truncated" : id)),
    );
  return out;
}

function tableCandidates(
  wire: Wire,
  all: readonly Order[],
  packings: readonly Packing[],
  transforms: readonly Transform[],
  packed: Uint8Array,
): Fault[] {
  const out: Fault[] = [];
  const picked = generic(all[0]!.groups, 60);
  for (const order of all)
    for (const packing of packings) {
      if (packing.mask !== 2 ** wire.bits - 1) continue;
      for (const transform of transforms) {
        if (transform.inexact || (transform.gain && transform.gain !== 1)) continue;
        if ((order.id ? 1 : 0) + (packing.id ? 1 : 0) + (transform.id ? 1 : 0) > 1) continue;
        const stage = { order, packing, transform };
        const z: number[] = [];
        const codes: number[] = [];
        const few = picked.slice(0, 6);
        const gather = (list: readonly number[]): void => {
          for (const g of list) {
            const values = new Float64Array(wire.group);
            transform.run(order.groups.x[g]!, order.groups.norm[g]!, values);
            z.push(...values);
            codes.push(...codesAt(stage, wire, packed, g));
          }
        };
        gather(few);
        if (fittedTables(wire, z, codes).length === 0) continue;
        gather(picked.slice(6));
        for (const t of fittedTables(wire, z, codes, (c) => normEvidence(wire, stage, packed, picked, c))) {
          if (t.id === "codebook-order" && packing.id) continue; // a permutation of bits is no order of levels
          out.push(...withNorms(wire, stage, packed, t.boundaries, t.centroids, [t.id], t.note, t.relabel));
        }
      }
    }
  return out;
}

/** (how often each code occurs, ‖x‖/stored) for groups: what the centroids are fitted from. */
function normEvidence(
  wire: Wire,
  s: Stage,
  packed: Uint8Array,
  picked: readonly number[],
  use: (counts: Float64Array, ratio: number) => void,
): void {
  for (const g of picked) {
    const stored = readNorm(
      wire,
      packed,
      g * s.packing.groupBytes + s.packing.normAt[0]!,
      s.packing.swapNorm,
    );
    const norm = s.order.groups.norm[g]!;
    if (!(stored > 1e-3) || !(stored < 6e4)) continue;
    const counts = new Float64Array(2 ** wire.bits);
    for (const c of codesAt(s, wire, packed, g)) counts[c]!++;
    use(counts, norm / stored);
  }
}

/** The norms fit the codes, the codes do not fit the values: some other orthogonal matrix, or only another order. */
function otherRotation(wire: Wire, order: Order, packed: Uint8Array, packings: readonly Packing[]): Fault[] {
  const packing = packings[0];
  if (!packing || packing.id) return [];
  let right = 0;
  let sorted = 0;
  let varied = 0;
  const picked = generic(order.groups, 60);
  const t = trueTransform(wire);
  for (const g of picked) {
    const codes = codesAt({ packing }, wire, packed, g);
    const stored = readNorm(wire, packed, g * wire.groupBytes + wire.normAt[0]!);
    const norm = order.groups.norm[g]!;
    const due = wire.rule === "raw" ? norm : norm / lengthOf(wire.centroids, codes);
    const slack = wire.rule === "unbiased" ? 0.1 : 1.5e-3;
    if (Math.abs(stored / due - 1) < slack) right++;
    if (new Set(codes).size > wire.centroids.length / 2) varied++;
    const z = new Float64Array(wire.group);
    t.run(order.groups.x[g]!, norm, z);
    const expected = Uint8Array.from(z, (v) => cell(wire.boundaries, v)).sort();
    let off = 0;
    codes.sort().forEach((c, i) => {
      if (c !== expected[i]) off++;
    });
    if (off <= 1) sorted++;
  }
  if (right < 0.9 * picked.length || varied < 0.9 * picked.length) return [];
  const share = sorted / picked.length;
  if (share > 0.9)
    return [
      {
        id: "rotation-order",
        explains: 0.8,
        evidence: `codes agree as a multiset in ${sorted} of ${picked.length} groups: the right numbers in another order`,
      },
    ];
  return [
    {
      id: "rotation-unknown",
      explains: 0.6,
      evidence: `norms fit the codes in ${right} of ${picked.length} groups, but the codes have nothing to do with the values`,
    },
  ];
}
