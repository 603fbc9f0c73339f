/** Scales of parts of a group: codes are those that are due, and each run of coordinates has a scale of its own. */

import { cell } from "../pipeline/evidence.js";
import { type Fault, pairId } from "../verdict.js";
import type { Search, View } from "./search.js";

/** Runs of so many coordinates are tried, the longest first. */
const RUNS = [64, 32, 16];
/** Scales of the runs of one group differ by this at least, in most groups. */
const APART = 3e-3;

export function fromRuns(s: Search, view: View): Fault[] {
  const { wire, picked } = s;
  const found: Fault[] = [];
  for (const [o, order] of s.all.entries())
    for (const run of RUNS) {
      if (2 * run > wire.group || (view.id && order.id)) continue;
      let fitting = 0;
      let apart = 0;
      let heard = 0;
      for (const g of picked) {
        const y = view.y[g]!;
        if (!y.every(Number.isFinite) || y.every((v) => v === 0)) continue;
        heard++;
        const scales = scalesOf(s, y, s.rotated(o, 0, g), run);
        if (scales) fitting++;
        else if (heard === 2 && fitting === 0) break;
        if (scales && Math.max(...scales) - Math.min(...scales) > APART * Math.max(...scales.map(Math.abs)))
          apart++;
      }
      if (fitting < 0.8 * picked.length || apart < 0.8 * fitting) continue;
      found.push({
        id: pairId([view.id, order.id, "norm-block"].filter((id): id is string => !!id)),
        explains: fitting / heard,
        evidence: `${fitting} of ${heard} groups: each ${run} rotated values have a scale of their own${[view.note, order.note].map((n) => (n ? `; ${n}` : "")).join("")}`,
      });
      return found;
    }
  return found;
}

/** The scale of each run; undefined where values are not the codes' levels times one. */
function scalesOf(s: Search, y: Float64Array, z: Float64Array, run: number): number[] | undefined {
  const { boundaries, centroids, tieDown } = s.wire;
  const out: number[] = [];
  let off = 0;
  for (let from = 0; from < y.length; from += run) {
    let yc = 0;
    let cc = 0;
    let most = 0;
    const due = Float64Array.from(
      { length: run },
      (_, i) => centroids[cell(boundaries, z[from + i]!, tieDown)]!,
    );
    due.forEach((c, i) => {
      yc += y[from + i]! * c;
      cc += c * c;
      most = Math.max(most, Math.abs(y[from + i]!));
    });
    const scale = yc / cc;
    const strays = due.filter((c, i) => Math.abs(y[from + i]! - scale * c) > 2.2 * s.slack * most).length;
    // A code next to a boundary may be off; then so is the mean.
    if (strays > 0 && ++off > 0) return undefined;
    out.push(scale);
  }
  return out;
}
