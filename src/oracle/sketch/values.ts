/**
 * Decoded values of formats with a sketch: what the encoder and decoder do to a vector is done again with each stage
 * replaced, one fault or two, up to the weight of the sketch's part, which every group then shows for itself.
 */
import { fromF16, toF16 } from "../../core/float.js";
import { cell, lengthOf as lengthOfCodes } from "../pipeline/evidence.js";
import { trueRotation, trueTransform, trueUnrotation } from "../pipeline/transforms.js";
import type { Wire } from "../pipeline/wire.js";
import { type Fault, pairId, ranked } from "../verdict.js";
import { lengthOf, type SketchedData, times } from "./parts.js";
import { codecSlips, type Slip, sketchSlips } from "./slips.js";

/** Groups that are looked at, and those that decide whether it is worth it. */
const GROUPS = 24;
/** What may be left of the sketch's part, in the residual's norm. */
const REST = 4e-3;

interface Group {
  readonly x: Float64Array;
  readonly norm: number;
  readonly y: Float64Array;
}

/** What the codes alone give, by encoder and decoder. */
interface Coded {
  readonly outer: number;
  /** The decoder's, in the original basis. */
  readonly mean: Float64Array;
  /** What the encoder sketches. */
  readonly residual: Float64Array;
  readonly norm: number;
}

const f16 = (v: number): number => fromF16(toF16(v));

type Turned = (turn: Slip["turn"], g: Group) => Float64Array;

/** Rotated groups, each once. */
function turnedOnce(wire: Wire): Turned {
  const own = trueTransform(wire).run;
  const kept = new Map<NonNullable<Slip["turn"]>, Map<Group, Float64Array>>();
  return (turn = own, g) => {
    let by = kept.get(turn);
    if (!by) kept.set(turn, (by = new Map()));
    let z = by.get(g);
    if (!z) {
      z = new Float64Array(g.x.length);
      turn(g.x, g.norm, z);
      by.set(g, z);
    }
    return z;
  };
}

function code(wire: Wire, g: Group, s: Slip, turned: Turned): Coded {
  const { unit } = wire.sketch!;
  const { x, norm } = g;
  const z = turned(s.turn, g);
  const book = s.book ?? wire;
  const cells = Uint8Array.from(z, (v) => cell(book.boundaries, v, wire.tieDown));
  const codes = s.relabel ? cells.map(s.relabel) : cells;
  const chosen = lengthOfCodes(book.centroids, s.late ? codes : cells) || 1;
  let inner = 0;
  for (let i = 0; i < z.length; i++) inner += z[i]! * book.centroids[(s.late ? codes : cells)[i]!]!;
  inner /= lengthOf(z) || 1;
  const due = wire.rule === "raw" ? norm : (norm * inner) / chosen ** 2;
  const stored = (s.half ?? f16)(s.scale ? s.scale({ norm, chosen, inner, x }) : due);
  const by = unit ? 1 : stored;
  const vector = unit ? x.map((v) => v / norm) : x.slice();
  const levels = Float64Array.from(codes, (k) => book.centroids[k]! * by);
  const own = levels.slice();
  trueUnrotation(wire, own);
  if (s.residual === "rotated") trueRotation(wire, vector);
  const residual = vector.map((v, i) => v - (s.residual ? levels : own)[i]!);
  // The decoder.
  const scale = s.readScale ? s.readScale(stored) : stored;
  let mean = own;
  if (s.codes || s.readBook || s.back || (s.readScale && !unit)) {
    const read = s.codes ? s.codes(codes) : codes;
    const table = s.readBook ?? book;
    mean = Float64Array.from(read, (k) => table.centroids[k]! * (unit ? 1 : scale));
    if (s.back) s.back(mean);
    else trueUnrotation(wire, mean);
  }
  return { outer: unit ? scale : 1, mean, residual, norm: lengthOf(residual) };
}

/** The sketch's part with the weight that is due. */
function sketchPart(wire: Wire, s: Slip, residual: Float64Array): Float64Array {
  const { matrix: own, factor } = wire.sketch!;
  const matrix = s.matrix ?? own;
  const projected = times(matrix, residual, s.transposed ?? false);
  let signs = Int8Array.from(projected, (v) => (v < 0 ? -1 : 1));
  if (s.signs) signs = Int8Array.from(s.signs(signs));
  const part = s.bare
    ? Float64Array.from(signs)
    : times(s.readMatrix ?? matrix, signs, !(s.readTransposed ?? false));
  if (s.addRotated) trueUnrotation(wire, part);
  const weight = factor * f16(lengthOf(residual));
  return part.map((v) => v * weight);
}

/**
 * The sketch's part in units of what is due; undefined where values are something else. whole: the slip is two faults, so
 * that the sketch's part has to be as long as is due.
 */
