/**
 * Diagnosis of packed bytes of a rotating format. The pipeline is order → transform → table → norm rule → packing; a
 * fault replaces one stage, a pair two. The stages part: codes decide order, transform, table and packing, the stored
 * norm decides the rule. So each pair of candidates for the codes is tried on one group, what survives on several,
 * and only what still stands on all.
 */
import { type Budget, budgetOf, SEARCH_TIME } from "../budget.js";
import { cell, distance, generic } from "../pipeline/evidence.js";
import { emptyEnd, maskAt, type Packing, packingFaults } from "../pipeline/layouts.js";
import { type Transform, transformFaults, trueTransform } from "../pipeline/transforms.js";
import type { Wire } from "../pipeline/wire.js";
import { type Fault, faultCount, pairId, ranked } from "../verdict.js";
import { otherRotation } from "./rotation.js";
import { codesAt, type Order, orders, runTogether, SLACK, type Stage, withNorms } from "./stage.js";
import { signedCandidates, stepCandidates } from "./steps.js";

/** Groups on which a candidate is confirmed. */
const SAMPLE = 8;

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
export function diagnosePacked(
  wire: Wire,
  x: Float32Array,
  packed: Uint8Array,
  budget: Budget = budgetOf(SEARCH_TIME),
): Fault[] {
  const sized = packingsOf(wire, x, packed);
  if (!sized) return [];
  const { all, packings } = sized;
  const end = packings[0] && !packings[0].id ? emptyEnd(packings[0], wire.bits, packed) : undefined;
  if (end) packings.push(end);
  const transforms = [trueTransform(wire), ...transformFaults(wire, true)];
  const found: Fault[] = [];
  if (generic(all[0]!.groups, 1).length === 0) return [];
  const survivors = codeCandidates(wire, all, packings, transforms, packed);
  for (const s of survivors) found.push(...withNorms(wire, s, packed));
  const dump = { wire, all, packings, packed, budget };
  if (!found.some((f) => f.explains > 0.998)) found.push(...stepCandidates(dump, transforms));
  const right = survivors.some((s) => !(s.order.id || s.packing.id || s.transform.id));
  if (right && !found.some((f) => f.explains > 0.7)) return [strangeNorms(wire, packed)];
  if (!found.some((f) => f.explains > 0.7)) found.push(...signedCandidates(dump));
  if (!found.some((f) => f.explains > 0.5)) found.push(...otherRotation(wire, all, packed, packings));
  if (found.length === 0 && packings.every((p) => p.id === "pack-legacy-layout"))
    found.push({
      id: "pack-legacy-layout",
      explains: 0.35,
      evidence: `the size is that of another layout: ${packings[0]!.note}; codes and norms are of nothing that is known`,
    });
  return ranked(found.filter((f) => f.id !== ""));
}

/** Each wrong packing also with complemented indices. */
const withComplements = (packings: readonly Packing[]): Packing[] => [
  ...packings,
  ...packings
    .filter((p) => p.id && p.flip === 0 && !p.swapNorm)
    .map((p) => ({
      ...p,
      id: pairId([p.id, "pack-inverted"]),
      note: `${p.note}; every index is stored complemented`,
      flip: p.mask,
    })),
];

/** Orders and packings that the size of the dump allows; undefined where there are none. */
function packingsOf(
  wire: Wire,
  x: Float32Array,
  packed: Uint8Array,
): { all: Order[]; packings: Packing[] } | undefined {
  const own = truePacking(wire);
  const list = withComplements([own, ...packingFaults(wire)]);
  const stride = wire.groups * wire.groupBytes;
  const n = x.length / wire.dim;
  const packings = list.filter((p) => p.groupBytes * wire.groups * n === packed.length);
  if (packings.length === 0) {
    if (wire.dim % wire.group !== 0)
      for (const padded of [false, true]) {
        const order = runTogether(wire, x, padded);
        const fitting = list.filter((p) => p.groupBytes * order.groups.count === packed.length);
        if (fitting.length > 0) return { all: [order], packings: fitting };
      }
    const kept = Math.floor(packed.length / stride);
    if (kept < 1 || kept >= n) return undefined;
    return { all: orders(wire, x, kept), packings: list.filter((p) => p.groupBytes === wire.groupBytes) };
  }
  const all = orders(wire, x);
  let kept = n;
  while (kept > 0 && packed.subarray((kept - 1) * stride, kept * stride).every((b) => b === 0)) kept--;
  const written = all[0]!.groups.norm.slice(kept * wire.groups).some((v) => v > 1e-6);
  if (packings[0] === own && kept > 0 && written) all.push(...orders(wire, x, kept));
  return { all, packings };
}

/** The codes are right, and no rule makes the norms: what they are. */
function strangeNorms(wire: Wire, packed: Uint8Array): Fault {
  const { groupBytes, normAt, normBytes } = wire;
  const count = Math.floor(packed.length / groupBytes);
  let copied = 0;
  for (let g = 1; g < count; g++) {
    const at = g * groupBytes + normAt[0]!;
    let same = true;
    for (let b = at; b < at + normBytes && same; b++) same = packed[b] === packed[b - normBytes];
    if (same) copied++;
  }
  return copied > 0.9 * (count - 1)
    ? {
        id: "overrun",
        explains: copied / (count - 1),
        evidence: `${copied} of ${count - 1} norms are the bytes before them: a block writes past its end`,
      }
    : { id: "unknown", explains: 0, evidence: "the codes are right, the norms are of no rule that is known" };
}

/** Share of codes that are those of z within the slack. */
function agreement(
  codes: Uint8Array,
  z: Float64Array,
  boundaries: Float64Array,
  packing: Packing,
  top: number,
): number {
  let same = 0;
  for (let i = 0; i < codes.length; i++) {
    const mask = maskAt(packing, i);
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
): Stage[] {
  const top = 2 ** wire.bits - 1;
  const survivors: Stage[] = [];
  const samples = all.map((order) => generic(order.groups, SAMPLE));
  const codesOf = new Map<string, Uint8Array>();
  const z = new Map<string, Float64Array>();
  const turns = transforms.map((t) => faultCount(t.id));
  packings.forEach((packing, p) => {
    for (const [o, order] of all.entries()) {
      const before = faultCount(packing.id, order.id);
      transforms.forEach((transform, t) => {
        if (before + turns[t]! > 2) return;
        const least = packing.mask === top ? 0.98 : 0.99;
        const sample = samples[o]!;
        let sum = 0;
        for (const [k, g] of sample.entries()) {
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
          const share = agreement(codes, values, wire.boundaries, packing, top);
          if (k === 0 && share < least - 0.12) return;
          sum += share;
        }
        if (sum / sample.length >= least) survivors.push({ order, packing, transform });
      });
    }
  });
  return survivors.slice(0, 60);
}
