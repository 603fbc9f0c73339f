/**
 * Faults of a one-bit sketch of the residual (QJL) in packed bytes: from the stored signs and residual norms, where norm
 * and codes of the vector are right, and beside a fault of these.
 */
import { fromF16, toF16 } from "../../core/float.js";
import { getF16 } from "../../core/little-endian.js";
import { halfSteps } from "../pipeline/evidence.js";
import type { Wire } from "../pipeline/wire.js";
import { type Fault, faultCount, pairId, ranked } from "../verdict.js";
import {
  type SketchedData,
  type SketchedGroup,
  sharedMatrices,
  signTolerance,
  sketchedGroup,
  times,
} from "./parts.js";

/** Groups that are looked at: one has 128 signs or so. */
const GROUPS = 40;
/** Signs that have to agree: single ones are rounding. */
const ALIKE = 0.995;
/** Residual norms that are a few steps off are another code's or another rounding's. */
const NEAR = 2e-3;

interface Group extends SketchedGroup {
  /** Byte offset. */
  readonly at: number;
}

/** What sketches of groups say: faults, and whether each has its rule. */
interface Judged {
  readonly ids: readonly string[];
  readonly notes: readonly string[];
  readonly certain: boolean;
}

/** source: bytes whose norms and codes the sketch is of. */
function groupsOf({ wire, x, ref }: SketchedData, source: Uint8Array): Group[] {
  const { dim, group, groups, groupBytes } = wire;
  const all = ref.length / groupBytes;
  const step = Math.max(1, Math.floor(all / (2 * GROUPS)));
  const out: Group[] = [];
  for (let g = 0; g < all && out.length < GROUPS; g += step) {
    if ((g % groups) * group + group > dim) continue;
    const at = g * groupBytes;
    const values = x.subarray(Math.floor(g / groups) * dim + (g % groups) * group);
    const made = sketchedGroup(wire, values.subarray(0, group), source, at);
    if (made && made.norm > 0 && new Set(values.subarray(0, group)).size > group / 4)
      out.push({ ...made, at });
  }
  return out;
}

const signsAt = (bytes: Uint8Array, at: number, rows: number): Int8Array =>
  Int8Array.from({ length: rows }, (_, j) => ((bytes[at + (j >> 3)]! >> (j & 7)) & 1 ? 1 : -1));

interface Way {
  readonly id?: string;
  readonly note: string;
}

const RESIDUALS: readonly (Way & { readonly of: (g: Group) => Float64Array })[] = [
  { note: "", of: (g) => g.residual },
  { id: "qjl-basis", note: "the residual is taken in the rotated basis", of: (g) => g.rotated },
  {
    id: "qjl-basis",
    note: "levels in the rotated basis are taken from a vector in the original one",
    of: (g) => g.mixed,
  },
];

const reversed = (j: number): number => (j & ~7) | (7 - (j & 7));
/** Which sign stands where: sign j is that of projection at(j). */
const MAPS: readonly (Way & { readonly by: 1 | -1; readonly at: (j: number) => number })[] = [
  { note: "", by: 1, at: (j) => j },
  { id: "pack-inverted", note: "the signs are inverted", by: -1, at: (j) => j },
  { id: "pack-msb-first", note: "signs of a byte in the opposite order", by: 1, at: reversed },
  { id: "pack-nibble-order", note: "nibbles of the signs exchanged", by: 1, at: (j) => j ^ 4 },
];

/** Every way to make signs, faults of one kind first. */
function wayOfSigns(
  data: SketchedData,
  groups: readonly Group[],
  given: readonly Int8Array[],
): { ids: string[]; notes: string[]; mixed: boolean } | undefined {
  const { matrix } = data.wire.sketch!;
  const matrices: (Way & { readonly m: ArrayLike<number>; readonly transposed: boolean })[] = [
    { note: "", m: matrix, transposed: false },
    { id: "qjl-transpose-missing", note: "Sᵀ in place of S", m: matrix, transposed: true },
    ...sharedMatrices(data).flatMap((m) =>
      [false, true].map((transposed) => ({
        id: transposed ? "qjl-seed-shared+qjl-transpose-missing" : "qjl-seed-shared",
        note: `S comes of the rotation's random numbers${transposed ? ", Sᵀ in place of S" : ""}`,
        m,
        transposed,
      })),
    ),
  ];
  const tolerance = signTolerance(data.wire);
  const projections = new Map<string, Float64Array>();
  for (const most of [0, 1, 2])
    for (const [r, residual] of RESIDUALS.entries())
      for (const [k, s] of matrices.entries())
        for (const map of MAPS) {
          if (faultCount(residual.id, s.id, map.id) !== most) continue;
          const alike = (g: number): boolean => {
            const key = `${r}:${k}:${g}`;
            let p = projections.get(key);
            if (!p) projections.set(key, (p = times(s.m, residual.of(groups[g]!), s.transposed)));
            let off = 0;
            for (let j = 0; j < p.length; j++) {
              const v = p[map.at(j)]! * map.by;
              if (Math.abs(v) > tolerance * groups[g]!.size && v < 0 !== given[g]![j]! < 0) off++;
            }
            return off <= (1 - ALIKE) * p.length;
          };
          if (!alike(0) && !alike(Math.min(1, groups.length - 1))) continue;
          const fitting = groups.filter((_, g) => alike(g)).length;
          if (fitting <= 0.9 * groups.length) continue;
          const ways = [residual, s, map];
          return {
            ids: ways.flatMap((w) => (w.id ? w.id.split("+") : [])),
            notes: ways.flatMap((w) => (w.note ? [w.note] : [])),
            mixed: r === 2,
          };
        }
  return undefined;
}

