/**
 * The reference with one fault, or two: what the diagnosis is held to. Forward only, in f32, from the description of
 * a format (wire.ts); none of the diagnosis' hypotheses is used to make the evidence, except layouts, which are data.
 */
import { fromF16, toF16 } from "../core/float.js";
import { putF32 } from "../core/little-endian.js";
import { inverseNormal } from "../core/normal.js";
import { rotate, rotationFrom, wht } from "../core/wht.js";
import { packingFaults } from "./pipeline/layouts.js";
import type { Wire } from "./pipeline/wire.js";
import type { Quant } from "./stock/blocks.js";

const { fround } = Math;

/** What one mutant does differently; everything that is absent is done right. */
export interface Mutation {
  readonly id: string;
  readonly turn?: (wire: Wire, u: Float32Array) => void;
  readonly table?: (wire: Wire) => { readonly centroids: Float64Array; readonly boundaries: Float64Array };
  readonly unnormalised?: boolean;
  readonly tieDown?: boolean;
  readonly scale?: (norm: number, chosen: number, inner: number) => number;
  readonly half?: (value: number) => number;
  readonly layout?: (
    wire: Wire,
  ) => Pick<ReturnType<typeof packingFaults>[number], "layout" | "flip" | "mask"> | undefined;
  readonly codes?: (wire: Wire, code: number) => number;
  readonly swapNorm?: boolean;
  /** Applied to the finished bytes of all vectors. */
  readonly after?: (bytes: Uint8Array, wire: Wire, vectors: number) => void;
}

const ones = (n: number): Float32Array => new Float32Array(n).fill(1);
const turn = (wire: Wire, u: Float32Array, before: Float32Array, after: Float32Array): void =>
  rotate(rotationFrom(before, after, wire.block), u);
const mids = (c: Float64Array): Float64Array =>
  Float64Array.from({ length: c.length - 1 }, (_, i) => (c[i]! + c[i + 1]!) / 2);
const tableOf = (centroids: Float64Array) => ({ centroids, boundaries: mids(centroids) });
const packed =
  (id: string, nth = 0): NonNullable<Mutation["layout"]> =>
  (wire) =>
    packingFaults(wire).filter((p) => p.id === id && p.groupBytes === wire.groupBytes)[nth];
const cut = (v: number): number => {
  const h = toF16(v);
  return Number.isFinite(v) && fromF16(h) > v ? h - 1 : h;
};

/** Mutants of rotating formats. Some leave no trace in some formats: the caller compares with the reference first. */
export const WIRE_MUTATIONS: readonly Mutation[] = [
  { id: "rotation-missing", turn: () => {} },
  { id: "rotation-unsigned", turn: (w, u) => turn(w, u, ones(w.group), ones(w.group)) },
  { id: "rotation-signs-after", turn: (w, u) => turn(w, u, ones(w.group), w.after) },
  { id: "rotation-signs-swapped", turn: (w, u) => turn(w, u, w.after, w.before) },
  {
    id: "rotation-order",
    turn(w, u) {
      turn(w, u, w.before, ones(w.group));
      const copy = u.slice();
      const bits = Math.log2(w.block);
      for (let i = 0; i < u.length; i++) {
        const at = i % w.block;
        let g = at ^ (at >> 1);
        let r = 0;
        for (let b = 0; b < bits; b++, g >>= 1) r = (r << 1) | (g & 1);
        u[i] = copy[i - at + r]! * w.after[i]!;
      }
    },
  },
  {
    id: "rotation-scale",
    turn(w, u) {
      for (let i = 0; i < u.length; i++) u[i]! *= w.before[i]!;
      wht(u, w.block);
      for (let i = 0; i < u.length; i++) u[i]! *= w.after[i]!;
    },
  },
  {
    id: "rotation-double",
    turn(w, u) {
      turn(w, u, w.before, w.after);
      turn(w, u, w.before, w.after);
    },
  },
  {
    id: "rotation-f16",
    turn(w, u) {
      const f = (v: number): number => fromF16(toF16(v));
      for (let i = 0; i < u.length; i++) u[i] = f(u[i]! * w.before[i]!);
      for (let h = 1; h < w.block; h <<= 1)
        for (let i = 0; i < u.length; i += 2 * h)
          for (let j = i; j < i + h; j++) {
            const [a, b] = [u[j]!, u[j + h]!];
            u[j] = f(a + b);
            u[j + h] = f(a - b);
          }
      for (let i = 0; i < u.length; i++) u[i] = fround((u[i]! * w.after[i]!) / Math.sqrt(w.block));
    },
  },
  {
    id: "rotation-unknown",
    turn(w, u) {
      // A product of plane rotations by fixed angles: orthogonal, and nobody's.
      for (let s = 1; s < w.group; s = s * 2 + 1)
        for (let i = 0; i + s < w.group; i++) {
          const [a, b] = [u[i]!, u[i + s]!];
          u[i] = 0.6 * a - 0.8 * b;
          u[i + s] = 0.8 * a + 0.6 * b;
        }
    },
  },
  {
    id: "codebook-uniform",
    table: (w) =>
      tableOf(w.centroids.map((_, i) => ((i + 0.5) / w.centroids.length - 0.5) * 2.2 * w.centroids.at(-1)!)),
  },
  { id: "codebook-sigma", table: (w) => tableOf(w.centroids.map((c) => c * Math.SQRT1_2)) },
  {
    id: "codebook-unconverged",
    table: (w) =>
      tableOf(w.centroids.map((_, i) => inverseNormal((i + 0.5) / w.centroids.length) / Math.sqrt(w.group))),
  },
  { id: "codebook-truncated", codes: (w, code) => code & (2 ** (w.bits - 1) - 1) },
  { id: "norm-raw", scale: (n) => n },
  { id: "norm-squared", scale: (n) => n * n },
  { id: "norm-missing", unnormalised: true },
  { id: "norm-f16-truncated", half: cut },
  { id: "scale-rule", scale: (n, c, i) => (n * i) / (c * c) },
  { id: "boundary-tie", tieDown: true },
  { id: "pack-inverted", codes: (w, code) => 2 ** w.bits - 1 - code },
  { id: "pack-nibble-order", layout: packed("pack-nibble-order") },
  { id: "pack-msb-first", layout: packed("pack-msb-first") },
  { id: "pack-bitplane-order", layout: packed("pack-bitplane-order") },
  { id: "pack-plane-vs-stream", layout: packed("pack-plane-vs-stream") },
  { id: "pack-plane-missing", layout: packed("pack-plane-missing") },
  { id: "pack-interleaved", layout: packed("pack-interleaved") },
  { id: "endian-norm", swapNorm: true },
  { id: "pack-zero", after: (bytes) => void bytes.fill(0) },
  {
    id: "pack-tail-dropped",
    after(bytes, w, n) {
      const stride = w.groups * w.groupBytes;
      for (let v = 0; v < n; v++) bytes.fill(0, v * stride + stride - (w.groupBytes >> 2), (v + 1) * stride);
    },
  },
  {
    id: "stride-head",
    after(bytes, w, n) {
      const heads = [8, 4, 2].find((h) => n % h === 0 && n > 2 * h);
      if (!heads) return;
      const stride = w.groups * w.groupBytes;
      const copy = bytes.slice();
      for (let t = 0; t < n / heads; t++)
        for (let h = 0; h < heads; h++)
          bytes.set(
            copy.subarray((t * heads + h) * stride, (t * heads + h + 1) * stride),
            (h * (n / heads) + t) * stride,
          );
    },
  },
];