function ratioOf(wire: Wire, g: Group, s: Slip, turned: Turned, whole: boolean): number | undefined {
  const m = code(wire, g, s, turned);
  const added = g.y.map((v, i) => v / m.outer - m.mean[i]!);
  const long = lengthOf(added);
  // Rows of length √d, about orthogonal: what they add to a vector is as long as they are many.
  const { factor, rows } = wire.sketch!;
  if (whole && !s.bare && !s.matrix && !s.readMatrix) {
    const due = factor * m.norm * Math.sqrt(rows * g.x.length);
    if (!(long > 0.6 * due && long < 1.6 * due)) return undefined;
  }
  const part = sketchPart(wire, s, m.residual);
  let inner = 0;
  let size = 0;
  for (let i = 0; i < added.length; i++) {
    inner += added[i]! * part[i]!;
    size += part[i]! ** 2;
  }
  const ratio = size > 0 ? inner / size : 0;
  let rest = 0;
  for (let i = 0; i < added.length; i++) rest += (added[i]! - ratio * part[i]!) ** 2;
  return Math.sqrt(rest) <= REST * Math.max(long, m.norm) ? ratio : undefined;
}

/** decoded: (n, dim), original basis. */
export function sketchValueFaults({ wire, seed, x, ref }: SketchedData, decoded: Float32Array): Fault[] {
  const groups = groupsIn(wire, x, ref, decoded);
  if (groups.length < 4) return [];
  const slips = sketchSlips({ wire, seed, x, ref });
  const count = slips.length;
  slips.push(...codecSlips(wire));
  const out: Fault[] = [];
  const turned = turnedOnce(wire);
  const none: Slip = { id: "", note: "" };
  const judge = (s: Slip): void => {
    const whole = s.id.includes("+");
    const seen = (k: number): number | undefined => ratioOf(wire, groups[k]!, s, turned, whole);
    if (seen(0) === undefined && (whole || seen(1) === undefined)) return;
    const ratios: Weight[] = [];
    for (let k = 0; k < groups.length; k++) {
      const ratio = seen(k);
      const { norm } = groups[k]!;
      if (ratio !== undefined)
        ratios.push({ ratio, size: norm, residual: code(wire, groups[k]!, s, turned).norm });
      if (k > 5 && ratios.length < 3) return;
    }
    const share = ratios.length / groups.length;
    if (share < 0.6) return;
    for (const [id, note] of weightFaults(ratios, wire.group)) {
      const all = pairId([...(s.id ? s.id.split("+") : []), ...(id ? id.split("+") : [])]);
      if ((!s.id && !id) || all.split("+").length > 2) continue;
      out.push({
        id: all,
        explains: share,
        evidence: `${ratios.length} of ${groups.length} groups: ${[s.note, note].filter((n) => n).join("; ")}`,
      });
    }
  };
  judge(none);
  const enough = (): boolean => out.some((f) => f.explains > 0.97);
  for (const s of slips) if (!enough()) judge(s);
  if (enough()) return ranked(out);
  const pairs = (some: (a: Slip, b: Slip) => boolean): void => {
    for (const [i, a] of slips.entries())
      for (const b of slips.slice(i + 1)) {
        if (a.single || b.single || !some(a, b)) continue;
        const meet = Object.keys(a).some((k) => k !== "id" && k !== "note" && k in b);
        if (a.id === b.id || meet) continue;
        judge({ ...a, ...b, id: `${a.id}+${b.id}`, note: `${a.note}; ${b.note}` });
      }
  };
  const ofSketch = new Set(slips.slice(0, count));
  pairs((a, b) => ofSketch.has(a) && ofSketch.has(b));
  if (!enough()) out.push(...elsewhere(wire, groups, turned));
  if (!enough()) pairs((a, b) => !(ofSketch.has(a) && ofSketch.has(b)));
  return ranked(out);
}

function groupsIn(wire: Wire, x: Float32Array, ref: Uint8Array, decoded: Float32Array): Group[] {
  const { dim, group, groups, groupBytes } = wire;
  const all = ref.length / groupBytes;
  const step = Math.max(1, Math.floor(all / (2 * GROUPS)));
  const out: Group[] = [];
  for (let g = 0; g < all && out.length < GROUPS; g += step) {
    const at = (g % groups) * group;
    if (at + group > dim) continue;
    const from = Math.floor(g / groups) * dim + at;
    const values = Float64Array.from(x.subarray(from, from + group));
    const norm = lengthOf(values);
    const y = Float64Array.from(decoded.subarray(from, from + group));
    if (norm > 1e-4 && norm < 6e4 && y.every((v) => Number.isFinite(v)) && new Set(values).size > group / 2)
      out.push({ x: values, norm, y });
  }
  return out;
}

/** The weight of a group's sketch in units of what is due; norms of its vector and of its residual, as it is stored. */
interface Weight {
  readonly ratio: number;
  readonly size: number;
  readonly residual: number;
}

/** The value nearly all have, if they have one. */
function steady(values: readonly number[]): number | undefined {
  const sorted = values.slice().sort((a, b) => a - b);
  const middle = sorted[sorted.length >> 1]!;
  const close = sorted.filter((v) => Math.abs(v - middle) < 5e-3 * Math.abs(middle)).length;
  return close > 0.9 * sorted.length ? middle : undefined;
}

