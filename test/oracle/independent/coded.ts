/**
 * The weight types, polar3.875 and the trellis formats, plainly, each with the slips that another author may make. What
 * a seed draws and the frozen tables are the codec's own.
 */
import { POLAR_TABLES } from "../../../src/core/recursive-polar-tables.js";
import { seededRotation } from "../../../src/core/seeded-rotation.js";
import { type TrellisName, trellisByName } from "../../../src/core/trellis-tables.js";
import { verify } from "../../../src/oracle/verify.js";
import { butterflies, f32, halfBits, halfDown, halfValue, normOf, orthogonal, product } from "./numbers.js";
import type { Outcome } from "./sweep.js";

/** Codes of a unit with their widths, and its scales. */
interface Unit {
  codes: number[];
  scales: number[];
}

interface Made {
  /** Values of a unit. */
  readonly size: number;
  readonly bytes: number;
  readonly block: number;
  readonly s1: readonly number[];
  readonly s2: readonly number[];
  /** Width of every code. */
  readonly widths: readonly number[];
  quantise(z: Float32Array, norm: number, slip: Slip): Unit;
  /** Values of codes and scales, rotated. */
  levels(codes: readonly number[], scales: readonly number[], slip: Slip): Float32Array;
  /** Where bit b of code i lies. */
  place(i: number, b: number): number;
  /** Where the scales' bits begin. */
  readonly scaleAt: readonly number[];
}

export interface Slip {
  readonly id: string;
  readonly note: string;
  readonly accept?: readonly string[];
  readonly stage: string;
  readonly only?: "packed" | "decoded";
  readonly formats?: RegExp;
  readonly turn?: (m: Made, v: Float32Array) => void;
  readonly back?: (m: Made, v: Float32Array) => void;
  readonly table?: (t: readonly number[]) => number[];
  readonly readTable?: boolean;
  readonly angles?: "even";
  readonly search?: "rms" | "block" | "none" | "rounded";
  readonly unit?: boolean;
  readonly scale?: (due: number, norm: number, inner: number, chosen: number) => number;
  readonly half?: (v: number) => number;
  readonly readScale?: (v: number) => number;
  readonly code?: (c: number, width: number) => number;
  readonly place?: (m: Made, i: number, b: number) => number;
  /** Bit b of a field of `width` bits that begins at `at`. */
  readonly moves?: (at: number, b: number, width: number) => number;
  readonly swap?: boolean;
  readonly bytes?: (b: Uint8Array, m: Made, units: number) => Uint8Array;
  readonly values?: (y: Float32Array) => Float32Array;
}

const merged = (slips: readonly Slip[]): Slip => Object.assign({ id: "", note: "", stage: "" }, ...slips);

function turnTrue(m: Made, v: Float32Array, before = m.s1, after = m.s2): void {
  for (let i = 0; i < v.length; i++) v[i]! *= before[i]!;
  butterflies(v, m.block);
  const unit = f32(1 / Math.sqrt(m.block));
  for (let i = 0; i < v.length; i++) v[i] = f32(v[i]! * unit) * after[i]!;
}

// tq3_1s, tq4_1s

const THREE = {
  table: [-1.996684, -1.291398, -0.740341, -0.247508, 0.230106, 0.725222, 1.277503, 1.988943],
  bounds: [-1.644041, -1.01587, -0.493925, -0.008701, 0.477664, 1.001363, 1.633223],
};
const POS = [0.128395, 0.388048, 0.656759, 0.94234, 1.256231, 1.618046, 2.069017, 2.73259];
const POSB = [0.258222, 0.522404, 0.79955, 1.099286, 1.437139, 1.843532, 2.400804];
const mirrored = (v: number[], zero: number[]): number[] => [...v.map((t) => -t).reverse(), ...zero, ...v];
const FOUR = { table: mirrored(POS, []), bounds: mirrored(POSB, [0]) };

