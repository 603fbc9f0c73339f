/**
 * Rotate-and-table formats, plainly: padded groups, norm, rotation, nearest cell, stored scale, bytes. What a fork may
 * do differently is a field of `Change`; a mutant sets one, a pair two.
 */
import { gaussianCodebook } from "../../../src/core/codebook.js";
import { seededRotation } from "../../../src/core/seeded-rotation.js";
import { vllmCodebook } from "../../../src/formats/vllm-centroids.js";
import { f32, halfBits, halfDown, halfValue, normOf, S1, S2, signedHadamard, toHalf } from "./numbers.js";
import { packers, type Record_ } from "./packers.js";

export interface Spec {
  readonly format: string;
  readonly bits: number;
  readonly dim: number;
  readonly group: number;
  /** Values of one butterfly; the diagonals, of a whole group. */
  readonly block: number;
  readonly signs: boolean;
  readonly s1: readonly number[];
  readonly s2: readonly number[];
  /** The decoder turns values back. */
  readonly plain: boolean;
  readonly table: readonly number[];
  readonly bounds: readonly number[];
  readonly tieDown: boolean;
  readonly stored: "corrected" | "raw";
  readonly wide: boolean;
  /** The decoder brings the table's vector to unit length, and gives halves. */
  readonly renormalise: boolean;
}

export interface Change {
  readonly id: string;
  readonly note: string;
  readonly accept?: readonly string[];
  /** What else would be the same: not paired. */
  readonly stage: "rotation" | "table" | "norm" | "pack" | "order" | "decode";
  readonly needs?: "decoded" | "packed";
  readonly turn?: (s: Spec, u: Float32Array, norm: number) => void;
  readonly unit?: (s: Spec, x: Float32Array, norm: number) => Float32Array;
  readonly table?: (s: Spec) => { table: readonly number[]; bounds: readonly number[] };
  readonly tieDown?: boolean;
  readonly code?: (s: Spec, code: number) => number;
  readonly scale?: (s: Spec, p: ScaleParts) => number;
  readonly half?: (v: number) => number;
  /** Name in packers; encoder's, or only the decoder's (decoded evidence). */
  readonly packer?: string;
  readonly bytes?: (s: Spec, bytes: Uint8Array, n: number) => Uint8Array;
  readonly input?: (s: Spec, x: Float32Array) => { x: Float32Array; dim: number } | undefined;
  readonly readTable?: (s: Spec) => readonly number[];
  readonly readScale?: (s: Spec, scale: number) => number;
  readonly after?: (s: Spec, y: Float32Array) => Float32Array;
  readonly noRenormalise?: boolean;
}

export interface ScaleParts {
  readonly norm: number;
  readonly chosen: number;
  readonly inner: number;
  readonly x: Float32Array;
  readonly z: Float32Array;
}

const sym = (half: readonly number[]): number[] => [
  ...half
    .slice()
    .reverse()
    .map((v) => -v),
  ...half,
];
const symB = (half: readonly number[]): number[] => [
  ...half
    .slice()
    .reverse()
    .map((v) => -v),
  0,
  ...half,
];

const LLAMA: Record<number, { table: number[]; bounds: number[] }> = {
  2: { table: sym([0.039994, 0.133462]), bounds: symB([0.086728]) },
  3: { table: sym([0.02146, 0.065717, 0.117832, 0.190685]), bounds: symB([0.043589, 0.091775, 0.154259]) },
  4: {
    table: sym([0.006938, 0.020989, 0.035597, 0.051262, 0.068756, 0.089527, 0.117195, 0.173926]),
    bounds: symB([0.013963, 0.028293, 0.04343, 0.060009, 0.079142, 0.103361, 0.14556]),
  },
};
const ONNX = {
  table: sym([0.0113, 0.0342, 0.0578, 0.0829, 0.1104, 0.1419, 0.1809, 0.2377]),
  bounds: symB([0.0227, 0.046, 0.0704, 0.0966, 0.1261, 0.1614, 0.2093]),
};

export function specOf(format: string, dim: number): Spec {
  const base = { format, dim, renormalise: false, wide: false, tieDown: false, plain: false, s1: S1, s2: S2 };
  const own = /^turbo([1-8])$/.exec(format);
  if (own) return ownSpec(format, Number(own[1]), dim);
  const llama = /^llama\/turbo([234])(-qk32)?$/.exec(format);
  if (llama) {
    const bits = Number(llama[1]);
    const group = llama[2] && (Math.ceil(dim / 64) * 64) % 128 !== 0 ? 64 : 128;
    return { ...base, bits, group, block: group, signs: true, stored: "corrected", ...LLAMA[bits]! };
  }
  if (format === "onnxruntime/q4")
    return {
      ...base,
      bits: 4,
      group: dim,
      block: dim,
      signs: false,
      stored: "raw",
      wide: true,
      tieDown: true,
      ...ONNX,
    };
  const bits = format === "vllm/4bit_nc" ? 4 : 3;
  // The table depends on the head: the codec's own, whose values the recorded ones check.
  const table = [...vllmCodebook(dim, bits).centroids];
  const bounds = table.slice(1).map((v, i) => f32((v + table[i]!) / 2));
  return {
    ...base,
    bits,
    group: dim,
    block: dim,
    signs: false,
    stored: "raw",
    table,
    bounds,
    renormalise: true,
  };
}