/** What the weights of the sketch's part say. dim: of a group. */
function weightFaults(weights: readonly Weight[], dim: number): [string | undefined, string][] {
  const ratios = weights.map((w) => w.ratio);
  if (ratios.every((v) => Math.abs(v) < 1e-2)) return [["qjl-dead", "the sketch adds nothing"]];
  const sign = ratios.filter((v) => v < 0).length > ratios.length / 2 ? -1 : 1;
  const inverted = sign < 0 ? "+pack-inverted" : "";
  const by = (f: (w: Weight) => number): number | undefined =>
    steady(weights.map((w) => sign * w.ratio * f(w)));
  const near = (v: number, to: number): boolean => Math.abs(v - to) < 5e-3 * to;
  const root = Math.sqrt(dim);
  const scale = (v: number): boolean =>
    [root, 1 / root, Math.SQRT2, Math.SQRT1_2, dim, 1 / dim].some((k) => near(v, k));
  const both = "qjl-norm+qjl-scale";
  const plain = by(() => 1);
  if (plain !== undefined) {
    if (near(plain, 1)) return [sign < 0 ? ["pack-inverted", "signs are inverted"] : [undefined, ""]];
    const id = near(plain, 1.5) ? "qjl-norm" : scale(plain / 1.5) && !scale(plain) ? both : "qjl-scale";
    return [[`${id}${inverted}`, `the sketch's part is ${plain.toFixed(4)} of what is due`]];
  }
  // The norm of a unit vector's residual or of the vector's, or none: a factor beside that is the decoder's.
  for (const f of [(w: Weight) => w.size, (w: Weight) => 1 / w.size, (w: Weight) => w.residual]) {
    const k = by(f);
    if (k === undefined || near(k, 1) || !scale(k)) continue;
    return [[`${both}${inverted}`, `the residual's norm is another, and ${k.toFixed(4)} of it is taken`]];
  }
  return [[`qjl-norm${inverted}`, "the sketch's part is no multiple of what is due"]];
}

/** What the codes give is right, and what the sketch adds points nowhere known: its length says whether its weight is right. */
function elsewhere(wire: Wire, groups: readonly Group[], turned: Turned): Fault[] {
  const ratios: number[] = [];
  const residuals: number[] = [];
  for (const g of groups) {
    const m = code(wire, g, { id: "", note: "" }, turned);
    const added = g.y.map((v, i) => v / m.outer - m.mean[i]!);
    // A part of a wrong mean would have its direction.
    const inner = added.reduce((sum, v, i) => sum + v * m.mean[i]!, 0);
    if (Math.abs(inner) > 0.3 * lengthOf(added) * lengthOf(m.mean)) return [];
    residuals.push(m.norm);
    ratios.push(lengthOf(added) / (lengthOf(sketchPart(wire, { id: "", note: "" }, m.residual)) || 1));
  }
  // Rows of a Gaussian matrix leave some of the length to chance.
  const spread = wire.dense ? 0.3 : 0.02;
  /** What the lengths are of what is due, if they go with it. */
  const by = (f: (g: Group, k: number) => number): number | undefined => {
    const all = ratios.map((v, k) => v * f(groups[k]!, k)).sort((a, b) => a - b);
    const middle = all[all.length >> 1]!;
    return all.filter((v) => Math.abs(v / middle - 1) < spread).length > 0.9 * all.length
      ? middle
      : undefined;
  };
  const say = (id: string, explains: number, note: string): Fault[] => [{ id, explains, evidence: note }];
  const plain = by(() => 1);
  if (plain !== undefined && Math.abs(plain - 1) < spread)
    return say(
      "qjl-projection-once",
      0.98,
      "what the sketch adds is as long as is due, and of some other matrix",
    );
  const root = Math.sqrt(wire.group);
  const known = (v: number): boolean =>
    [root, 1 / root, Math.SQRT2, Math.SQRT1_2].some((k) => Math.abs(v / k - 1) < spread / 2);
  const note = "what the sketch adds is of some other matrix, and of another length";
  if (plain !== undefined && known(plain)) return say("qjl-projection-once+qjl-scale", 0.975, note);
  if (plain !== undefined && Math.abs(plain / 1.5 - 1) < spread / 2)
    return say("qjl-norm+qjl-projection-once", 0.975, note);
  if (
    by((g) => g.norm) ??
    by((g) => 1 / g.norm) ??
    by((_, k) => residuals[k]!) ??
    by((g, k) => residuals[k]! / g.norm)
  )
    return say("qjl-norm+qjl-projection-once", 0.6, note);
  const middle = ratios.slice().sort((a, b) => a - b)[ratios.length >> 1]!;
  // A sketch is of what the codes miss: where these are of another rotation, it misses nearly all.
  return middle > 1.6
    ? say("rotation-unknown", 0.5, "what the codes give has nothing to do with the values")
    : [];
}