function weights(bits: 3 | 4): Made {
  const native = bits === 3 ? THREE : FOUR;
  return {
    size: 32,
    bytes: 4 + 4 * bits,
    block: 32,
    s1: [..."+-+-++-+--+-++-+--+-+--+-++-+--+"].map((c) => (c === "-" ? -1 : 1)),
    s2: new Array(32).fill(1),
    widths: new Array(32).fill(bits),
    quantise(z, _norm, slip) {
      const table = slip.table ? slip.table(native.table) : native.table;
      const bounds = slip.table ? table.slice(1).map((v, i) => (v + table[i]!) / 2) : native.bounds;
      const run = slip.search === "block" ? 32 : 16;
      const code = (v: number, d: number): number => {
        const t = d > 1e-10 ? f32(v * f32(1 / d)) : 0;
        return bounds.reduce((n, b) => n + (t >= f32(b) ? 1 : 0), 0);
      };
      const parts = Array.from({ length: 32 / run }, (_, p) => z.subarray(p * run, (p + 1) * run));
      const rms = parts.map((p) => f32(normOf(p) / Math.sqrt(run)));
      const refined = (p: number, d: number): number => {
        let [num, den] = [0, 0];
        for (const v of parts[p]!) {
          const c = table[code(v, d)]!;
          num = f32(num + f32(v * f32(c)));
          den = f32(den + f32(f32(c) * f32(c)));
        }
        return den > 1e-10 ? f32(num / den) : d;
      };
      let scales = rms;
      if (slip.search === "none") scales = rms.map(() => 1);
      else if (slip.search !== "rms") {
        let least = 1e30;
        for (const factor of [0.6, 0.7, 0.8, 0.9, 1, 1.1, 1.2, 1.35, 1.5]) {
          const tried = rms.map((r) => f32(r * f32(factor)));
          let error = 0;
          parts.forEach((part, p) => {
            for (const v of part)
              error = f32(error + f32(f32(v - f32(f32(table[code(v, tried[p]!)]!) * tried[p]!)) ** 2));
          });
          if (error < least) {
            least = error;
            scales = tried;
          }
        }
        for (let k = 0; k < 6; k++) scales = scales.map((d, p) => refined(p, d));
      }
      const codes = Array.from(z, (v, i) => {
        const d = scales[Math.floor(i / run)]!;
        return code(v, slip.search === "rounded" ? halfValue(halfBits(d)) : d);
      });
      if (slip.search === "none") scales = scales.map((d, p) => refined(p, d));
      const both = [scales[0]!, scales.at(-1)!];
      return {
        codes,
        scales: both.map((d, p) => {
          const part = z.subarray(p * 16, (p + 1) * 16);
          let [inner, chosen] = [0, 0];
          part.forEach((v, i) => {
            const c = table[codes[p * 16 + i]!]!;
            inner += v * c;
            chosen += c * c;
          });
          return slip.scale?.(d, normOf(part), inner / (normOf(part) || 1), Math.sqrt(chosen)) ?? d;
        }),
      };
    },
    levels(codes, scales, slip) {
      const table = slip.table && slip.readTable !== false ? slip.table(native.table) : native.table;
      return Float32Array.from(codes, (c, i) => f32(f32(table[c]!) * scales[i >> 4]!));
    },
    place: (i, b) => 32 + bits * i + b,
    scaleAt: [0, 16],
  };
}

// polar3.875

const angle = (t: Float32Array, k: number): number => Math.atan2(t[2 * k + 1]!, t[2 * k]!);
const LEVEL = [8, 4, 2, 1].flatMap((n, level) => Array.from({ length: n }, () => level));

