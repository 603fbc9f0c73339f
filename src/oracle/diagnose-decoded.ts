/**
 * Diagnosis of decoded values of a rotating format, brought to the rotated basis: y = scale · c[code]. A direction
 * decides transform, reading of the codes and table; the length decides the norm.
 */
import { fromF16, toF16 } from "../core/float.js";
import { orders } from "./diagnose-packed.js";
import { cell, generic, lengthOf } from "./evidence.js";
import { packingFaults, readCodes } from "./layouts.js";
import { type NormCase, normVerdicts } from "./norms.js";
import { fittedTables } from "./table-fit.js";
import { knownTables, type Table } from "./tables.js";
import { type Transform, transformFaults, trueTransform } from "./transforms.js";
import { type Fault, pairId, ranked } from "./verdict.js";
import type { Wire } from "./wire.js";

/** How the decoder reads codes: map of code vectors. */
interface Reading {
  readonly id: string;
  readonly note: string;
  map(codes: Uint8Array): Uint8Array;
}

function readings(wire: Wire): Reading[] {
  const { bits, group, layout } = wire;
  const out: Reading[] = [{ id: "", note: "", map: (c) => c }];
  const bytes = new Uint8Array(4 * Math.max(wire.groupBytes, group + 64));
  const write = (codes: Uint8Array, map: Int32Array, flip: number, mask: number): void => {
    bytes.fill(0);
    for (let i = 0, k = 0; i < group; i++)
      for (let b = 0; b < bits; b++, k++)
        if ((((codes[i]! ^ flip) & mask) >> b) & 1) bytes[map[k]! >> 3]! |= 1 << (map[k]! & 7);
  };
  for (const p of packingFaults(wire)) {
    if (p.swapNorm) continue;
    if (p.groupBytes !== wire.groupBytes) continue;
    out.push({
      id: p.id,
      note: `read: ${p.note}`,
      map(codes) {
        const got = new Uint8Array(group);
        write(codes, layout, 0, 2 ** bits - 1);
        readCodes(bytes, 0, p.layout, bits, p.flip, got);
        return p.mask === 2 ** bits - 1 ? got : got.map((c) => c & p.mask);
      },
    });
    if (p.mask === 2 ** bits - 1 && p.flip === 0)
      out.push({
        id: p.id,
        note: `written: ${p.note}`,
        map(codes) {
          const got = new Uint8Array(group);
          write(codes, p.layout, 0, 2 ** bits - 1);
          readCodes(bytes, 0, layout, bits, 0, got);
          return got;
        },
      });
  }
  if (bits > 1) {
    const half = 2 ** (bits - 1) - 1;
    out.push({ id: "codebook-truncated", note: `codes read & ${half}`, map: (c) => c.map((k) => k & half) });
    out.push({ id: "pack-zero", note: "every code is zero", map: (c) => new Uint8Array(c.length) });
    for (const lost of new Set([wire.groupBytes >> 1, wire.groupBytes >> 2, 16, 8, 4, 2, 1]))
      out.push({
        id: "pack-tail-dropped",
        note: `the last ${lost} bytes of every block are zero`,
        map(codes) {
          const got = new Uint8Array(group);
          write(codes, layout, 0, 2 ** bits - 1);
          bytes.fill(0, wire.groupBytes - lost);
          readCodes(bytes, 0, layout, bits, 0, got);
          return got;
        },
      });
    out.push({
      id: "pack-tail-dropped",
      note: "the second half of the codes is zero",
      map: (c) => c.map((k, i) => (i < c.length / 2 ? k : 0)),
    });
  }
  const probe = Uint8Array.from({ length: group }, (_, i) => (i * 7 + (i >> 3)) % 2 ** bits);
  return out.filter((r) => r.id === "" || r.map(probe.slice()).some((c, i) => c !== probe[i]));
}

const cosine = (y: Float64Array, table: Float64Array, codes: Uint8Array): number => {
  let yc = 0;
  let yy = 0;
  let cc = 0;
  for (let i = 0; i < y.length; i++) {
    const c = table[codes[i]!]!;
    yc += y[i]! * c;
    yy += y[i]! * y[i]!;
    cc += c * c;
  }
  return yc / Math.sqrt(yy * cc);
};

