/** One way to read packed bytes: order, packing and transform; and how much of everything it explains with each norm rule. */
import {
  cell,
  distance,
  type Groups,
  generic,
  groupsOf,
  lengthOf,
  NOISE,
  readNorm,
  reordered,
  transformed,
} from "../pipeline/evidence.js";
import { maskAt, type Packing, readCodes } from "../pipeline/layouts.js";
import type { NormSample } from "../pipeline/norm-fit.js";
import { joined, looseVerdicts, type NormCase, sizedVerdicts } from "../pipeline/norms.js";
import type { Table } from "../pipeline/tables.js";
import { namesOf, type Transform } from "../pipeline/transforms.js";
import type { Wire } from "../pipeline/wire.js";
import { type Fault, pairId } from "../verdict.js";

/** How far from a boundary codes of a hypothesis may be wrong, in group norms. */
export const SLACK = 1e-5;

export interface Order {
  readonly id?: string;
  readonly note: string;
  readonly groups: Groups;
}

export interface Stage {
  readonly order: Order;
  readonly packing: Packing;
  readonly transform: Transform;
}

/** Heads that run together: groups cross from one to the next; padded: the last one is filled up. */
export function runTogether(wire: Wire, x: Float32Array, padded: boolean): Order {
  const count = padded ? Math.ceil(x.length / wire.group) : Math.floor(x.length / wire.group);
  const all = new Float32Array(count * wire.group);
  all.set(x.subarray(0, all.length));
  return {
    id: "pad-missing",
    note: "heads run together, groups cross from one head to the next",
    groups: groupsOf({ ...wire, dim: wire.group, groups: 1 }, all),
  };
}

/** The transpositions [tokens, heads] ↔ [heads, tokens] that n vectors allow. kept: vectors that are there (default: all). */
export function orders(wire: Wire, x: Float32Array, kept?: number): Order[] {
  const all = transpositions(wire, x);
  if (kept === undefined) return all;
  const count = kept * wire.groups;
  return all.map(({ id, note, groups }) => ({
    id: pairId(["pack-tail-dropped", ...(id ? [id] : [])]),
    note: [note, `nothing is written from vector ${kept} on`].filter((s) => s).join("; "),
    groups: { ...groups, count, x: groups.x.slice(0, count), norm: groups.norm.slice(0, count) },
  }));
}

function transpositions(wire: Wire, x: Float32Array): Order[] {
  const n = x.length / wire.dim;
  const own = groupsOf(wire, x);
  const out: Order[] = [{ note: "", groups: own }];
  for (let h = 2; h <= n / 2; h++) {
    if (n % h !== 0) continue;
    const tokens = n / h;
    out.push({
      id: "stride-head",
      note: `${h} heads and ${tokens} tokens exchanged`,
      groups: reordered(own, (i) => (i % tokens) * h + Math.floor(i / tokens)),
    });
  }
  return out;
}

export const codesAt = (s: { packing: Packing }, wire: Wire, packed: Uint8Array, g: number): Uint8Array => {
  const codes = new Uint8Array(wire.group);
  readCodes(packed, g * s.packing.groupBytes, s.packing.layout, wire.bits, s.packing.flip, codes);
  return codes;
};

/** What a group's codes are under a table: levels, and whether every code is one that its value can have. */
interface Chosen {
  readonly levels: Uint8Array;
  readonly fits: boolean;
}

/** rough: how far values may be from what they were, of a vector of unit length. */
function chosenOf(
  s: Stage,
  t: Pick<Table, "boundaries" | "relabel" | "merged">,
  z: Float64Array,
  codes: Uint8Array,
  near: number,
  tieDown: boolean,
): Chosen {
  const map = t.merged ?? t.relabel;
  const levels = new Uint8Array(codes.length);
  let good = 0;
  for (let i = 0; i < codes.length; i++) {
    const mask = maskAt(s.packing, i);
    const written = (level: number): number => (map ? map[level]! : level) & mask;
    let level = cell(t.boundaries, z[i]!, tieDown);
    if (written(level) !== codes[i]!) {
      let off = near;
      let other = -1;
      // Only next to it: a value that is near a boundary may have crossed it.
      for (const k of [level - 1, level + 1, level - 2, level + 2]) {
        if (k < 0 || k > t.boundaries.length || written(k) !== codes[i]!) continue;
        const d = distance(t.boundaries, z[i]!, k);
        if (d <= off) [off, other] = [d, k];
      }
      if (other >= 0) level = other;
      else good--;
    }
    good++;
    levels[i] = level;
  }
  return { levels, fits: good === codes.length };
}

