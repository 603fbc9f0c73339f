/** Values on a boundary that went to the other cell, and nothing else: many of one vector are no tolerated flips. */
import { cell, groupsOf, transformed } from "../pipeline/evidence.js";
import { trueRotation } from "../pipeline/transforms.js";
import type { Wire } from "../pipeline/wire.js";
import type { Fault } from "../verdict.js";

/** What f64 and f32 may differ by on a unit vector. */
const TIE = 2e-7;
/** Fewer flips than these prove nothing. */
const LEAST = 8;
/** Of a group's largest value, what is left of a level. */
const SLACK = 4e-6;
/** A half's last place, as a ratio. */
const PLACE = 1.1e-3;

/** decoded: (n, groups · group), in the rotated basis where `rotated`. */
export function tiesElsewhere(wire: Wire, rotated: boolean, x: Float32Array, decoded: Float32Array): Fault[] {
  const { boundaries, centroids, tieDown, group } = wire;
  if (wire.sketch || (wire.rule !== "norm-matching" && wire.rule !== "raw")) return [];
  const all = groupsOf(wire, x);
  if (decoded.length !== all.count * group) return [];
  const z = transformed(all);
  let flipped = 0;
  let kept = 0;
  const y = new Float64Array(group);
  const due = new Float64Array(group);
  for (let g = 0; g < all.count; g++) {
    y.set(decoded.subarray(g * group, (g + 1) * group));
    if (!rotated) trueRotation(wire, y);
    let [yc, cc, top] = [0, 0, 0];
    for (let i = 0; i < group; i++) {
      const v = z[g]![i]!;
      due[i] = centroids[cell(boundaries, tieDown ? v + TIE : v - TIE, tieDown)]!;
      yc += y[i]! * due[i]!;
      cc += due[i]! ** 2;
      top = Math.max(top, Math.abs(y[i]!));
    }
    const norm = all.norm[g]!;
    if (norm === 0 && top === 0) continue;
    const scale = yc / cc;
    const own = wire.rule === "raw" ? norm : norm / Math.sqrt(cc);
    if (!(Math.abs(scale / own - 1) <= PLACE)) return [];
    for (let i = 0; i < group; i++) {
      if (!(Math.abs(y[i]! - scale * due[i]!) <= SLACK * top)) return [];
      const near = boundaries.some((b) => Math.abs(z[g]![i]! - b) <= TIE);
      if (!near) continue;
      if (due[i] === centroids[cell(boundaries, z[g]![i]! + (tieDown ? -TIE : TIE), tieDown)]) kept++;
      else flipped++;
    }
  }
  if (flipped < LEAST || kept > 0) return [];
  return [
    {
      id: "boundary-tie",
      explains: 1,
      evidence: `all ${flipped} values that lie exactly on a boundary went to the ${tieDown ? "upper" : "lower"} cell, and nothing else differs`,
    },
  ];
}