/** rotated: the engine's values stay rotated. */
export function diagnoseDecoded(
  wire: Wire,
  rotated: boolean,
  x: Float32Array,
  decoded: Float32Array,
): Fault[] {
  const found: Fault[] = [];
  const limit = wire.name.startsWith("vllm") ? 1 - 3e-4 : 1 - 2e-6;
  const transforms = [trueTransform(wire), ...transformFaults(wire)];
  const groupCount = (x.length / wire.dim) * wire.groups;
  const raw = Array.from({ length: groupCount }, (_, g) => {
    const y = new Float64Array(wire.group);
    for (let i = 0; i < wire.group; i++) y[i] = decoded[g * wire.group + i] ?? 0;
    return y;
  });
  const viewOf = (t: Transform | undefined): Float64Array[] =>
    raw.map((y) => {
      const z = new Float64Array(y.length);
      if (t) t.run(y, 1, z);
      else z.set(y);
      return z;
    });
  const views: { id: string; note: string; y: Float64Array[]; transform?: Transform }[] = rotated
    ? [{ id: "", note: "", y: raw }]
    : [
        { id: "", note: "", y: viewOf(trueTransform(wire)) },
        { id: "test-basis", note: "values are still rotated", y: raw },
        ...transforms
          .filter((t) =>
            [
              "rotation-unsigned",
              "rotation-signs-swapped",
              "rotation-signs-after",
              "rotation-transposed",
              "rotation-dense-vs-wht",
            ].includes(t.id ?? ""),
          )
          .map((t) => ({ id: t.id!, note: `un-rotated: ${t.note}`, y: viewOf(t), transform: t })),
      ];
  const all = orders(wire, x);
  const sample = generic(all[0]!.groups, 6);
  const tables: (Table | undefined)[] = [undefined, ...knownTables(wire).filter((t) => differs(wire, t))];
  const reads = readings(wire);
  // Single faults first: pairs only when none of them explains nearly everything.
  for (const pairs of [false, true]) {
    if (pairs && found.some((f) => f.id !== "" && f.explains > 0.97)) break;
    for (const view of views)
      for (const order of all)
        for (const transform of transforms) {
          const both = view.transform && transform.id === view.transform.id;
          const before = [view.id, order.id ?? "", both ? "" : (transform.id ?? "")].filter((i) => i);
          if (before.length > (pairs ? 2 : 1)) continue;
          const zs = sample.map((g) => {
            const z = new Float64Array(wire.group);
            transform.run(order.groups.x[g]!, order.groups.norm[g]!, z);
            return z;
          });
          const codes = zs.map((z) => Uint8Array.from(z, (v) => cell(wire.boundaries, v, wire.tieDown)));
          for (const reading of reads)
            for (const table of before.length + (reading.id ? 1 : 0) < 2 ? tables : [undefined]) {
              const ids = [...before, reading.id, table?.id ?? ""].filter((i) => i);
              if (ids.length > 2 || ids.length > 1 !== pairs) continue;
              const values = table?.centroids ?? wire.centroids;
              const least = transform.inexact ? 0.99 : limit;
              let sum = 0;
              let ok = true;
              for (let k = 0; k < sample.length && ok; k++) {
                const c = cosine(view.y[sample[k]!]!, values, reading.map(codes[k]!));
                const agrees = Number.isFinite(c) ? Math.abs(c) : 1;
                sum += agrees;
                ok = agrees > least - 0.01;
              }
              if (!ok || !(sum / sample.length > least)) continue;
              found.push(
                ...confirm(
                  wire,
                  view.y,
                  order.groups,
                  transform,
                  reading,
                  values,
                  ids,
                  [view.note, order.note, transform.note, reading.note, table?.note ?? ""],
                  limit,
                ),
              );
            }
        }
  }
  if (found.some((f) => f.id !== "" && f.explains > 0.97)) return ranked(found.filter((f) => f.id !== ""));
  for (const view of views)
    for (const order of all)
      for (const transform of transforms) {
        if (
          [view.id, order.id, transform.id].filter((i) => i).length > 1 ||
          transform.inexact ||
          transform.gain
        )
          continue;
        found.push(
          ...tableOf(
            wire,
            view.y,
            order.groups,
            transform,
            [view.id, order.id ?? "", transform.id ?? ""].filter((i) => i),
          ),
        );
      }
  const named = found.filter((f) => f.id !== "");
  if (named.some((f) => f.explains > 0.5)) return ranked(named);
  return ranked([...named, ...otherRotation(wire, all[0]!.groups, views[0]!.y)]);
}

