/** The right rotation in half precision: codes off by one next to boundaries. */
import { generic, lengthOf, readNorm } from "./evidence.js";
import type { Packing } from "./layouts.js";
import { joined, type NormCase, normVerdicts } from "./norms.js";
import { codesAt, type Order } from "./packed-stage.js";
import { roughTally } from "./rough-rotation.js";
import { trueTransform } from "./transforms.js";
import type { Fault } from "./verdict.js";
import type { Wire } from "./wire.js";

/** Groups whose codes differ only next to boundaries, to both sides: the right rotation, in too few digits. */
export function roughRotation(
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
      if (packing.mask !== 2 ** wire.bits - 1 || packing.masks || (order.id && packing.id)) continue;
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
