/**
 * Faults of a one-bit sketch of the residual (QJL), where norm and codes of the vector are right: from the stored signs
 * and residual norms, or from what a decoder adds to the vector that the codes alone give.
 */
import { fromF16 } from "../core/float.js";
import { haarRotation } from "../core/haar.js";
import { getF16 } from "../core/little-endian.js";
import { randomStream } from "../core/random.js";
import { denseNormals, ROTATION_SEED } from "../formats/llama-dense.js";
import { readCodes } from "./layouts.js";
import { trueRotation, trueUnrotation } from "./transforms.js";
import { type Fault, pairId } from "./verdict.js";
import type { SketchFields, Wire } from "./wire.js";

/** Groups that are looked at: one has 128 signs or so. */
const GROUPS = 48;
/** Signs that have to agree: single ones are rounding. */
const ALIKE = 0.995;

export interface SketchedData {
  readonly wire: Wire;
  readonly seed: number | bigint;
  /** (n, dim). */
  readonly x: Float32Array;
  /** The format's own bytes of x. */
  readonly ref: Uint8Array;
}

/** A group as the sketch sees it; in units of the residual's norm as it is stored. */
interface Group {
  /** Byte offset, and where its values begin. */
  readonly at: number;
  readonly from: number;
  /** What a decoder multiplies everything by. */
  readonly outer: number;
  /** What the codes alone give, in the original basis. */
  readonly mean: Float64Array;
  readonly residual: Float64Array;
  /** The residual in the rotated basis, and the vector less its rotated levels. */
  readonly rotated: Float64Array;
  readonly mixed: Float64Array;
  readonly norm: number;
  readonly signs: Int8Array;
}

function groupsOf({ wire, x, ref }: SketchedData): Group[] {
  const { dim, group, groups, groupBytes, bits } = wire;
  const sketch = wire.sketch!;
  const all = ref.length / groupBytes;
  const out: Group[] = [];
  const codes = new Uint8Array(group);
  for (let g = 0; g < all && out.length < GROUPS; g += Math.max(1, Math.floor(all / (2 * GROUPS)))) {
    const at = g * groupBytes;
    const from = Math.floor(g / groups) * dim + (g % groups) * group;
    const norm = getF16(ref, at + sketch.normAt);
    const scale = getF16(ref, at + wire.normAt[0]!);
    if ((g % groups) * group + group > dim || !(norm > 0) || !(scale > 0)) continue;
    const outer = sketch.unit ? scale : 1;
    let size = 0;
    for (let i = 0; i < group; i++) size += x[from + i]! ** 2;
    const by = sketch.unit ? 1 / Math.sqrt(size) : 1;
    const vector = Float64Array.from({ length: group }, (_, i) => x[from + i]! * by);
    readCodes(ref, at, wire.layout, bits, 0, codes);
    const levels = Float64Array.from(codes, (c) => wire.centroids[c]! * (sketch.unit ? 1 : scale));
    const mean = levels.slice();
    trueUnrotation(wire, mean);
    const z = vector.slice();
    trueRotation(wire, z);
    out.push({
      at,
      from,
      outer,
      mean,
      residual: vector.map((v, i) => v - mean[i]!),
      rotated: z.map((v, i) => v - levels[i]!),
      mixed: vector.map((v, i) => v - levels[i]!),
      norm,
      signs: signsAt(ref, at + sketch.signsAt, sketch.rows),
    });
  }
  return out;
}

const signsAt = (bytes: Uint8Array, at: number, rows: number): Int8Array =>
  Int8Array.from({ length: rows }, (_, j) => ((bytes[at + (j >> 3)]! >> (j & 7)) & 1 ? 1 : -1));

/** m: (rows, dim) row-major. */
function times(m: ArrayLike<number>, x: ArrayLike<number>, transposed: boolean): Float64Array {
  const n = x.length;
  const out = new Float64Array(n);
  for (let i = 0; i < n; i++)
    for (let j = 0; j < n; j++) {
      if (transposed) out[j]! += m[i * n + j]! * x[i]!;
      else out[i]! += m[i * n + j]! * x[j]!;
    }
  return out;
}

const signsOf = (p: Float64Array): Int8Array => Int8Array.from(p, (v) => (v < 0 ? -1 : 1));

/** Matrices that come of the rotation's own stream of random numbers, with rows as long as a sketch's, and of length 1. */
function sharedMatrices({ wire, seed }: SketchedData): ArrayLike<number>[] {
  const long = (m: ArrayLike<number>): Float64Array => Float64Array.from(m, (v) => v * Math.sqrt(wire.group));
  if (wire.dense) return [denseNormals(ROTATION_SEED), long(wire.dense), wire.dense];
  const rotation = new Float64Array(wire.dim * wire.dim);
  for (let j = 0; j < wire.dim; j++) {
    const unit = new Float64Array(wire.dim);
    unit[j] = 1;
    trueRotation(wire, unit);
    for (let i = 0; i < wire.dim; i++) rotation[i * wire.dim + j] = unit[i]!;
  }
  const haar = haarRotation(wire.dim, randomStream(seed, "rotation"));
  const stream = randomStream(seed, "rotation");
  return [long(haar), Float64Array.from(rotation, () => stream.normal()), long(rotation), haar, rotation];
}