function confirm(
  wire: Wire,
  y: readonly Float64Array[],
  groups: ReturnType<typeof orders>[number]["groups"],
  transform: Transform,
  reading: Reading,
  table: Float64Array,
  ids: readonly string[],
  notes: readonly string[],
  limit: number,
): Fault[] {
  const fits = new Uint8Array(groups.count);
  const cases: NormCase[] = [];
  const index: number[] = [];
  for (let g = 0; g < groups.count; g++) {
    const z = new Float64Array(wire.group);
    transform.run(groups.x[g]!, groups.norm[g]!, z);
    const codes = Uint8Array.from(z, (v) => cell(wire.boundaries, v, wire.tieDown));
    const read = reading.map(codes);
    const length = Math.sqrt(y[g]!.reduce((sum, v) => sum + v * v, 0));
    const c = lengthOf(table, read);
    if (!(groups.norm[g]! > 1e-9) || !Number.isFinite(length) || length === 0 || c === 0) {
      fits[g] = 1;
      continue;
    }
    const agrees = cosine(y[g]!, table, read);
    if (!(Math.abs(agrees) > limit)) continue;
    fits[g] = 1;
    let inner = 0;
    for (let i = 0; i < z.length; i++) inner += (z[i]! / (transform.gain ?? 1)) * wire.centroids[codes[i]!]!;
    index.push(g);
    cases.push({
      norm: groups.norm[g]!,
      chosen: wire.name.startsWith("vllm") ? c : lengthOf(wire.centroids, codes),
      inner,
      stored: (Math.sign(agrees) * length) / c,
      x: groups.x[g]!,
    });
  }
  const share = fits.reduce((a, b) => a + b, 0) / groups.count;
  const out: Fault[] = [];
  const name = (more: readonly string[], explains: number, note: string): void => {
    const id = pairId([...ids, ...more]);
    if (ids.length + more.length === 0 || id.split("+").length > 2) return;
    out.push({
      id,
      explains,
      evidence: `${Math.round(explains * groups.count)} of ${groups.count} groups: ${[...notes, note].filter((n) => n).join("; ")}`,
    });
  };
  const vllm = wire.name.startsWith("vllm");
  for (const rule of decodedNorms(wire, cases, vllm).slice(0, 2))
    name(rule.id ? rule.id.split("+") : [], share * rule.share, rule.note);
  return out;
}