/** A format of ours: what its seed draws, and its table, are the codec's own. label: of the stream of signs. */
export function ownSpec(format: string, bits: number, dim: number, label = "rotation"): Spec {
  const codebook = gaussianCodebook(bits);
  const { block, before, after } = seededRotation(dim, 0, { label, codebook });
  const unit = 1 / Math.sqrt(dim);
  return {
    format,
    bits,
    dim,
    group: dim,
    block,
    signs: true,
    s1: [...before],
    s2: [...after],
    plain: true,
    table: Array.from(codebook.centroids, (c) => c * unit),
    bounds: Array.from(codebook.boundaries, (b) => b * unit),
    tieDown: false,
    stored: "corrected",
    wide: false,
    renormalise: false,
  };
}

/** R of a group. */
export function rotateTrue(s: Spec, u: Float32Array): void {
  if (s.signs) signedHadamard(u, s.block, s.s1, s.s2);
  else signedHadamard(u, s.block);
}

export const pick = <K extends keyof Change>(changes: readonly Change[], key: K): Change[K] | undefined =>
  changes.find((c) => c[key] !== undefined)?.[key];

/** x: (n, dim) → the records of every group, in order. */
export function records(s: Spec, x: Float32Array, changes: readonly Change[]): Record_[] {
  const perVector = Math.ceil(s.dim / s.group);
  const n = x.length / s.dim;
  const out: Record_[] = [];
  const { table, bounds } = pick(changes, "table")?.(s) ?? s;
  const turn = pick(changes, "turn") ?? rotateTrue;
  const unit = pick(changes, "unit");
  const scaleOf = pick(changes, "scale");
  const recode = pick(changes, "code");
  const half = pick(changes, "half") ?? halfBits;
  const down = pick(changes, "tieDown") ?? s.tieDown;
  for (let v = 0; v < n; v++)
    for (let g = 0; g < perVector; g++) {
      const part = new Float32Array(s.group);
      part.set(x.subarray(v * s.dim + g * s.group, Math.min(v * s.dim + (g + 1) * s.group, (v + 1) * s.dim)));
      const norm = normOf(part);
      const inv = norm > 1e-10 ? f32(1 / norm) : 0;
      const z = unit ? unit(s, part, norm) : part.map((t) => t * inv);
      turn(s, z, norm);
      const codes = new Uint8Array(s.group);
      let squares = 0;
      let inner = 0;
      z.forEach((t, i) => {
        let k = 0;
        while (k < bounds.length && (down ? f32(bounds[k]!) < t : !(t < f32(bounds[k]!)))) k++;
        codes[i] = k;
        squares = f32(squares + f32(f32(table[k]!) * f32(table[k]!)));
        inner += t * table[k]!;
      });
      const chosen = f32(Math.sqrt(squares));
      const due = s.stored === "raw" ? norm : chosen > 1e-10 ? f32(norm / chosen) : norm;
      const scale = scaleOf ? f32(scaleOf(s, { norm, chosen, inner, x: part, z })) : due;
      const stored = s.wide ? scale : half(scale);
      out.push({ codes: recode ? codes.map((c) => recode(s, c)) : codes, scale: stored });
    }
  return out;
}

export function packed(s: Spec, x: Float32Array, changes: readonly Change[]): Uint8Array {
  const other = pick(changes, "input")?.(s, x);
  const list = other ? records({ ...s, dim: other.dim }, other.x, changes) : records(s, x, changes);
  const name = pick(changes, "packer") ?? "true";
  const bytes = packers(s)[name]!.write(list);
  return pick(changes, "bytes")?.(s, bytes, x.length / s.dim) ?? bytes;
}

/** What the fork's decoder makes of what its encoder wrote. writes: the packing change is the encoder's. */
export function decoded(
  s: Spec,
  x: Float32Array,
  changes: readonly Change[],
  writes: "encoder" | "decoder",
  plain = false,
): Float32Array {
  const name = pick(changes, "packer") ?? "true";
  const all = packers(s);
  const other = pick(changes, "input")?.(s, x);
  const list = other ? records({ ...s, dim: other.dim }, other.x, changes) : records(s, x, changes);
  let bytes = all[writes === "encoder" ? name : "true"]!.write(list);
  bytes = pick(changes, "bytes")?.(s, bytes, x.length / s.dim) ?? bytes;
  const back = all[writes === "encoder" ? "true" : name]!.read(bytes, list.length);
  const table = pick(changes, "readTable")?.(s) ?? pick(changes, "table")?.(s).table ?? s.table;
  const readScale = pick(changes, "readScale");
  const perVector = Math.ceil(s.dim / s.group);
  const width = perVector * s.group;
  const y = new Float32Array(list.length * s.group);
  const renormalise = s.renormalise && !pick(changes, "noRenormalise");
  back.forEach((r, g) => {
    let scale = s.wide ? r.scale : halfValue(r.scale);
    if (readScale) scale = readScale(s, scale);
    const c = Float32Array.from(r.codes, (k) => table[k]!);
    const by = renormalise ? 1 / (normOf(c) || 1) : 1;
    c.forEach((t, i) => {
      const value = f32(f32(t * by) * scale);
      y[g * s.group + i] = s.renormalise ? toHalf(value) : value;
    });
  });
  const turned = pick(changes, "after")?.(s, y) ?? (plain || s.plain ? unrotateAll(s, y) : y);
  return turned.length === (x.length / s.dim) * width ? turned : turned;
}

export function unrotateAll(s: Spec, y: Float32Array): Float32Array {
  const out = y.slice();
  for (let at = 0; at < y.length; at += s.group) {
    const part = out.subarray(at, at + s.group);
    if (s.signs) signedHadamard(part, s.block, s.s2, s.s1);
    else signedHadamard(part, s.block);
  }
  return out;
}

export const cutHalf = halfDown;