/** What may be done otherwise when the signs are made; the true way first. */
function* signRules(
  data: SketchedData,
): Generator<{ id: string; note: string; of: (g: Group) => Int8Array }> {
  const { matrix, rows } = data.wire.sketch!;
  const reversed = (j: number): number => (j & ~7) | (7 - (j & 7));
  yield { id: "pack-inverted", note: "the signs are inverted", of: (g) => g.signs.map((v) => -v) };
  yield {
    id: "pack-msb-first",
    note: "signs of a byte in the opposite order",
    of: (g) => Int8Array.from({ length: rows }, (_, j) => g.signs[reversed(j)]!),
  };
  yield {
    id: "qjl-basis",
    note: "the residual is taken in the rotated basis",
    of: (g) => signsOf(times(matrix, g.rotated, false)),
  };
  yield {
    id: "qjl-basis",
    note: "levels in the rotated basis are taken from a vector in the original one",
    of: (g) => signsOf(times(matrix, g.mixed, false)),
  };
  yield {
    id: "qjl-transpose-missing",
    note: "Sᵀ in place of S",
    of: (g) => signsOf(times(matrix, g.residual, true)),
  };
  for (const shared of sharedMatrices(data))
    yield {
      id: "qjl-seed-shared",
      note: "S comes of the rotation's random numbers",
      of: (g) => signsOf(times(shared, g.residual, false)),
    };
}

const agreement = (a: Int8Array, b: Int8Array): number => {
  let same = 0;
  for (let i = 0; i < a.length; i++) if (a[i] === b[i]) same++;
  return same / a.length;
};

/** packed: as long as the format's own bytes. */
export function sketchFaults(data: SketchedData, packed: Uint8Array): Fault[] {
  const { wire, ref } = data;
  const sketch = wire.sketch!;
  const groups = groupsOf(data);
  const clean = groups.filter((g) => !differs(wire, sketch, ref, packed, g.at));
  if (groups.length === 0 || clean.length < 0.9 * groups.length) return [];
  const norms = clean.filter((g) => {
    const given = getF16(packed, g.at + sketch.normAt);
    return !(Math.abs(given - g.norm) <= 1.5e-3 * g.norm);
  });
  const given = new Map(clean.map((g) => [g, signsAt(packed, g.at + sketch.signsAt, sketch.rows)]));
  const other = clean.filter((g) => agreement(given.get(g)!, g.signs) < ALIKE);
  const many = (list: readonly Group[]): boolean => list.length > 0.5 * clean.length;
  const share = (list: readonly Group[]): number => list.length / clean.length;
  const ids: string[] = [];
  const notes: string[] = [];
  let explains = 1;
  if (many(other)) {
    const constant = (v: number): boolean => other.every((g) => given.get(g)!.every((s) => s === v));
    if (constant(-1) || constant(1)) {
      ids.push("qjl-dead");
      notes.push("every sign is the same");
    } else {
      const rule = [...signRules(data)].find(
        ({ of }) => other.filter((g) => agreement(given.get(g)!, of(g)) >= ALIKE).length > 0.9 * other.length,
      );
      ids.push(rule?.id ?? "qjl-projection-once");
      notes.push(rule?.note ?? "signs of some other projection");
      explains = rule ? 1 : 0.9;
      // A residual that is another one has another norm.
      if (rule?.note.startsWith("levels")) norms.length = 0;
    }
  }
  if (many(norms)) {
    const swapped = norms.every((g) => {
      const at = g.at + sketch.normAt;
      return Math.abs(fromF16((packed[at]! << 8) | packed[at + 1]!) - g.norm) <= 1.5e-3 * g.norm;
    });
    ids.push(swapped ? "endian-norm" : "qjl-norm");
    notes.push(`${Math.round(100 * share(norms))} % of residual norms are others`);
  }
  if (ids.length === 0) return [];
  return [{ id: pairId(ids), explains, evidence: `norms and codes are right; ${notes.join("; ")}` }];
}

/** Whether norm or codes of a group are others. */
function differs(wire: Wire, sketch: SketchFields, ref: Uint8Array, packed: Uint8Array, at: number): boolean {
  for (let b = 0; b < sketch.signsAt; b++)
    if ((b < sketch.normAt || b >= sketch.normAt + 2) && ref[at + b] !== packed[at + b]) return true;
  return wire.groupBytes === 0;
}