/** Rules of the encoder, and what a decoder can do to a good norm. Values of stored are scale itself, no half. */
function decodedNorms(
  wire: Wire,
  cases: readonly NormCase[],
  vllm: boolean,
): { id?: string; note: string; share: number }[] {
  const due = (c: NormCase): number =>
    vllm
      ? c.norm / c.chosen
      : wire.rule === "raw"
        ? c.norm
        : wire.rule === "unbiased"
          ? Math.max(c.norm / c.inner, c.norm / c.chosen)
          : c.norm / c.chosen;
  const half = (v: number): number => (wire.normBytes === 4 ? v : fromF16(toF16(v)));
  const decoderRules: { id: string; note: string; value: (c: NormCase) => number }[] = [
    { id: "norm-ignored", note: "the decoder never applies the norm", value: () => 1 },
    { id: "norm-ignored", note: "the decoder only normalises", value: (c) => 1 / c.chosen },
    { id: "norm-squared", note: "the norm applied twice", value: (c) => half(due(c)) ** 2 },
    { id: "scale-rule", note: "the norm divided out", value: (c) => 1 / half(due(c)) },
    { id: "rotation-scale", note: "values √d too large", value: (c) => half(due(c)) * Math.sqrt(wire.group) },
    { id: "rotation-scale", note: "values √d too small", value: (c) => half(due(c)) / Math.sqrt(wire.group) },
    {
      id: "norm-squared",
      note: "‖x‖² in place of ‖x‖",
      value: (c) => (vllm ? c.norm ** 2 / c.chosen : c.norm ** 2),
    },
    {
      id: "endian-norm",
      note: "bytes of the norm exchanged",
      value: (c) => {
        const h = toF16(due(c));
        return fromF16(((h & 255) << 8) | (h >> 8));
      },
    },
  ];
  const out: { id?: string; note: string; share: number }[] = [];
  const count = Math.max(1, cases.length);
  for (const r of decoderRules) {
    const share =
      cases.filter((c) => Math.abs(c.stored - r.value(c)) <= 2e-4 * Math.abs(c.stored)).length / count;
    if (share > 0.6) out.push({ id: r.id, note: r.note, share });
  }
  if (vllm) {
    const share = cases.filter((c) => Math.abs(c.stored - due(c)) <= 1.5e-3 * due(c)).length / count;
    if (share > 0.5) out.push({ note: "", share });
    const raw = cases.filter((c) => Math.abs(c.stored - c.norm) <= 1.5e-3 * c.norm).length / count;
    if (raw > 0.5)
      out.push({
        id: "norm-raw",
        note: "the decoder does not renormalise the centroids",
        share: raw - 0.005,
      });
    return out.sort((a, b) => b.share - a.share);
  }
  // The scale read off the values is an f32 near the stored half.
  const snapped = cases.map((c) => ({
    ...c,
    stored: wire.normBytes === 4 ? c.stored : fromF16(toF16(c.stored)),
  }));
  for (const r of normVerdicts(wire.rule, snapped, wire.normBytes === 4))
    out.push({ ...(r.id ? { id: r.id } : {}), note: r.note, share: r.share });
  return out.sort((a, b) => b.share - 0.03 * (b.id ? 1 : 0) - (a.share - 0.03 * (a.id ? 1 : 0)));
}

