/** Codes that are a step function of the values: tables of others, or the fork's own, under every rule for the norm. */
import { generic, readNorm } from "./evidence.js";
import { maskAt, type Packing, relabels } from "./layouts.js";
import { codesAt, type Order, type Stage, withNorms } from "./packed-stage.js";
import { fittedTables, type NormEvidence } from "./table-fit.js";
import type { Transform } from "./transforms.js";
import { type Fault, faultCount } from "./verdict.js";
import type { Wire } from "./wire.js";

/** Tables of one name that are tried: the nearest ones come first. */
const MOST = 20;

export function tableCandidates(
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
            const read = codesAt(stage, wire, packed, g);
            values.forEach((v, i) => {
              if (maskAt(packing, i) !== packing.mask) return;
              z.push(v);
              codes.push(read[i]!);
            });
          }
        };
        gather(few);
        if (fittedTables(wire, z, codes).length === 0) continue;
        gather(picked.slice(6));
        const norms: NormEvidence = (use) => normEvidence(wire, stage, packed, picked, use);
        const tried = new Map<string, number>();
        for (const t of fittedTables(wire, z, codes, { norms })) {
          const before = tried.get(t.id) ?? 0;
          if (before >= MOST) continue;
          tried.set(t.id, before + 1);
          if (knownOnly && t.estimate === "shape") continue;
          // A permutation of a code's bits is no order of levels.
          if (t.relabel && packing.id && !packing.flip && relabels(packing, wire.layout, wire.bits)) continue;
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
