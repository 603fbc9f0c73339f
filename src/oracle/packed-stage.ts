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
  transformed,
} from "./evidence.js";
import { maskAt, type Packing, readCodes } from "./layouts.js";
import type { NormSample } from "./norm-fit.js";
import { joined, looseVerdicts, type NormCase, sizedVerdicts } from "./norms.js";
import type { Table } from "./tables.js";
import { namesOf, type Transform } from "./transforms.js";
import type { Fault } from "./verdict.js";
import type { Wire } from "./wire.js";

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

/** The transpositions [tokens, heads] ↔ [heads, tokens] that n vectors allow. */
export function orders(wire: Wire, x: Float32Array): Order[] {
  const n = x.length / wire.dim;
  const out: Order[] = [{ note: "", groups: groupsOf(wire, x) }];
  for (let h = 2; h <= n / 2; h++) {
    if (n % h !== 0) continue;
    const tokens = n / h;
    out.push({
      id: "stride-head",
      note: `${h} heads and ${tokens} tokens exchanged`,
      groups: groupsOf(wire, x, (i) => (i % tokens) * h + Math.floor(i / tokens)),
    });
  }
  return out;
}

export const codesAt = (s: { packing: Packing }, wire: Wire, packed: Uint8Array, g: number): Uint8Array => {
  const codes = new Uint8Array(wire.group);
  readCodes(packed, g * s.packing.groupBytes, s.packing.layout, wire.bits, s.packing.flip, codes);
  return codes;
};

/** How much of everything a stage explains with each norm rule. */
export function withNorms(wire: Wire, s: Stage, packed: Uint8Array, table?: Table): Fault[] {
  const { boundaries, centroids, relabel, estimate } = {
    relabel: undefined,
    estimate: undefined,
    ...(table ?? wire),
  };
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
  const cases: NormCase[] = [];
  const masked: NormCase[] = [];
  const chosenCodes: Uint8Array[] = [];
  for (let g = 0; g < groups.count; g++) {
    const codes = codesAt(s, wire, packed, g);
    let good = 0;
    const full = new Uint8Array(wire.group);
    for (let i = 0; i < codes.length; i++) {
      const level = cell(boundaries, z[g]![i]!, wire.tieDown);
      const k = relabel ? relabel[level]! : level;
      full[i] = k;
      const near =
        s.transform.id || table || s.packing.id || s.order.id
          ? SLACK * Math.max(1, s.transform.gain ?? 1)
          : 1e-6 + NOISE;
      const mask = maskAt(s.packing, i);
      if ((k & mask) === codes[i]!) good++;
      else if (
        relabel
          ? distance(boundaries, z[g]![i]!, relabel.indexOf(codes[i]!)) <= near
          : mask === top && distance(boundaries, z[g]![i]!, codes[i]!) <= near
      ) {
        full[i] = codes[i]!;
        good++;
      }
    }
    codesFit[g] = good === codes.length || !Number.isFinite(groups.norm[g]!) ? 1 : 0;
    const at = g * s.packing.groupBytes + s.packing.normAt[0]!;
    const stored = readNorm(wire, packed, at, s.packing.swapNorm);
    const make = (chosen: ArrayLike<number>): NormCase => {
      let inner = 0;
      for (let i = 0; i < chosen.length; i++) inner += exactZ[g]![i]! * centroids[chosen[i]!]!;
      return { norm: groups.norm[g]!, chosen: lengthOf(centroids, chosen), inner, stored, x: groups.x[g]! };
    };
    cases.push(make(full));
    chosenCodes.push(full);
    if (s.packing.mask !== top) masked.push(make(codes));
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
  const notes = [table?.note ?? "", s.order.note, s.packing.note, s.transform.note]
    .filter((n) => n)
    .join("; ");
  const out: Fault[] = [];
  const wide = wire.normBytes === 4;
  const score = (list: readonly NormCase[], names: readonly string[], less = 0): void => {
    const rules =
      estimate === "shape"
        ? looseVerdicts(wire.rule, list, wide, wire.group, list === cases ? samples : undefined)
        : sizedVerdicts(wire.rule, list, wide, wire.group, estimate !== undefined);
    for (const rule of rules.slice(0, 3)) {
      if (rule.open && names.length > 1) continue;
      if (s.transform.gain && rule.id === "rotation-scale") continue; // together they are a table of another size
      const id = joined(names, rule.id);
      if (names.length === 0 && !rule.id) continue;
      if (id.split("+").length > 2) continue;
      let both = 0;
      for (let g = 0; g < groups.count; g++) both += codesFit[g]! & rule.fits[g]!;
      out.push({
        id,
        explains: (rule.open ? 0.85 : 1) * (both / groups.count) - less,
        evidence: `${both} of ${groups.count} groups: ${[notes, rule.note].filter((n) => n).join("; ")}`,
      });
    }
  };
  const others = [s.order.id, s.packing.id, table?.id];
  for (const [i, turn] of namesOf(s.transform, wire, wire.rule !== "raw").entries()) {
    const ids = [...others, turn].filter((id): id is string => !!id);
    score(cases, ids, 0.01 * i);
    if (masked.length > 0 && s.packing.id === "pack-plane-missing")
      score(
        masked,
        ids.map((id) => (id === "pack-plane-missing" ? "codebook-truncated" : id)),
        -0.01,
      );
  }
  return out;
}
