/**
 * Diagnosis of packed bytes of a rotating format. The pipeline is order → transform → table → norm rule → packing; a
 * fault replaces one stage, a pair two. The stages part: codes decide order, transform, table and packing, the stored
 * norm decides the rule. So each pair of candidates for the codes is tried on one group, what survives on several,
 * and only what still stands on all.
 */
import { cell, distance, generic } from "./evidence.js";
import { emptyEnd, maskAt, type Packing, packingFaults } from "./layouts.js";
import { otherRotation } from "./packed-rotation.js";
import { roughRotation } from "./packed-rough.js";
import { codesAt, type Order, orders, SLACK, type Stage, withNorms } from "./packed-stage.js";
import { tableCandidates } from "./packed-tables.js";
import { type Transform, transformFaults, trueTransform } from "./transforms.js";
import { type Fault, faultCount, ranked } from "./verdict.js";
import type { Wire } from "./wire.js";

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
export function diagnosePacked(wire: Wire, x: Float32Array, packed: Uint8Array): Fault[] {
  const all = orders(wire, x);
  const count = all[0]!.groups.count;
  const packings = [truePacking(wire), ...packingFaults(wire)].filter(
    (p) => p.groupBytes * count === packed.length,
  );
  const end = packings[0] && !packings[0].id ? emptyEnd(packings[0], wire.bits, packed) : undefined;
  if (end) packings.push(end);
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
  if (!found.some((f) => f.explains > 0.5)) found.push(...otherRotation(wire, all, packed, packings));
  return ranked(found.filter((f) => f.id !== ""));
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
