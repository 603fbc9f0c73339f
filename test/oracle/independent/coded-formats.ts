/** The weight types, polar3.875 and the trellis formats, plainly. What a seed draws and the frozen tables are the codec's own. */
import { POLAR_TABLES } from "../../../src/core/recursive-polar-tables.js";
import { seededRotation } from "../../../src/core/seeded-rotation.js";
import { type TrellisName, trellisByName } from "../../../src/core/trellis-tables.js";
import { butterflies, f32, halfBits, halfValue, normOf } from "./numbers.js";

/** Codes of a unit with their widths, and its scales. */
export interface Unit {
  codes: number[];
  scales: number[];
}

/** How a format is written, in parts that a slip may replace. */
export interface Made {
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

/** What one slip does otherwise. */
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

/** Slips of different parts as one. */
export const merged = (slips: readonly Slip[]): Slip =>
  Object.assign({ id: "", note: "", stage: "" }, ...slips);

/** v: (block · k,) ← its signed Hadamard transform. */
export function turnTrue(m: Made, v: Float32Array, before = m.s1, after = m.s2): void {
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
/** Levels of both signs. */
export const mirrored = (v: number[], zero: number[]): number[] => [
  ...v.map((t) => -t).reverse(),
  ...zero,
  ...v,
];
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

/** The format of a name. */
export function madeOf(format: string, dim: number): Made {
  if (format.startsWith("llama/tq")) return weights(format.includes("3") ? 3 : 4);
  return format.startsWith("polar") ? polar(dim) : trellis(format as TrellisName, dim);
}