/** Groups in which every level occurs tell codes (by rank) and levels; then boundaries and table as from bytes. */
function tableOf(
  wire: Wire,
  y: readonly Float64Array[],
  groups: ReturnType<typeof orders>[number]["groups"],
  transform: Transform,
  before: readonly string[],
): Fault[] {
  const levels = 2 ** wire.bits;
  const zs: number[] = [];
  const codes: number[] = [];
  const shape = new Float64Array(levels);
  let used = 0;
  const lengths: { g: number; scale: number }[] = [];
  for (const g of generic(groups, 60)) {
    const distinct = [...new Set(Array.from(y[g]!, (v) => Number(v.toPrecision(6))))].sort((a, b) => a - b);
    const merged: number[] = [];
    for (const v of distinct)
      if (merged.length === 0 || Math.abs(v - merged.at(-1)!) > 2e-4 * Math.abs(v)) merged.push(v);
    if (merged.length !== levels) continue;
    const z = new Float64Array(wire.group);
    transform.run(groups.x[g]!, groups.norm[g]!, z);
    const size = Math.sqrt(merged.reduce((s, v) => s + v * v, 0));
    merged.forEach((v, k) => {
      shape[k]! += v / size;
    });
    for (let i = 0; i < z.length; i++) {
      let best = 0;
      for (let k = 1; k < levels; k++)
        if (Math.abs(y[g]![i]! - merged[k]!) < Math.abs(y[g]![i]! - merged[best]!)) best = k;
      zs.push(z[i]!);
      codes.push(best);
    }
    lengths.push({ g, scale: size });
    used++;
  }
  if (used < 2) return [];
  for (let k = 0; k < levels; k++) shape[k]! /= used;
  const direction = (c: Float64Array): Float64Array => {
    const size = Math.sqrt(c.reduce((s, v) => s + v * v, 0));
    return c.map((v) => v / size);
  };
  const same = (c: Float64Array): number =>
    direction(c).reduce((worst, v, k) => Math.max(worst, Math.abs(v - shape[k]!)), 0);
  const candidates = fittedTables(wire, zs, codes);
  const boundaryOwn = wire.boundaries.every((b) => {
    let below = Number.NEGATIVE_INFINITY;
    let above = Number.POSITIVE_INFINITY;
    const k = wire.boundaries.indexOf(b);
    for (let i = 0; i < zs.length; i++) {
      if (codes[i]! <= k) below = Math.max(below, zs[i]!);
      else above = Math.min(above, zs[i]!);
    }
    return below <= b + 2e-5 && above >= b - 2e-5;
  });
  const out: Fault[] = [];
  const push = (id: string, explains: number, note: string): void => {
    const full = pairId([...before, id]);
    if (full.split("+").length <= 2)
      out.push({ id: full, explains, evidence: `${used} groups with every level: ${note}` });
  };
  if (boundaryOwn) {
    const lopsided = shape.some((v, k) => Math.abs(v + shape[levels - 1 - k]!) > 2e-3);
    const gaps = shape.slice(1).map((v, k) => v - shape[k]!);
    const even = gaps.every((v) => Math.abs(v - gaps[0]!) < 2e-3);
    // Cells are right; the decoder's levels are not.
    if (same(wire.centroids) > 2e-3)
      push(
        lopsided ? "codebook-order" : even ? "codebook-uniform" : "codebook-mismatch",
        0.9,
        "the decoder's levels are another table's",
      );
    else {
      let ratio = 0;
      for (const { g, scale } of lengths) {
        const c = Uint8Array.from(y[g]!, (v) => nearestLevel(shape, v / scale));
        const due =
          groups.norm[g]! /
          (wire.rule === "norm-matching" || wire.name.startsWith("vllm") ? lengthOf(wire.centroids, c) : 1);
        const own = Math.sqrt(wire.centroids.reduce((s, v) => s + v * v, 0));
        ratio += scale / own / due / lengths.length;
      }
      if (Math.abs(ratio - 1) > 0.01)
        push("codebook-sigma", 0.85, `levels ${ratio.toFixed(4)} times too large`);
    }
    return out;
  }
  for (const t of candidates)
    if (t.id !== "codebook-order" || before.length === 0)
      push(t.id, same(t.centroids) < 4e-3 ? 0.97 : 0.8, t.note);
  return out;
}

const nearestLevel = (levels: Float64Array, v: number): number => {
  let best = 0;
  for (let k = 1; k < levels.length; k++)
    if (Math.abs(v - levels[k]!) < Math.abs(v - levels[best]!)) best = k;
  return best;
};

/** A known table that is another one than the format's, not its neighbour in the last digits. */
const differs = (wire: Wire, t: Table): boolean =>
  t.centroids.some(
    (c, i) =>
      Math.abs(c - wire.centroids[i]!) >
      (wire.name.startsWith("vllm") ? 0.03 : 4e-3) * Math.abs(wire.centroids[i]!),
  );

/** Lengths are right, directions have nothing to do with what is due. */
function otherRotation(
  wire: Wire,
  groups: ReturnType<typeof orders>[number]["groups"],
  y: readonly Float64Array[],
): Fault[] {
  let right = 0;
  let lost = 0;
  let counted = 0;
  const t = trueTransform(wire);
  for (const g of generic(groups, 60)) {
    const z = new Float64Array(wire.group);
    t.run(groups.x[g]!, groups.norm[g]!, z);
    let dot = 0;
    let size = 0;
    for (let i = 0; i < z.length; i++) {
      dot += z[i]! * y[g]![i]!;
      size += y[g]![i]! ** 2;
    }
    const length = Math.sqrt(size);
    const ratio = length / groups.norm[g]!;
    if (
      wire.rule === "norm-matching" || wire.name.startsWith("vllm")
        ? Math.abs(ratio - 1) < 2e-3
        : Math.abs(ratio - 1) < 0.25
    )
      right++;
    if (Math.abs(dot / length) < 0.6) lost++;
    counted++;
  }
  if (counted === 0 || right < 0.9 * counted || lost < 0.9 * counted) return [];
  return [
    {
      id: "rotation-unknown",
      explains: 0.6,
      evidence: `${right} of ${counted} groups have the right length, ${lost} point elsewhere`,
    },
  ];
}
