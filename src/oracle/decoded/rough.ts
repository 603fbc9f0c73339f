/**
 * A rotation in half precision beside another fault: codes are those of the front but next to a boundary, where they are
 * off to either side.
 */

import { cell } from "../pipeline/evidence.js";
import { discoverLevels } from "../pipeline/levels.js";
import { stepsOf } from "../pipeline/steps.js";
import { type Fault, faultCount } from "../verdict.js";
import { heard } from "./fronts.js";
import { nameFront } from "./naming.js";
import { type Parts, partsOf, peak } from "./parts.js";
import { spreadOut, tablesOf } from "./quantiser.js";
import type { Search, View } from "./search.js";

const ROUGH = "rotation-f16";
/** How near to a boundary, in deviations of a coordinate: what seven butterflies in halves leave at most. */
const NEAR = 0.03;
/** Share of the codes that may be off, and that have to be. */
const SHARE = { most: 0.12, least: 3e-4 };

/** Scales are judged where no code is off. */
const exactly = (parts: Parts): Parts => ({
  ...parts,
  off: 0,
  fitting: parts.clean.length >= 8 ? parts.clean : parts.fitting,
});

export function fromRough(s: Search, view: View): Fault[] {
  return [...roughFronts(s, view), ...roughQuantiser(s, view)];
}

/** Under the format's own table. */
function roughFronts(s: Search, view: View): Fault[] {
  const { wire, all, transforms, reads } = s;
  const found: Fault[] = [];
  const { boundaries, centroids } = wire;
  for (const [o, order] of all.entries())
    for (const [t, transform] of transforms.entries()) {
      if (transform.id && !transform.id.startsWith("norm-")) continue;
      if (faultCount(view.id, order.id, transform.id, ROUGH) > 2) continue;
      for (const reading of reads) {
        const ids = [view.id, order.id, transform.id, reading.id, ROUGH].filter((id): id is string => !!id);
        if (faultCount(...ids) > 2 || s.budget.spent()) continue;
        const codes = (g: number): Uint8Array =>
          reading.map(Uint8Array.from(s.rotated(o, t, g), (v) => cell(boundaries, v, wire.tieDown)));
        const few = partsOf(view.y, codes, s.picked.slice(0, 6), centroids.length, s.slack);
        if (!few || few.off > SHARE.most) continue;
        const parts = partsOf(view.y, codes, s.picked, centroids.length, s.slack);
        if (!parts || parts.off > SHARE.most || parts.off < SHARE.least) continue;
        if (!reading.id && !besideBoundaries(s, view, o, t, parts)) continue;
        const share = parts.fitting.length / heard(view, s.picked);
        const notes = [view.note, order.note, transform.note, reading.note, "the rotation in half precision"];
        const front = { ids, notes, o, t, boundaries, centroids, relabels: reading.relabels === true };
        found.push(...nameFront(s, front, view.y, exactly(parts), share));
      }
    }
  return found;
}

/** Values that are not their code's lie next to a boundary. */
function besideBoundaries(s: Search, view: View, o: number, t: number, parts: Parts): boolean {
  const { boundaries, tieDown } = s.wire;
  let far = 0;
  let off = 0;
  for (const g of parts.fitting) {
    const z = s.rotated(o, t, g);
    const size = Math.sqrt(z.reduce((sum, v) => sum + v * v, 0));
    const limit = (NEAR * size) / Math.sqrt(z.length);
    const slack = 2.2 * s.slack * peak(view.y[g]!);
    for (let i = 0; i < z.length; i++) {
      const due = parts.scale[g]! * parts.levels[cell(boundaries, z[i]!, tieDown)]!;
      if (Math.abs(view.y[g]![i]! - due) <= slack) continue;
      off++;
      if (!boundaries.some((b) => Math.abs(z[i]! - b) < limit)) far++;
    }
  }
  return far <= 0.02 * off;
}

/** Under a table of the fork's own: the levels that the groups share are its codes. */
function roughQuantiser(s: Search, view: View): Fault[] {
  const { wire, all, picked } = s;
  if (view.id) return [];
  const most = 2 ** wire.bits;
  const z = (g: number): Float64Array => s.rotated(0, 0, g);
  const upright = view.y.map((values, g) => {
    if (!picked.includes(g)) return values;
    const due = z(g);
    return values.reduce((sum, v, i) => sum + v * due[i]!, 0) < 0 ? values.map((v) => -v) : values;
  });
  const found = discoverLevels(upright, all[0]!.groups.norm, picked, most, s.slack);
  if (!found) return [];
  const groups = picked.filter((g) => found.codes[g]);
  const limit = NEAR / Math.sqrt(wire.group);
  const zs = Float64Array.from(groups.flatMap((g) => Array.from(z(g))));
  const ks = Uint8Array.from(groups.flatMap((g) => Array.from(found.codes[g]!)));
  const steps = stepsOf(zs, ks, most, limit);
  const off = (steps.up + steps.down) / steps.total;
  if (steps.cells.length < 2 || steps.far > 2e-3 * steps.total || off > SHARE.most || off < SHARE.least)
    return [];
  const about = limit / 4;
  const middles = Float64Array.from(steps.cells.slice(1), (c, i) => (c.low + steps.cells[i]!.high) / 2);
  const spread = spreadOut({ low: middles.map((m) => m - about), high: middles.map((m) => m + about) }, most);
  const boundaries = spread.low.map((v, i) => (Math.abs(v) > 1e8 ? v : (v + spread.high[i]!) / 2));
  const codes = (g: number): Uint8Array => Uint8Array.from(z(g), (v) => cell(boundaries, v));
  const parts = partsOf(view.y, codes, picked, most, s.slack);
  if (!parts) return [];
  const share = parts.fitting.length / heard(view, picked);
  return tablesOf(s, spread, codes, z, parts.fitting, parts.levels).flatMap((table, rank) =>
    table.id
      ? nameFront(
          s,
          {
            ids: [ROUGH],
            notes: ["the rotation in half precision", table.note],
            o: 0,
            t: 0,
            boundaries: table.boundaries,
            centroids: table.centroids,
            tableId: table.id,
            estimate: table.estimate !== undefined,
            less: 0.002 + 0.001 * rank,
          },
          view.y,
          exactly(parts),
          share,
        )
      : [],
  );
}