/** decoded: (n, dim), original basis. */
export function sketchValueFaults(data: SketchedData, decoded: Float32Array): Fault[] {
  const { wire } = data;
  const { factor, matrix } = wire.sketch!;
  const groups = groupsOf(data);
  if (groups.length < 4) return [];
  const added = groups.map((g) => g.mean.map((m, i) => decoded[g.from + i]! / g.outer - m));
  const weights = groups.map((g) => factor * g.norm);
  const fault = (ids: readonly string[], note: string, explains = 1): Fault[] => [
    { id: pairId(ids), explains, evidence: `what the codes give is right; ${note}` },
  ];
  const dead = added.filter((a, i) => lengthOf(a) < 1e-3 * groups[i]!.norm).length;
  if (dead > 0.95 * groups.length) return fault(["qjl-dead"], "the sketch adds nothing");
  /** A rule's ratio to what is due, per group; undefined if it is no multiple. */
  const ratios = (of: (g: Group) => Float64Array): number[] | undefined => {
    const out: number[] = [];
    let wrong = 0;
    for (const [i, g] of groups.entries()) {
      const due = of(g).map((v) => v * weights[i]!);
      let inner = 0;
      let size = 0;
      due.forEach((v, k) => {
        inner += v * added[i]![k]!;
        size += v * v;
      });
      const ratio = inner / size;
      const rest = added[i]!.map((v, k) => v - ratio * due[k]!);
      if (lengthOf(rest) > 2e-3 * Math.max(lengthOf(added[i]!), groups[i]!.norm)) wrong++;
      else out.push(ratio);
      if (wrong > 0.1 * groups.length) return undefined;
    }
    return out;
  };
  const named = (id: string | undefined, r: readonly number[], note: string): Fault[] => {
    const sorted = r.slice().sort((a, b) => a - b);
    const middle = sorted[sorted.length >> 1]!;
    const steady = sorted.every((v) => Math.abs(v - middle) < 5e-3 * Math.abs(middle));
    if (steady && Math.abs(middle - 1) < 5e-3) return id ? fault([id], note) : [];
    const ids = id ? [id] : [];
    if (steady && Math.abs(middle + 1) < 5e-3) return fault([...ids, "pack-inverted"], "signs are inverted");
    const scale = steady && Math.abs(middle - 1.5) > 5e-3 ? "qjl-scale" : "qjl-norm";
    return fault(
      [...ids, scale],
      `the sketch's part is ${steady ? `${middle.toFixed(4)} of` : "no multiple of"} what is due`,
    );
  };
  const back = (v: Float64Array): Float64Array => {
    trueUnrotation(wire, v);
    return v;
  };
  const plain = ratios((g) => times(matrix, g.signs, true));
  if (plain) return named(undefined, plain, "");
  const rules: { id: string; note: string; of: (g: Group) => Float64Array }[] = [
    { id: "qjl-transpose-missing", note: "S in place of Sᵀ", of: (g) => times(matrix, g.signs, false) },
    {
      id: "qjl-basis",
      note: "the sketch is added in the rotated basis",
      of: (g) => back(times(matrix, g.signs, true)),
    },
    {
      id: "qjl-basis",
      note: "residual and sketch are in the rotated basis",
      of: (g) => back(times(matrix, signsOf(times(matrix, g.rotated, false)), true)),
    },
  ];
  for (const rule of signRules(data)) rules.push({ ...rule, of: (g) => times(matrix, rule.of(g), true) });
  for (const m of sharedMatrices(data)) {
    rules.push({
      id: "qjl-seed-shared",
      note: "S comes of the rotation's random numbers",
      of: (g) => times(m, signsOf(times(m, g.residual, false)), true),
    });
    rules.push({
      id: "qjl-projection-once",
      note: "the decoder's S is another matrix",
      of: (g) => times(m, g.signs, true),
    });
  }
  for (const { id, note, of } of rules) {
    const r = ratios(of);
    if (r) return named(id, r, note);
  }
  // Without S, the signs themselves: no scale is due.
  const bare = ratios((g) => Float64Array.from(g.signs));
  if (bare) return fault(["qjl-transpose-missing"], "signs are added without Sᵀ");
  const alike = added.filter((a, i) => {
    const due = lengthOf(times(matrix, groups[i]!.signs, true)) * weights[i]!;
    return Math.abs(lengthOf(a) / due - 1) < 0.3;
  }).length;
  return alike > 0.9 * groups.length
    ? fault(
        ["qjl-projection-once"],
        "what the sketch adds is as long as is due, and of some other matrix",
        0.995,
      )
    : [];
}

const lengthOf = (v: Float64Array): number => {
  let sum = 0;
  for (let i = 0; i < v.length; i++) sum += v[i]! * v[i]!;
  return Math.sqrt(sum);
};
