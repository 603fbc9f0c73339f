/**
 * Stock quantisers (ggml, realizar, vLLM's values) with each part replaceable: how the scale is found, how values are
 * rounded, how the scale is stored, where the codes lie. A fault replaces one part, a pair two.
 */
import { fromF16, toF16 } from "../../core/float.js";
import { getF32 } from "../../core/little-endian.js";
import type { Comparison } from "../compare-packed.js";
import { FLIP_LIMIT, halfSteps, NOISE } from "../pipeline/evidence.js";
import { readCodes } from "../pipeline/layouts.js";
import type { FirstDifference } from "../verdict.js";

const { fround } = Math;

/** down: what is left of a rounding where no half was added to what is cut, offset and all. */
export type Rounding = "away" | "truncate" | "even" | "down";

/** Where a block's fields lie, and its rule. */
export interface BlockModel {
  readonly name: string;
  readonly bits: number;
  readonly size: number;
  readonly bytes: number;
  readonly kind: "amax" | "signed-max" | "affine";
  /** amax: divisor and offset of codes; signed-max: −offset; affine: number of steps. */
  readonly divisor: number;
  readonly offset: number;
  readonly scaleBytes: 2 | 4;
  readonly scaleAt: number;
  readonly minAt: number;
  readonly layout: Int32Array;
  compare(x: Float32Array, dim: number, ref: Uint8Array, packed: Uint8Array): Comparison;
}

/** One way to quantise a block. */
export interface Quant {
  readonly id?: string;
  readonly note: string;
  readonly rounding?: Rounding;
  readonly divisor?: number;
  readonly unsignedMax?: 1 | -1;
  readonly roundedScale?: boolean;
  /** The minimum too. */
  readonly roundedMin?: boolean;
}

export interface Codes {
  readonly codes: Uint8Array;
  readonly d: number;
  readonly m: number;
}

/** Element i in the low nibble of byte i, i + 16 in the high one; a fifth bit apart. */
export const halves = (from: number, bits: 4 | 5): Int32Array =>
  Int32Array.from({ length: 32 * bits }, (_, k) => {
    const i = Math.floor(k / bits);
    const b = k % bits;
    if (b === 4) return 8 * (from - 4) + i;
    return 8 * (from + (i % 16)) + 4 * (i >> 4) + b;
  });

const stream = (n: number, bits: number, from: number): Int32Array =>
  Int32Array.from({ length: n * bits }, (_, k) => 8 * from + k);

export function blockModel(format: string, side: "key" | "value", dim: number): BlockModel | undefined {
  const make = (m: Omit<BlockModel, "compare" | "name">): BlockModel => {
    const model: BlockModel = {
      ...m,
      name: format,
      compare: (x, d, ref, packed) => compareBlocks(model, x, d, ref, packed),
    };
    return model;
  };
  const base = { size: 32, scaleBytes: 2 as const, scaleAt: 0, minAt: -1 };
  switch (format) {
    case "ggml/q8_0":
      return make({
        ...base,
        bits: 8,
        bytes: 34,
        kind: "amax",
        divisor: 127,
        offset: 0,
        layout: stream(32, 8, 2),
      });
    case "ggml/q4_0":
      return make({
        ...base,
        bits: 4,
        bytes: 18,
        kind: "signed-max",
        divisor: -8,
        offset: 8,
        layout: halves(2, 4),
      });
    case "ggml/q5_0":
      return make({
        ...base,
        bits: 5,
        bytes: 22,
        kind: "signed-max",
        divisor: -16,
        offset: 16,
        layout: halves(6, 5),
      });
    case "ggml/q4_1":
      return make({
        ...base,
        bits: 4,
        bytes: 20,
        kind: "affine",
        divisor: 15,
        offset: 0,
        minAt: 2,
        layout: halves(4, 4),
      });
    case "ggml/q5_1":
      return make({
        ...base,
        bits: 5,
        bytes: 24,
        kind: "affine",
        divisor: 31,
        offset: 0,
        minAt: 2,
        layout: halves(8, 5),
      });
    case "realizar/q8":
      return make({
        ...base,
        scaleBytes: 4,
        bits: 8,
        bytes: 36,
        kind: "amax",
        divisor: 127,
        offset: 0,
        layout: stream(32, 8, 4),
      });
    case "realizar/q4":
      return make({
        ...base,
        scaleBytes: 4,
        bits: 4,
        bytes: 20,
        kind: "amax",
        divisor: 7,
        offset: 8,
        layout: stream(32, 4, 4),
      });
  }
  if (format.startsWith("vllm/") && side === "value") {
    const bits = format === "vllm/3bit_nc" ? 3 : 4;
    const codes = Math.ceil((dim * bits) / 8);
    const key = format === "vllm/k8v4" ? dim : Math.ceil((dim * (format === "vllm/4bit_nc" ? 4 : 3)) / 8) + 2;
    const pad = (key + codes + 4) & 1;
    return make({
      bits,
      size: dim,
      scaleBytes: 2,
      bytes: codes + 4 + pad,
      kind: "affine",
      divisor: 2 ** bits - 1,
      offset: 0,
      scaleAt: codes,
      minAt: codes + 2,
      layout: stream(dim, bits, 0),
    });
  }
  return undefined;
}