function polar(dim: number): Made {
  const r = seededRotation(dim, 0);
  const groups = dim / 16;
  const widths = Array.from({ length: groups * 15 }, (_, i) => [4, 2, 2, 2][LEVEL[i % 15]!]!);
  const within = LEVEL.map((_, i) => LEVEL.slice(0, i).reduce((sum, l) => sum + [4, 2, 2, 2][l]!, 0));
  const bounds = (level: number, slip: Slip): number[] =>
    slip.angles === "even"
      ? [1, 2, 3].map((k) => (k * Math.PI) / 8)
      : [0, 1, 2].map((k) => angle(POLAR_TABLES[level]!.boundaries, k));
  const centre = (level: number, k: number, slip: Slip): number =>
    level === 0
      ? ((k + 0.5) * Math.PI) / 8
      : slip.angles === "even"
        ? ((k + 0.5) * Math.PI) / 8
        : angle(POLAR_TABLES[level]!.centroids, k);
  return {
    size: dim,
    bytes: (groups * 62) / 8,
    block: r.block,
    s1: [...r.before],
    s2: [...r.after],
    widths,
    quantise(z, _norm, slip) {
      const codes: number[] = [];
      const scales: number[] = [];
      for (let g = 0; g < groups; g++) {
        let v = Array.from(z.subarray(16 * g, 16 * g + 16));
        for (let level = 0; level < 4; level++) {
          const next: number[] = [];
          for (let i = 0; i < v.length; i += 2) {
            const a = Math.atan2(v[i + 1]!, v[i]!);
            if (level === 0) codes.push(Math.floor(((a + 2 * Math.PI) % (2 * Math.PI)) / (Math.PI / 8)) % 16);
            else codes.push(bounds(level, slip).filter((b) => a >= b).length);
            next.push(f32(Math.hypot(v[i]!, v[i + 1]!)));
          }
          v = next;
        }
        scales.push(slip.scale?.(v[0]!, v[0]!, v[0]!, 1) ?? v[0]!);
      }
      return { codes, scales };
    },
    levels(codes, scales, slip) {
      const out = new Float32Array(dim);
      for (let g = 0; g < groups; g++) {
        let v = [scales[g]!];
        for (let level = 3, at = 14; level >= 0; level--) {
          const n = v.length;
          v = v.flatMap((radius, i) => {
            const a = centre(level, codes[g * 15 + at + i]! % (level === 0 ? 16 : 4), slip);
            return [radius * Math.cos(a), radius * Math.sin(a)];
          });
          at -= 2 * n;
        }
        out.set(v, 16 * g);
      }
      return out;
    },
    place: (i, b) => 62 * Math.floor(i / 15) + within[i % 15]! + b,
    scaleAt: Array.from({ length: groups }, (_, g) => 62 * g + 46),
  };
}

// trellis

function trellis(name: TrellisName, dim: number): Made {
  const r = seededRotation(dim, 0);
  const { bits, window, table: own } = trellisByName(name);
  const states = 2 ** (window - bits);
  const native = [...own];
  const tableOf = (slip: Slip): number[] => (slip.table ? slip.table(native) : native).map(f32);
  const windows = (codes: readonly number[]): number[] => {
    let w = 0;
    for (const c of [...codes.slice(-window), ...codes]) w = ((w << bits) | c) % 2 ** window;
    const out: number[] = [];
    w = 0;
    for (const c of codes.slice(-window)) w = ((w << bits) | c) % 2 ** window;
    for (const c of codes) out.push((w = ((w << bits) | c) % 2 ** window));
    return out;
  };
  /** Costs through values; kept: the window of every step and state. */
  const walk = (
    t: readonly number[],
    values: ArrayLike<number>,
    start: number[],
  ): { cost: number[]; kept: number[][] } => {
    let cost = start;
    const kept: number[][] = [];
    for (let j = 0; j < values.length; j++) {
      const best = new Array<number>(states).fill(Number.POSITIVE_INFINITY);
      const from = new Array<number>(states).fill(0);
      for (let w = 0; w < 2 ** window; w++) {
        const e = f32(values[j]! - t[w]!);
        const c = f32(cost[w >> bits]! + f32(e * e));
        const s = w % states;
        if (c < best[s]!) {
          best[s] = c;
          from[s] = w;
        }
      }
      kept.push(from);
      cost = best;
    }
    return { cost, kept };
  };
  return {
    size: dim,
    bytes: 2 + (dim * bits) / 8,
    block: r.block,
    s1: [...r.before],
    s2: [...r.after],
    widths: new Array(dim).fill(bits),
    quantise(u, norm, slip) {
      const t = tableOf(slip);
      const z = Float32Array.from(u, (v) => f32(v * (slip.unit ? 1 : f32(Math.sqrt(dim) / (norm || 1)))));
      const seam = [...z.subarray(dim - 32), ...z.subarray(0, 32)];
      const first = walk(t, seam, new Array(states).fill(0));
      let s = 0;
      for (let k = 1; k < states; k++) if (first.cost[k]! < first.cost[s]!) s = k;
      for (let j = 63; j >= 32; j--) s = first.kept[j]![s]! >> bits;
      const start = new Array(states).fill(Number.POSITIVE_INFINITY);
      start[s] = 0;
      const { kept } = walk(t, z, start);
      const codes = new Array<number>(dim);
      for (let j = dim - 1; j >= 0; j--) {
        const w = kept[j]![s]!;
        codes[j] = w % 2 ** bits;
        s = w >> bits;
      }
      let [inner, squares] = [0, 0];
      windows(codes).forEach((w, j) => {
        inner += (u[j]! / (norm || 1)) * t[w]!;
        squares += t[w]! ** 2;
      });
      const root = Math.sqrt(dim);
      const chosen = Math.sqrt(squares) / root;
      const due = chosen > 0 ? norm / chosen : 0;
      return { codes, scales: [slip.scale?.(due, norm, inner / root, chosen) ?? due] };
    },
    levels(codes, scales, slip) {
      const t = slip.readTable === false ? native : tableOf(slip);
      return Float32Array.from(windows(codes), (w) => f32((f32(t[w]!) / Math.sqrt(dim)) * scales[0]!));
    },
    place: (i, b) => {
      const s = i * bits + bits - 1 - b;
      return 16 + (s & ~7) + 7 - (s & 7);
    },
    scaleAt: [0],
  };
}