/** Whether a table explains the codes of most of a few groups: what it does not, is not looked at further. */
export function fitsSome(
  wire: Wire,
  s: Stage,
  packed: Uint8Array,
  table: Table,
  few: readonly number[],
  rough: number,
): boolean {
  const z = new Float64Array(wire.group);
  let good = 0;
  for (const g of few) {
    s.transform.run(s.order.groups.x[g]!, s.order.groups.norm[g]!, z);
    if (
      chosenOf(
        s,
        table,
        z,
        codesAt(s, wire, packed, g),
        rough ? rough * lengthOfVector(z) : SLACK,
        wire.tieDown,
      ).fits
    )
      good++;
  }
  return 2 * good > few.length;
}

const lengthOfVector = (z: Float64Array): number => Math.sqrt(z.reduce((sum, v) => sum + v * v, 0));

/** What codes explain alone, where no rule made the norms. */
const CODES_ALONE = 0.55;
/** What explains as much with less freedom is likelier: values of many digits, a table that is known. */
const LAXITY = { rough: 0.0015, sized: 0.004, fitted: 0.015 };

/**
 * How much of everything a stage explains with each norm rule; where none made the norms, with their bytes exchanged.
 * table: another than the format's; its id may be empty.
 */
export function withNorms(wire: Wire, s: Stage, packed: Uint8Array, table?: Table, rough = 0): Fault[] {
  const found = normsOf(wire, s, packed, table, rough);
  const { packing } = s;
  if (!packing.id || packing.swapNorm || packing.id.includes("+") || wire.normBytes !== 2) return found;
  if (found.length === 0 || found.some((f) => f.explains > CODES_ALONE + 0.02)) return found;
  const swapped = {
    ...packing,
    id: pairId([packing.id, "endian-norm"]),
    note: `${packing.note}; the norm's bytes are exchanged`,
    swapNorm: true,
  };
  return [...found, ...normsOf(wire, { ...s, packing: swapped }, packed, table, rough)];
}