/** x: (n, dim) → the bytes that a fork with these faults writes. */
export function mutantBytes(wire: Wire, x: Float32Array, mutations: readonly Mutation[]): Uint8Array {
  const { dim, group, groups, groupBytes, bits } = wire;
  const m: Partial<Mutation> = Object.assign({}, ...mutations);
  const n = x.length / dim;
  const out = new Uint8Array(n * groups * groupBytes);
  const { centroids, boundaries } = m.table?.(wire) ?? wire;
  const place = m.layout?.(wire) ?? { layout: wire.layout, flip: 0, mask: 2 ** bits - 1 };
  const u = new Float32Array(group);
  for (let v = 0; v < n; v++)
    for (let g = 0; g < groups; g++) {
      const at = (v * groups + g) * groupBytes;
      u.fill(0);
      let sum = 0;
      for (let i = 0; i < group && g * group + i < dim; i++) {
        u[i] = x[v * dim + g * group + i]!;
        sum = fround(sum + fround(u[i]! * u[i]!));
      }
      const norm = fround(Math.sqrt(sum));
      if (!m.unnormalised)
        for (let i = 0; i < group; i++) u[i] = norm > 1e-10 ? fround(u[i]! * fround(1 / norm)) : 0;
      if (m.turn) m.turn(wire, u);
      else turn(wire, u, wire.before, wire.after);
      let squares = 0;
      let inner = 0;
      for (let i = 0; i < group; i++) {
        let code = 0;
        const down = m.tieDown ?? wire.tieDown;
        while (
          code < boundaries.length &&
          (down ? fround(boundaries[code]!) < u[i]! : !(u[i]! < fround(boundaries[code]!)))
        )
          code++;
        squares += centroids[code]! ** 2;
        inner += centroids[code]! * u[i]!;
        code = m.codes ? m.codes(wire, code) : code;
        code = (code ^ place.flip) & place.mask;
        for (let b = 0; b < bits; b++) {
          const to = place.layout[i * bits + b]!;
          if ((code >> b) & 1) out[at + (to >> 3)]! |= 1 << (to & 7);
        }
      }
      const chosen = Math.sqrt(squares);
      const due =
        wire.rule === "raw"
          ? norm
          : wire.rule === "unbiased"
            ? Math.max(norm / inner, norm / chosen)
            : norm / chosen;
      const scale = norm === 0 ? 0 : m.scale ? m.scale(norm, chosen, inner) : due;
      for (const where of wire.normAt) {
        if (wire.normBytes === 4) putF32(out, at + where, scale);
        else {
          const half = m.half ? m.half(scale) : toF16(fround(scale));
          out[at + where] = half & 255;
          out[at + where + 1] = half >> 8;
        }
        if (m.swapNorm) out.subarray(at + where, at + where + wire.normBytes).reverse();
      }
    }
  m.after?.(out, wire, n);
  return out;
}

/** Mutants of stock quantisers. */
export const BLOCK_MUTATIONS: readonly Quant[] = [
  { id: "quant-truncate", note: "", rounding: "truncate" },
  { id: "quant-half-even", note: "", rounding: "even" },
  { id: "quant-unsigned-max", note: "", unsignedMax: 1 },
  { id: "quant-rounded-scale", note: "", roundedScale: true },
];
