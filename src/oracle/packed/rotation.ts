/** Packed codes that have nothing to do with the values. */
import { cell, generic, lengthOf, readNorm } from "../pipeline/evidence.js";
import type { Packing } from "../pipeline/layouts.js";
import { normVerdicts } from "../pipeline/norms.js";
import { trueTransform } from "../pipeline/transforms.js";
import { type Reading, unknownRotation } from "../pipeline/unknown-rotation.js";
import type { Wire } from "../pipeline/wire.js";
import { type Fault, faultCount } from "../verdict.js";
import { codesAt, type Order } from "./stage.js";

/** The codes do not fit the values: only another order of the right ones, or some other orthogonal matrix. */
export function otherRotation(
  wire: Wire,
  all: readonly Order[],
  packed: Uint8Array,
  packings: readonly Packing[],
): Fault[] {
  const packing = packings[0];
  if (!packing) return [];
  const picked = generic(all[0]!.groups, 60);
  const sorted = sameMultiset(wire, all[0]!, packed, packing, picked);
  if (sorted > 0.9 && !packing.id)
    return [
      {
        id: "rotation-order",
        explains: 0.8,
        evidence: `codes agree as a multiset in ${(100 * sorted).toFixed(0)} % of ${picked.length} groups: the right numbers in another order`,
      },
    ];
  const readings: Reading[] = [];
  for (const order of all) {
    const own = generic(order.groups, 60);
    if (related(wire, order, packed, packing, own)) {
      if (order.id) continue;
      return [];
    }
    for (const p of packings) {
      if (faultCount(order.id, p.id) > 1 || p.masks) continue;
      readings.push({
        ids: [order.id, p.id].filter((id): id is string => !!id),
        note: [order.note, p.note].filter((n) => n).join("; "),
        mask: p.mask,
        groups: own
          .map((g) => ({
            norm: order.groups.norm[g]!,
            x: order.groups.x[g]!,
            codes: codesAt({ packing: p }, wire, packed, g),
            stored: readNorm(wire, packed, g * p.groupBytes + p.normAt[0]!, p.swapNorm),
          }))
          .filter((g) => g.norm > 1e-6),
      });
    }
  }
  return unknownRotation(wire, readings, (cases) =>
    normVerdicts(wire.rule, cases, wire.normBytes === 4, wire.group),
  );
}

/** Codes go with the values under the right rotation: whatever else is wrong, it is no other rotation. */
function related(
  wire: Wire,
  order: Order,
  packed: Uint8Array,
  packing: Packing,
  picked: readonly number[],
): boolean {
  const t = trueTransform(wire);
  const z = new Float64Array(wire.group);
  let sum = 0;
  for (const g of picked) {
    t.run(order.groups.x[g]!, order.groups.norm[g]!, z);
    const codes = codesAt({ packing }, wire, packed, g);
    let inner = 0;
    for (let i = 0; i < z.length; i++) inner += z[i]! * wire.centroids[codes[i]!]!;
    sum += inner / (lengthOf(wire.centroids, codes) || 1);
  }
  return Math.abs(sum) > 0.4 * picked.length;
}

/** Share of groups whose codes are the right ones, in any order. */
function sameMultiset(
  wire: Wire,
  order: Order,
  packed: Uint8Array,
  packing: Packing,
  picked: readonly number[],
): number {
  const t = trueTransform(wire);
  let sorted = 0;
  for (const g of picked) {
    const codes = codesAt({ packing }, wire, packed, g);
    const z = new Float64Array(wire.group);
    t.run(order.groups.x[g]!, order.groups.norm[g]!, z);
    const expected = Uint8Array.from(z, (v) => cell(wire.boundaries, v)).sort();
    let off = 0;
    codes.sort().forEach((c, i) => {
      if (c !== expected[i]) off++;
    });
    if (off <= 1) sorted++;
  }
  return sorted / Math.max(1, picked.length);
}