function madeOf(format: string, dim: number): Made {
  if (format.startsWith("llama/tq")) return weights(format.includes("3") ? 3 : 4);
  return format.startsWith("polar") ? polar(dim) : trellis(format as TrellisName, dim);
}

function unitsOf(m: Made, x: Float32Array, slips: readonly Slip[]): Unit[] {
  const slip = merged(slips);
  return Array.from({ length: x.length / m.size }, (_, u) => {
    const v = x.slice(u * m.size, (u + 1) * m.size);
    const norm = normOf(v);
    (slip.turn ?? ((mm, w) => turnTrue(mm, w)))(m, v);
    return m.quantise(v, norm, slip);
  });
}

function packed(m: Made, x: Float32Array, slips: readonly Slip[]): Uint8Array {
  const { half = halfBits, code, place, swap, bytes } = merged(slips);
  const units = unitsOf(m, x, slips);
  const out = new Uint8Array(units.length * m.bytes);
  const set = (at: number, value: number): void => {
    if (value) out[at >> 3]! |= 1 << (at & 7);
  };
  units.forEach(({ codes, scales }, u) => {
    const from = 8 * u * m.bytes;
    codes.forEach((raw, i) => {
      const c = code ? code(raw, m.widths[i]!) : raw;
      for (let b = 0; b < m.widths[i]!; b++)
        set(from + (place ? place(m, i, b) : m.place(i, b)), (c >> b) & 1);
    });
    scales.forEach((s, k) => {
      const h = half(s);
      const stored = swap ? ((h & 255) << 8) | (h >> 8) : h;
      for (let b = 0; b < 16; b++) set(from + scalePlace(m, merged(slips), k, b), (stored >> b) & 1);
    });
  });
  return bytes ? bytes(out, m, units.length) : out;
}

/** Bit b of scale k: where scales and codes share bytes, what moves bits moves both. */
function scalePlace(m: Made, slip: Slip, k: number, b: number): number {
  const at = m.scaleAt[k]!;
  return slip.moves && m.scaleAt.length > 2 ? slip.moves(at, b, 16) : at + b;
}