function round(v: number, how: Rounding): number {
  if (how === "truncate") return Math.trunc(v);
  if (how === "down") return Math.floor(v);
  if (how === "away") return v < 0 ? Math.ceil(v - 0.5) : Math.floor(v + 0.5);
  const low = Math.floor(v);
  const part = v - low;
  return part > 0.5 || (part === 0.5 && low % 2 !== 0) ? low + 1 : low;
}

/** x[from …] → codes and scale, f32 as the engines do it. */
export function quantizeBlock(m: BlockModel, x: Float32Array, from: number, q: Quant): Codes {
  const { size, bits, kind } = m;
  const codes = new Uint8Array(size);
  const divisor = q.divisor ?? m.divisor;
  const how = q.rounding ?? "away";
  const top = 2 ** bits - 1;
  const realizar = m.scaleBytes === 4;
  const toStored = (d: number): number => (q.roundedScale && !realizar ? fromF16(toF16(d)) : d);
  let amax = 0;
  let signed = 0;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let i = from; i < from + size; i++) {
    const v = x[i]!;
    if (Math.abs(v) > amax) {
      amax = Math.abs(v);
      signed = v;
    }
    if (v < min) min = v;
    if (v > max) max = v;
  }
  if (kind === "affine") {
    let d = fround(fround(max - min) / divisor);
    if (m.name.startsWith("vllm")) d = Math.max(d, fround(1e-8));
    const used = toStored(d);
    const base = q.roundedMin ? fromF16(toF16(min)) : min;
    const id = used !== 0 ? fround(1 / used) : 0;
    for (let i = 0; i < size; i++) {
      const t = m.name.startsWith("vllm")
        ? fround(fround(x[from + i]! - base) / used)
        : fround(fround(x[from + i]! - base) * id);
      const v =
        how === "truncate" ? Math.trunc(t) : how === "even" ? round(t, "even") : Math.trunc(fround(t + 0.5));
      codes[i] = Math.max(0, Math.min(top, v || 0));
    }
    return { codes, d, m: min };
  }
  if (realizar && amax < fround(1e-10)) return { codes, d: 0, m: 0 };
  let d =
    kind === "amax"
      ? fround(amax / divisor)
      : fround((q.unsignedMax ? q.unsignedMax * amax : signed) / divisor);
  const used = toStored(d);
  if (q.roundedScale && kind === "amax" && realizar) d = used;
  const id = used !== 0 ? fround(1 / used) : 0;
  for (let i = 0; i < size; i++) {
    const t = fround(x[from + i]! * id);
    if (kind === "amax") {
      const half = realizar && bits === 4 ? 8 : 128;
      const low = realizar && bits === 8 ? -127 : -half;
      codes[i] = (Math.max(low, Math.min(half - 1, round(t, how))) + m.offset) & top;
    } else {
      const v =
        how === "away" || how === "down"
          ? Math.trunc(fround(t + (how === "away" ? m.offset + 0.5 : m.offset)))
          : round(t, how) + m.offset;
      codes[i] = Math.max(0, Math.min(top, v || 0));
    }
  }
  return { codes, d, m: 0 };
}

/** Ways to quantise wrongly. */
export function quantFaults(m: BlockModel): Quant[] {
  const out: Quant[] = [
    { id: "quant-truncate", note: "codes truncated, not rounded", rounding: "truncate" },
    ...(m.kind === "affine"
      ? []
      : [{ id: "quant-truncate", note: "codes cut downward, no half added", rounding: "down" as const }]),
    { id: "quant-half-even", note: "halves rounded to even", rounding: "even" },
    { id: "quant-rounded-scale", note: "codes chosen with the scale rounded to a half", roundedScale: true },
  ];
  if (m.kind === "affine")
    out.push({
      id: "quant-rounded-scale",
      note: "codes chosen with scale and minimum rounded to halves",
      roundedScale: true,
      roundedMin: true,
    });
  if (m.kind === "signed-max")
    out.push(
      { id: "quant-unsigned-max", note: "scale from |max|, negative divisor", unsignedMax: 1 },
      { id: "quant-unsigned-max", note: "scale from |max|, positive", unsignedMax: -1 },
    );
  const divisors = new Set<number>();
  const base = Math.abs(m.divisor);
  const sign = Math.sign(m.divisor);
  for (const k of [
    base + 1,
    base - 1,
    -(base + 1),
    -(base - 1),
    -base,
    base * 2 + 1,
    2 * base,
    base + 0.5,
    base - 0.5,
    127,
    128,
    7,
    8,
    15,
    16,
    31,
    32,
    255,
    256,
  ])
    divisors.add(k * sign);
  divisors.delete(m.divisor);
  for (const divisor of divisors) {
    if (m.kind !== "signed-max" && divisor < 0) continue;
    out.push({ id: "quant-scale", note: `divided by ${divisor} in place of ${m.divisor}`, divisor });
    if (m.kind === "signed-max" && divisor > 0)
      out.push({ id: "quant-unsigned-max", note: `scale |max|/${divisor}`, unsignedMax: 1, divisor });
  }
  return out;
}