function judged(data: SketchedData, groups: readonly Group[], packed: Uint8Array): Judged {
  const sketch = data.wire.sketch!;
  const given = groups.map((g) => signsAt(packed, g.at + sketch.signsAt, sketch.rows));
  const ids: string[] = [];
  const notes: string[] = [];
  let certain = true;
  let due = (g: Group): number => g.norm;
  if (given.every((s) => s.every((v) => v === s[0]))) {
    ids.push("qjl-dead");
    notes.push("every sign is the same");
  } else {
    const way = wayOfSigns(data, groups, given);
    certain = way !== undefined;
    ids.push(...(way ? way.ids : ["qjl-projection-once"]));
    notes.push(...(way ? way.notes : ["signs of some other projection"]));
    // A residual that is another one has another norm.
    if (way?.mixed) due = (g) => Math.sqrt(g.mixed.reduce((sum, v) => sum + v * v, 0));
  }
  const stored = groups.map((g) => getF16(packed, g.at + sketch.normAt));
  const ratio = groups.map((g, i) => stored[i]! / due(g));
  const off = ratio.filter((v) => !(Math.abs(v - 1) <= NEAR)).length;
  if (off > 0.5 * groups.length) {
    const swap = (v: number): number => fromF16(((toF16(v) & 255) << 8) | (toF16(v) >> 8));
    const back = groups.map((g, i) => swap(stored[i]!) / due(g));
    const right = back.filter((v) => Math.abs(v - 1) <= NEAR).length > 0.9 * groups.length;
    const wild = spread(ratio) > 1 && spread(back) < 0.3 * spread(ratio);
    if (right || wild) ids.push("endian-norm");
    if (!right) ids.push("qjl-norm");
    notes.push(`${Math.round((100 * off) / groups.length)} % of residual norms are others`);
  }
  return { ids, notes, certain };
}

/** Of logarithms, between the tenths. */
function spread(ratios: readonly number[]): number {
  const logs = ratios.map((v) => Math.log(Math.abs(v) || 1e-9)).sort((a, b) => a - b);
  const at = (share: number): number => logs[Math.floor(share * (logs.length - 1))]!;
  const wide = at(0.9) - at(0.1);
  return Number.isFinite(wide) ? wide : 99;
}

/** Norms and codes are right: what is wrong with the sketch. packed: as long as the format's own bytes. */
export function sketchFaults(data: SketchedData, packed: Uint8Array): Fault[] {
  const { wire, ref } = data;
  const groups = groupsOf(data, ref);
  const clean = groups.filter((g) => !differs(wire, ref, packed, g.at));
  if (groups.length === 0 || clean.length < 0.9 * groups.length) return [];
  const { ids, notes, certain } = judged(data, clean, packed);
  if (ids.length === 0 || ids.length > 2) return [];
  const explains = certain ? 1 : 0.9;
  return [{ id: pairId(ids), explains, evidence: `norms and codes are right; ${notes.join("; ")}` }];
}

/**
 * Faults of norms and codes, with one of the sketch where it is not that of the bytes' own codes, nor of the right ones.
 */
export function besideSketch(data: SketchedData, packed: Uint8Array, named: readonly Fault[]): Fault[] {
  // Least squares takes ⟨z,c⟩, of which an unknown rotation tells nothing: no other rule shows there.
  const codec = named.map((f) =>
    f.id === "rotation-unknown+scale-rule" && data.wire.rule === "least-squares"
      ? { ...f, id: "rotation-unknown" }
      : f,
  );
  let beside: Judged | undefined;
  for (const source of [packed, data.ref]) {
    const groups = groupsOf(data, source);
    if (groups.length === 0) return [...codec];
    const found = judged(data, groups, packed);
    if (found.ids.length === 0) return [...codec];
    if (found.certain && found.ids.length === 1) beside ??= found;
  }
  if (!beside) return [...codec];
  const [id] = beside.ids;
  const pairs = codec.flatMap((f) =>
    faultCount(f.id) === 1 && f.id !== id
      ? [{ ...f, id: pairId([f.id, id!]), evidence: `${f.evidence}; ${beside.notes.join("; ")}` }]
      : [],
  );
  return ranked([...pairs, ...codec.map((f) => ({ ...f, explains: f.explains - 0.2 }))]);
}

/** Whether norm or codes of a group are others. */
function differs(wire: Wire, ref: Uint8Array, packed: Uint8Array, at: number): boolean {
  const { normAt, signsAt: end } = wire.sketch!;
  for (let b = 0; b < end; b++) {
    if (b >= normAt && b < normAt + 2) continue;
    if (ref[at + b] === packed[at + b]) continue;
    const norm = wire.normAt[0]!;
    if (b >= norm && b < norm + 2 && halfSteps(getF16(ref, at + norm), getF16(packed, at + norm)) <= 1)
      continue;
    return true;
  }
  return false;
}
