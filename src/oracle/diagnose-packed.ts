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
import { joined, looseVerdicts, type NormCase, normVerdicts, sized } from "./norms.js";
import { roughTally } from "./rough-rotation.js";
import { fittedTables, type NormEvidence } from "./table-fit.js";
import type { Table } from "./tables.js";
import { namesOf, type Transform, transformFaults, trueTransform } from "./transforms.js";
import { type Fault, faultCount, ranked } from "./verdict.js";
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
  const transforms = [trueTransform(wire), ...transformFaults(wire, true)];
  const found: Fault[] = [];
  const picked = generic(all[0]!.groups, 40);
  if (picked.length === 0) return [];
  const survivors = codeCandidates(wire, all, packings, transforms, packed, picked);
  for (const s of survivors) found.push(...withNorms(wire, s, packed));
  if (!found.some((f) => f.explains > 0.9 && !f.id.includes("+"))) {
    const rough = roughRotation(wire, all, packings, packed);
    found.push(...tableCandidates(wire, all, packings, transforms, packed, rough.length > 0), ...rough);
  }
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
        if (faultCount(packing.id, order.id, transform.id) > 2) return;
        const least = packing.mask === top ? 0.98 : 0.99;
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
function withNorms(wire: Wire, s: Stage, packed: Uint8Array, table?: Table): Fault[] {
  const { boundaries, centroids, relabel, estimate } = {
    relabel: undefined,
    estimate: undefined,
    ...(table ?? wire),
  };
  const top = 2 ** wire.bits - 1;
  const { groups } = s.order;
  const z = transformed(groups, s.transform);
  const exactZ = s.transform.id
    ? z.map((v, i) =>
        s.transform.gain
          ? v.map((w) => w / s.transform.gain!)
          : groups.norm[i]! > 0 && s.transform.id?.includes("norm-missing")
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
        s.transform.id || table || s.packing.id || s.order.id
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
  const notes = [table?.note ?? "", s.order.note, s.packing.note, s.transform.note]
    .filter((n) => n)
    .join("; ");
  const out: Fault[] = [];
  const wide = wire.normBytes === 4;
  const score = (list: readonly NormCase[], names: readonly string[], less = 0): void => {
    const rules =
      estimate === "shape"
        ? looseVerdicts(wire.rule, list, wide, wire.group)
        : normVerdicts(wire.rule, estimate ? sized(wire.rule, list) : list, wide, wire.group);
    for (const rule of rules.slice(0, 3)) {
      if (s.transform.gain && rule.id === "rotation-scale") continue; // together they are a table of another size
      const id = joined(names, rule.id);
      if (names.length === 0 && !rule.id) continue;
      if (id.split("+").length > 2) continue;
      let both = 0;
      for (let g = 0; g < groups.count; g++) both += codesFit[g]! & rule.fits[g]!;
      out.push({
        id,
        explains: both / groups.count - less,
        evidence: `${both} of ${groups.count} groups: ${[notes, rule.note].filter((n) => n).join("; ")}`,
      });
    }
  };
  const others = [s.order.id, s.packing.id, table?.id];
  for (const [i, turn] of namesOf(s.transform, wire, wire.rule !== "raw").entries()) {
    const ids = [...others, turn].filter((id): id is string => !!id);
    score(cases, ids, 0.01 * i);
    if (masked.length > 0 && s.packing.id === "pack-plane-missing")
      score(
        masked,
        ids.map((id) => (id === "pack-plane-missing" ? "codebook-truncated" : id)),
        -0.01,
      );
  }
  return out;
}

/** Groups whose codes differ only next to boundaries, to both sides: the right rotation, in too few digits. */
function roughRotation(
  wire: Wire,
  all: readonly Order[],
  packings: readonly Packing[],
  packed: Uint8Array,
): Fault[] {
  const out: Fault[] = [];
  const turn = trueTransform(wire);
  const z = new Float64Array(wire.group);
  for (const order of all)
    for (const packing of packings) {
      if (packing.mask !== 2 ** wire.bits - 1 || (order.id && packing.id)) continue;
      const cases: NormCase[] = [];
      const tally = roughTally();
      for (const g of generic(order.groups, 80)) {
        turn.run(order.groups.x[g]!, order.groups.norm[g]!, z);
        const codes = codesAt({ packing }, wire, packed, g);
        if (!tally.add(wire, z, codes) && tally.groups === 1) break;
        let inner = 0;
        for (let i = 0; i < z.length; i++) inner += z[i]! * wire.centroids[codes[i]!]!;
        cases.push({
          norm: order.groups.norm[g]!,
          chosen: lengthOf(wire.centroids, codes),
          inner,
          stored: readNorm(wire, packed, g * packing.groupBytes + packing.normAt[0]!, packing.swapNorm),
          x: order.groups.x[g]!,
        });
      }
      const share = tally.share();
      if (share === 0) continue;
      const ids = [order.id, packing.id, "rotation-f16"].filter((id): id is string => !!id);
      for (const rule of normVerdicts(wire.rule, cases, wire.normBytes === 4, wire.group).slice(0, 2)) {
        const id = joined(ids, rule.id);
        if (id.split("+").length <= 2)
          out.push({
            id,
            explains: share * rule.share,
            evidence: `${tally.evidence()}${[order.note, packing.note, rule.note]
              .filter((n) => n)
              .map((n) => `; ${n}`)
              .join("")}`,
          });
      }
    }
  return out;
}

function tableCandidates(
  wire: Wire,
  all: readonly Order[],
  packings: readonly Packing[],
  transforms: readonly Transform[],
  packed: Uint8Array,
  knownOnly: boolean,
): Fault[] {
  const out: Fault[] = [];
  const picked = generic(all[0]!.groups, 60);
  for (const order of all)
    for (const packing of packings) {
      if (packing.mask !== 2 ** wire.bits - 1) continue;
      for (const transform of transforms) {
        if (transform.gain) continue;
        if (faultCount(order.id, packing.id, transform.id) > 1) continue;
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
        const norms: NormEvidence = (use) => normEvidence(wire, stage, packed, picked, use);
        for (const t of fittedTables(wire, z, codes, { norms }).slice(0, 60)) {
          if (knownOnly && t.estimate === "shape") continue;
          if (t.id === "codebook-order" && packing.id) continue; // a permutation of bits is no order of levels
          out.push(...withNorms(wire, stage, packed, t));
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