/** The decoder reads what a writer with these slips wrote; packing slips are the decoder's alone. */
function decoded(m: Made, x: Float32Array, slips: readonly Slip[]): Float32Array {
  const slip = merged(slips);
  const own = slips.filter((s) => s.stage !== "pack");
  const bytes = packed(m, x, own);
  const out = new Float32Array(x.length);
  for (let u = 0; u * m.size < x.length; u++) {
    const from = 8 * u * m.bytes;
    const get = (at: number): number => (bytes[at >> 3]! >> (at & 7)) & 1;
    const codes = m.widths.map((width, i) => {
      let c = 0;
      for (let b = 0; b < width; b++)
        c |= get(from + (slip.place ? slip.place(m, i, b) : m.place(i, b))) << b;
      return slip.code ? slip.code(c, width) : c;
    });
    const scales = m.scaleAt.map((_, k) => {
      let h = 0;
      for (let b = 0; b < 16; b++) h |= get(from + scalePlace(m, slip, k, b)) << b;
      const v = halfValue(slip.swap ? ((h & 255) << 8) | (h >> 8) : h);
      return slip.readScale ? slip.readScale(v) : v;
    });
    const v = m.levels(codes, scales, slip);
    (slip.back ?? ((mm, w) => turnTrue(mm, w, mm.s2, mm.s1)))(m, v);
    out.set(v, u * m.size);
  }
  return slip.values ? slip.values(out) : out;
}

const reversed = (i: number, bits: number): number => {
  let r = 0;
  for (let b = 0; b < bits; b++) r |= ((i >> b) & 1) << (bits - 1 - b);
  return r;
};
const plain = (m: Made, v: Float32Array): void =>
  turnTrue(m, v, new Array(v.length).fill(1), new Array(v.length).fill(1));
const gained =
  (k: (m: Made) => number) =>
  (m: Made, v: Float32Array): void => {
    turnTrue(m, v);
    for (let i = 0; i < v.length; i++) v[i]! *= k(m);
  };
const matrices = new Map<string, Float64Array>();
const haar =
  (seed: number) =>
  (m: Made, v: Float32Array): void => {
    const key = `${seed}:${m.size}`;
    if (!matrices.has(key)) matrices.set(key, orthogonal(m.size, seed));
    v.set(product(matrices.get(key)!, v));
  };
const TQ = /tq/;
const TRELLIS = /trellis/;
const TABLED = /tq|trellis/;
const turn = (id: string, note: string, how: Slip["turn"], accept: string[] = []): Slip => ({
  id,
  note,
  stage: "turn",
  turn: how!,
  accept,
});
const stored = (id: string, note: string, scale: Slip["scale"], more: Partial<Slip> = {}): Slip => ({
  id,
  note,
  stage: "scale",
  scale: scale!,
  ...more,
});
const place = (
  id: string,
  note: string,
  at: (m: Made, p: number) => number,
  more: Partial<Slip> = {},
): Slip => ({
  id,
  note,
  stage: "pack",
  place: (m, i, b) => at(m, m.place(i, b)),
  ...more,
});