const stored = (m: BlockModel, bytes: Uint8Array, at: number): number =>
  m.scaleBytes === 4 ? getF32(bytes, at) : fromF16(bytes[at]! | (bytes[at + 1]! << 8));

/** Block by block: scale within one half, flips within 1e-6 of a rounding boundary. */
function compareBlocks(
  m: BlockModel,
  x: Float32Array,
  dim: number,
  ref: Uint8Array,
  packed: Uint8Array,
): Comparison {
  const wrong = new Set<number>();
  let first: FirstDifference | null = null;
  let normUlps = 0;
  let boundaryFlips = 0;
  const perVector = dim / m.size;
  const a = new Uint8Array(m.size);
  const b = new Uint8Array(m.size);
  for (let k = 0; k * m.bytes < ref.length; k++) {
    const at = k * m.bytes;
    let same = true;
    for (let i = at; i < at + m.bytes && same; i++) same = ref[i] === packed[i];
    if (same) continue;
    const vector = Math.floor(k / perVector);
    const base = (k % perVector) * m.bytes;
    const fail = (d: FirstDifference): void => {
      wrong.add(vector);
      first ??= d;
    };
    readCodes(ref, at, m.layout, m.bits, 0, a);
    readCodes(packed, at, m.layout, m.bits, 0, b);
    const { d, m: min } = quantizeBlock(m, x, k * m.size, { note: "" });
    let norm = 0;
    for (let i = 0; i < m.size; i++) norm += x[k * m.size + i]! ** 2;
    norm = Math.sqrt(norm);
    for (let i = 0; i < m.size; i++) {
      if (a[i] === b[i]) continue;
      const t = m.kind === "affine" ? (x[k * m.size + i]! - min) / d : x[k * m.size + i]! / d;
      const off = Math.abs(Math.abs(t - Math.floor(t)) - 0.5) * Math.abs(d);
      const step = Math.abs(a[i]! - b[i]!);
      if ((step === 1 || step === 255) && off <= (FLIP_LIMIT + NOISE) * norm) boundaryFlips++;
      else
        fail({
          vector,
          field: "code",
          coordinate: (k % perVector) * m.size + i,
          byte: base + (m.layout[i * m.bits]! >> 3),
          expected: a[i]!,
          actual: b[i]!,
          distance: norm > 0 ? off / norm : 0,
        });
    }
    for (const where of m.minAt >= 0 ? [m.scaleAt, m.minAt] : [m.scaleAt]) {
      const due = stored(m, ref, at + where);
      const actual = stored(m, packed, at + where);
      if (Object.is(due, actual)) continue;
      const near =
        m.scaleBytes === 4 ? Math.abs(due - actual) <= 5e-7 * Math.abs(due) : halfSteps(due, actual) <= 1;
      if (near && Number.isFinite(due) === Number.isFinite(actual)) normUlps++;
      else
        fail({
          vector,
          field: where === m.minAt ? "minimum" : "scale",
          coordinate: null,
          byte: base + where,
          expected: due,
          actual,
        });
    }
  }
  return {
    first,
    faulty: wrong.size > 0,
    normUlps,
    boundaryFlips,
    wrong: [...wrong],
    ties:
      wrong.size === 0 && boundaryFlips >= 8 && roundsToEven(m, x, packed)
        ? { flipped: boundaryFlips, kept: 0, others: 0, id: "quant-half-even" }
        : { flipped: 0, kept: 0, others: 1 },
  };
}

/** Whether every code is what rounding halves to even makes of its value. */
function roundsToEven(m: BlockModel, x: Float32Array, packed: Uint8Array): boolean {
  const codes = new Uint8Array(m.size);
  for (let k = 0; k * m.bytes < packed.length; k++) {
    readCodes(packed, k * m.bytes, m.layout, m.bits, 0, codes);
    const even = quantizeBlock(m, x, k * m.size, { note: "", rounding: "even" }).codes;
    if (!codes.every((code, i) => code === even[i])) return false;
  }
  return true;
}