function normsOf(wire: Wire, s: Stage, packed: Uint8Array, table: Table | undefined, rough: number): Fault[] {
  const t: Pick<Table, "boundaries" | "centroids" | "relabel" | "merged" | "estimate"> = table ?? wire;
  const { centroids, estimate } = t;
  const top = 2 ** wire.bits - 1;
  const { groups } = s.order;
  const z = transformed(groups, s.transform);
  const exactZ = s.transform.id
    ? z.map((v, i) =>
        s.transform.gain
          ? v.map((w) => w / s.transform.gain!)
          : groups.norm[i]! > 0 && s.transform.id?.includes("norm-missing")
            ? v.map((w) => w / groups.norm[i]!)
            : v,
      )
    : z;
  const codesFit = new Uint8Array(groups.count);
  /** Norms of the chosen levels; of the levels that are written; of what was compared, where it was not of unit length. */
  const [cases, masked, unscaled]: [NormCase[], NormCase[], NormCase[]] = [[], [], []];
  const chosenCodes: Uint8Array[] = [];
  const plain = !(s.transform.id || table?.id || s.packing.id || s.order.id);
  for (let g = 0; g < groups.count; g++) {
    const codes = codesAt(s, wire, packed, g);
    const near = rough
      ? rough * lengthOfVector(z[g]!)
      : plain
        ? 1e-6 + NOISE
        : SLACK * Math.max(1, s.transform.gain ?? 1);
    const { levels, fits } = chosenOf(s, t, z[g]!, codes, near, wire.tieDown);
    codesFit[g] = fits || !Number.isFinite(groups.norm[g]!) ? 1 : 0;
    const at = g * s.packing.groupBytes + s.packing.normAt[0]!;
    const stored = readNorm(wire, packed, at, s.packing.swapNorm);
    const make = (chosen: ArrayLike<number>, values: Float64Array): NormCase => {
      let inner = 0;
      for (let i = 0; i < chosen.length; i++) inner += values[i]! * centroids[chosen[i]!]!;
      return { norm: groups.norm[g]!, chosen: lengthOf(centroids, chosen), inner, stored, x: groups.x[g]! };
    };
    const full = t.relabel ? levels.map((k) => t.relabel![k]!) : levels;
    cases.push(make(full, exactZ[g]!));
    chosenCodes.push(full);
    if (s.packing.mask !== top || (t.merged && estimate !== "shape")) masked.push(make(codes, exactZ[g]!));
    if (exactZ[g] !== z[g] && wire.rule !== "raw") unscaled.push(make(full, z[g]!));
  }
  const samples = (): NormSample[] =>
    generic(groups, 240).map((g) => {
      const counts = new Float64Array(centroids.length);
      const sums = new Float64Array(centroids.length);
      chosenCodes[g]!.forEach((k, i) => {
        counts[k]!++;
        sums[k]! += exactZ[g]![i]!;
      });
      const { norm, x, stored } = cases[g]!;
      return { norm, x, stored, counts, sums };
    });
  const notes = [
    table?.note ?? "",
    s.order.note,
    s.packing.note,
    s.transform.note,
    rough ? "codes next to boundaries are off to both sides: rotated in half precision" : "",
  ]
    .filter((n) => n)
    .join("; ");
  const out: Fault[] = [];
  const wide = wire.normBytes === 4;
  const score = (list: readonly NormCase[], names: readonly string[], less = 0): void => {
    const rules =
      estimate === "shape"
        ? looseVerdicts(wire.rule, list, wide, wire.group, list === cases ? samples : undefined)
        : sizedVerdicts(wire.rule, list, wide, wire.group, estimate !== undefined);
    if (rules.length === 0 && names.length > 0) {
      let good = 0;
      for (const fits of codesFit) good += fits;
      const explains = CODES_ALONE * (good / groups.count) - less;
      if (good > 0.7 * groups.count && !s.packing.swapNorm)
        out.push({
          id: pairId(names),
          explains,
          evidence: `${good} of ${groups.count} groups by their codes: ${notes}; their norms are of no rule that is known`,
        });
    }
    for (const rule of rules.slice(0, 3)) {
      if (rule.open && names.length > 1) continue;
      if (s.transform.gain && rule.gain) continue; // together they are a table of another size
      const id = joined(names, rule.id);
      if (names.length === 0 && !rule.id) continue;
      if (id.split("+").length > 2) continue;
      let both = 0;
      for (let g = 0; g < groups.count; g++) both += codesFit[g]! & rule.fits[g]!;
      out.push({
        id,
        explains:
          (rule.open ? 0.85 : 1) * (both / groups.count) -
          less -
          (table?.doubt ?? 0) -
          (rough ? LAXITY.rough : 0) -
          (rule.sized ? LAXITY.sized : 0) -
          (estimate === "shape" && !rule.open ? LAXITY.fitted : 0),
        evidence: `${both} of ${groups.count} groups: ${[notes, rule.note].filter((n) => n).join("; ")}`,
      });
    }
  };
  const others = [s.order.id, s.packing.id, table?.id, rough ? "rotation-f16" : undefined];
  for (const [i, turn] of namesOf(s.transform, wire, wire.rule !== "raw").entries()) {
    const ids = [...others, turn].filter((id): id is string => !!id).flatMap((id) => id.split("+"));
    score(cases, ids, 0.01 * i);
    if (unscaled.length > 0) score(unscaled, ids, 0.01 * i + 0.001);
    if (masked.length > 0)
      score(
        masked,
        ids.map((id) => (id === "pack-plane-missing" ? "codebook-truncated" : id)),
        ids.includes("pack-plane-missing") ? -0.01 : 0.001,
      );
  }
  return out;
}