export const CODED_SLIPS: readonly Slip[] = [
  turn("rotation-missing", "", () => {}),
  turn("rotation-unsigned", "", plain),
  turn("rotation-signs-after", "", (m, v) => turnTrue(m, v, new Array(v.length).fill(1), m.s1), [
    "rotation-signs-swapped",
    "rotation-transposed",
  ]),
  { ...turn("rotation-signs-swapped", "", (m, v) => turnTrue(m, v, m.s2, m.s1)), formats: /polar|trellis/ },
  turn("rotation-order", "bit-reversed", (m, v) => {
    turnTrue(m, v, m.s1, new Array(v.length).fill(1));
    const copy = v.slice();
    for (let i = 0; i < v.length; i++)
      v[i] = copy[i - (i % m.block) + reversed(i % m.block, Math.log2(m.block))]! * m.s2[i]!;
  }),
  turn(
    "rotation-scale",
    "missing",
    gained((m) => Math.sqrt(m.block)),
  ),
  turn(
    "rotation-scale",
    "twice",
    gained((m) => 1 / Math.sqrt(m.block)),
  ),
  turn(
    "rotation-double",
    "",
    (m, v) => {
      turnTrue(m, v);
      turnTrue(m, v);
    },
    ["rotation-missing"],
  ),
  turn("rotation-unknown", "Haar", haar(5), ["rotation-dense-vs-wht"]),
  { id: "test-basis", note: "still rotated", stage: "back", only: "decoded", back: () => {} },
  {
    id: "rotation-unsigned",
    note: "turned back without signs",
    stage: "back",
    only: "decoded",
    back: (m, v) => plain(m, v),
  },
  ...[Math.SQRT1_2, 0.61, 1.2].map(
    (k): Slip => ({
      id: "codebook-sigma",
      note: k.toFixed(2),
      stage: "table",
      formats: TABLED,
      table: (t) => t.map((c) => c * k),
    }),
  ),
  {
    id: "codebook-uniform",
    note: "outermost kept",
    stage: "table",
    formats: TABLED,
    table: (t) => {
      const sorted = t.slice().sort((a, b) => a - b);
      const step = (sorted.at(-1)! - sorted[0]!) / (t.length - 1);
      return t.map((c) => sorted[0]! + step * sorted.indexOf(c));
    },
  },
  {
    id: "codebook-unconverged",
    note: "quantiles",
    stage: "table",
    formats: TQ,
    table: (t) =>
      t.length === 8
        ? [-1.5341, -0.8871, -0.4888, -0.1573, 0.1573, 0.4888, 0.8871, 1.5341]
        : mirrored([0.0784, 0.2372, 0.4023, 0.5791, 0.7764, 1.01, 1.318, 1.8627], []),
  },
  { id: "codebook-uniform", note: "angles", stage: "table", formats: /polar/, angles: "even" },
  {
    id: "codebook-order",
    note: "two entries exchanged",
    stage: "table",
    formats: TRELLIS,
    table: (t) => t.map((c, k) => (k === 1 ? t[t.length - 2]! : k === t.length - 2 ? t[1]! : c)),
  },
  { id: "norm-raw", note: "RMS", stage: "scale", formats: TQ, search: "rms" },
  { id: "norm-block", note: "of 32", stage: "scale", formats: TQ, search: "block" },
  { id: "norm-missing", note: "", stage: "scale", formats: TQ, search: "none" },
  { id: "quant-rounded-scale", note: "", stage: "scale", formats: TQ, search: "rounded" },
  stored("norm-raw", "", (_d, norm) => norm, { formats: TRELLIS }),
  stored("scale-rule", "least squares", (_d, norm, inner, chosen) => (norm * inner) / chosen ** 2, {
    formats: TRELLIS,
  }),
  stored("scale-rule", "unbiased", (_d, norm, inner) => norm / inner, { formats: TABLED }),
  stored("scale-rule", "norm matching", (_d, norm, _i, chosen) => norm / chosen, { formats: TQ }),
  stored("norm-squared", "", (d) => d * d),
  stored("norm-ignored", "one stored", () => 1),
  { id: "norm-missing", note: "", stage: "scale", formats: TRELLIS, unit: true },
  { id: "norm-f16-truncated", note: "", stage: "scale", half: halfDown },
  { id: "norm-ignored", note: "", stage: "read", only: "decoded", readScale: () => 1 },
  { id: "norm-squared", note: "applied twice", stage: "read", only: "decoded", readScale: (v) => v * v },
  { id: "endian-norm", note: "", stage: "pack", swap: true },
  { id: "pack-inverted", note: "", stage: "pack", code: (c, w) => 2 ** w - 1 - c },
  place("pack-nibble-order", "", (_m, p) => p ^ 4, { moves: (at, b) => (at + b) ^ 4 }),
  place("pack-msb-first", "bytes", (_m, p) => p ^ 7, { moves: (at, b) => (at + b) ^ 7 }),
  {
    id: "pack-msb-first",
    note: "stream",
    stage: "pack",
    formats: /tq3|polar/,
    moves: (at, b, width) => (at + width - 1 - b) ^ 7,
    place: (m, i, b) => {
      const first = m.place(i, 0);
      return (first + m.widths[i]! - 1 - b) ^ 7;
    },
  },
  {
    id: "pack-bitplane-order",
    note: "one plane per bit",
    stage: "pack",
    formats: TQ,
    place: (m, i, b) => 32 + b * m.size + i,
  },
  {
    id: "pack-interleaved",
    note: "i and i + 16",
    stage: "pack",
    formats: /tq4/,
    place: (_m, i, b) => 32 + 8 * (i % 16) + 4 * (i >> 4) + b,
  },
  {
    id: "codebook-truncated",
    note: "top bit lost",
    stage: "pack",
    code: (c, w) => c & (2 ** (w - 1) - 1),
    accept: ["pack-plane-missing", "pack-zero"], // of one bit, there is nothing else to lose
  },
  {
    id: "pack-zero",
    note: "codes",
    stage: "bytes",
    bytes: (b, m) => {
      const out = new Uint8Array(b.length);
      for (let u = 0; u < b.length; u += m.bytes)
        for (const at of m.scaleAt)
          for (let k = at; k < at + 16; k++) out[u + (k >> 3)]! |= b[u + (k >> 3)]! & (1 << (k & 7));
      return out;
    },
  },
  { id: "decode-zero", note: "", stage: "read", only: "decoded", values: (y) => new Float32Array(y.length) },
];

