/** Decoded values that point elsewhere than any known rotation would have them: another orthogonal matrix, alone or not. */
import { frequencies, tableOfFrequencies } from "../pipeline/code-histogram.js";
import { lengthOf } from "../pipeline/evidence.js";
import { discoverLevels, readLevels } from "../pipeline/levels.js";
import { evenly } from "../pipeline/table-fit.js";
import { candidateTables, misfit } from "../pipeline/tables.js";
import { type Reading, unknownRotation } from "../pipeline/unknown-rotation.js";
import { type Fault, faultCount, pairId } from "../verdict.js";
import { decodedNorms } from "./norms.js";
import type { Search } from "./search.js";

const UNKNOWN = "rotation-unknown";

/** y: groups, in the engine's own basis. */
export function turnedElsewhere(s: Search, y: readonly Float64Array[]): Fault[] {
  const { wire, picked, all } = s;
  if (related(s, 0, y)) return [];
  const read = readLevels(y, wire.centroids, (g) => all[0]!.groups.norm[g]!, s.slack);
  const readable = picked.filter((g) => read.codes[g]);
  if (readable.length > 0.8 * picked.length) {
    const elsewhere = all.filter((_, o) => !related(s, o, y));
    const readings: Reading[] = elsewhere.map((order) => ({
      ids: order.id ? [order.id] : [],
      note: order.note,
      mask: wire.centroids.length - 1,
      groups: readable
        .map((g) => ({
          norm: order.groups.norm[g]!,
          x: order.groups.x[g]!,
          codes: read.codes[g]!,
          stored: read.scale[g]! * (s.renormalising ? lengthOf(wire.centroids, read.codes[g]!) : 1),
        }))
        .filter((g) => g.norm > 1e-6),
    }));
    const found = unknownRotation(wire, readings, (cases) => decodedNorms(wire, cases, s.renormalising));
    if (found.length > 0) return found;
  }
  return [...ownTable(s, y), ...lengths(s, y)];
}

/** Values go with what is due under the right rotation. */
function related(s: Search, o: number, y: readonly Float64Array[]): boolean {
  let sum = 0;
  for (const g of s.picked) {
    const z = s.rotated(o, 0, g);
    let dot = 0;
    let size = 0;
    let due = 0;
    for (let i = 0; i < z.length; i++) {
      dot += z[i]! * y[g]![i]!;
      size += y[g]![i]! ** 2;
      due += z[i]! ** 2;
    }
    if (size > 0 && due > 0) sum += dot / Math.sqrt(size * due);
  }
  return Math.abs(sum) > 0.4 * s.picked.length;
}

/** Levels of the fork's own that the groups share. */
function ownTable(s: Search, y: readonly Float64Array[]): Fault[] {
  const { wire, picked, all } = s;
  const most = wire.centroids.length;
  const found = discoverLevels(y, all[0]!.groups.norm, picked, most, s.slack);
  if (!found || found.levels.length < most) return [];
  const codes = picked.flatMap((g) => found.codes[g] ?? []);
  const spread = tableOfFrequencies(wire, frequencies(codes, most));
  const off = found.levels.map((v, k) => Math.abs(v + found.levels[most - 1 - k]!));
  const top = Math.max(...found.levels.map(Math.abs));
  const known = candidateTables(wire)
    .map((t) => ({ t, off: misfit(t.centroids, found.levels) }))
    .filter((c) => c.off < 4e-3)
    .sort((a, b) => a.off - b.off)[0];
  const id = off.some((v) => v > 3e-3 * top)
    ? "codebook-order"
    : evenly(found.levels) && wire.bits > 2
      ? "codebook-uniform"
      : (known?.t.id ?? spread?.id);
  if (!id) return [];
  return lengths(s, y)
    .filter((f) => faultCount(f.id) === 1)
    .map((f) => ({
      ...f,
      id: pairId([UNKNOWN, id]),
      explains: 0.65,
      evidence: `${f.evidence}; levels ${known ? `are those of ${known.t.note}` : "are nobody's"}`,
    }));
}

/** Lengths are right, directions have nothing to do with what is due. */
function lengths(s: Search, y: readonly Float64Array[]): Fault[] {
  const { wire, picked } = s;
  const { groups } = s.all[0]!;
  const slack = wire.rule === "norm-matching" || s.renormalising ? 2e-3 : 0.25;
  const right = picked.filter((g) => Math.abs(lengthOf(y[g]!, indices(y[g]!)) / groups.norm[g]! - 1) < slack);
  if (right.length < 0.9 * picked.length) return [];
  return [
    {
      id: UNKNOWN,
      explains: 0.6,
      evidence: `${right.length} of ${picked.length} groups have the right length, and point elsewhere`,
    },
  ];
}

const indices = (y: Float64Array): Uint16Array => Uint16Array.from(y, (_, i) => i);