export function codedSweep(
  format: string,
  dim: number,
  data: string,
  x: Float32Array,
  {
    pairs = false,
    every = 1,
    first = 0,
    only = "",
  }: { pairs?: boolean; every?: number; first?: number; only?: string } = {},
): { conforming: string[]; outcomes: Outcome[] } {
  const m = madeOf(format, dim);
  const slips = CODED_SLIPS.filter((s) => !s.formats || s.formats.test(format));
  let sets: Slip[][] = slips.map((s) => [s]);
  if (pairs) {
    sets = [];
    for (const [i, a] of slips.entries())
      for (const b of slips.slice(i + 1))
        if (
          a.stage !== b.stage &&
          a.id !== b.id &&
          !["decode-zero", "pack-zero"].some((id) => id === a.id || id === b.id) &&
          !Object.keys(a).some(
            (k) => !["id", "note", "stage", "only", "formats", "accept"].includes(k) && k in b,
          )
        )
          sets.push([a, b]);
  }
  sets = sets.filter((_, i) => i % every === first);
  const same = (a: ArrayLike<number>, b: ArrayLike<number>): boolean => {
    for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
    return true;
  };
  const outcomes: Outcome[] = [];
  for (const set of sets)
    for (const evidence of ["packed", "decoded"] as const) {
      if (set.some((s) => s.only && s.only !== evidence)) continue;
      if (evidence === "decoded" && set.some((s) => s.bytes)) continue;
      const note = set.map((s) => `${s.id} (${s.note})`).join(" & ");
      if (only && !note.includes(only)) continue;
      const make = evidence === "packed" ? packed : decoded;
      const wrong = make(m, x, set);
      if (same(wrong, make(m, x, []))) continue;
      if (set.length > 1 && set.some((s) => same(wrong, make(m, x, [s])))) continue;
      const start = performance.now();
      const r = verify({ format, dim, input: x, [evidence]: wrong });
      const got = r.verdict === "faulty" ? (r.faults[0]?.id ?? "") : r.verdict;
      const ids = set.map((s) => [s.id, ...(s.accept ?? [])]);
      const due =
        ids.length === 1
          ? ids[0]!
          : ids[0]!.flatMap((a) => ids[1]!.map((b) => [...new Set([a, b])].sort().join("+")));
      outcomes.push({
        format,
        dim,
        data,
        evidence,
        due: due[0]!,
        note,
        got,
        right: due.includes(got),
        detected: r.verdict === "faulty",
        milliseconds: performance.now() - start,
        faults: r.faults,
      });
    }
  return {
    conforming: [
      verify({ format, dim, input: x, packed: packed(m, x, []) }).verdict,
      verify({ format, dim, input: x, decoded: decoded(m, x, []) }).verdict,
    ],
    outcomes,
  };
}
