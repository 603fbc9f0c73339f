/** Which table did the fork use? Known tables, and what its boundaries alone say about it. */
import { lloydMax } from "../core/lloyd-max.js";
import { inverseNormal } from "../core/normal.js";
import { LLAMA_FOUR, LLAMA_THREE, LLAMA_TWO } from "../formats/llama-codebooks.js";
import { ONNX_CODEBOOK } from "../formats/onnxruntime.js";
import { vllmCodebook } from "../formats/vllm-centroids.js";
import type { Wire } from "./wire.js";

/** Between which values each boundary lies, as far as the evidence tells. */
export interface Brackets {
  readonly low: Float64Array;
  readonly high: Float64Array;
}

export interface Table {
  readonly id: string;
  readonly note: string;
  readonly boundaries: Float64Array;
  readonly centroids: Float64Array;
  /** The code that is written for each cell, where it is not the cell's number. */
  readonly relabel?: Uint8Array;
}

const midpoints = (c: Float64Array): Float64Array =>
  Float64Array.from({ length: c.length - 1 }, (_, i) => (c[i]! + c[i + 1]!) / 2);

const density = (t: number): number => Math.exp((-t * t) / 2) / Math.sqrt(2 * Math.PI);

/** Abramowitz and Stegun 26.2.17 is too coarse here: the distribution by its continued fraction and series. */
export function normalCdf(t: number): number {
  if (t < 0) return 1 - normalCdf(-t);
  if (t > 8) return 1;
  let term = t;
  let sum = t;
  for (let k = 1; k < 200 && Math.abs(term) > 1e-17 * Math.abs(sum); k++)
    sum += term *= (t * t) / (2 * k + 1);
  return 0.5 + density(t) * sum;
}

/** One Lloyd iteration for N(0,1). */
function lloydStep(c: Float64Array): Float64Array {
  const b = midpoints(c);
  return c.map((v, k) => {
    const a = k === 0 ? -12 : b[k - 1]!;
    const z = k === c.length - 1 ? 12 : b[k]!;
    const mass = normalCdf(z) - normalCdf(a);
    return mass > 1e-300 ? (density(a) - density(z)) / mass : v;
  });
}

const lloyds = new Map<number, Table[]>();

/** Lloyd–Max of N(0,1) stopped early, from quantiles and from uniform starts. */
function stoppedEarly(bits: number): Table[] {
  const known = lloyds.get(bits);
  if (known) return known;
  const levels = 2 ** bits;
  const starts: [string, (k: number) => number][] = [
    ["quantiles", (k) => inverseNormal((k + 0.5) / levels)],
    ["quantiles k/(n+1)", (k) => inverseNormal((k + 1) / (levels + 1))],
    ["uniform ±3σ", (k) => -3 + (6 * (k + 0.5)) / levels],
    ["uniform ±4σ", (k) => -4 + (8 * (k + 0.5)) / levels],
    ["uniform ±3σ, ends included", (k) => -3 + (6 * k) / (levels - 1)],
    ["uniform ±2σ, ends included", (k) => -2 + (4 * k) / (levels - 1)],
  ];
  const out: Table[] = [];
  for (const [start, at] of starts) {
    let c: Float64Array = Float64Array.from({ length: levels }, (_, k) => at(k));
    for (let t = 0; t <= 100; t++) {
      if (!(t === 0 && start.startsWith("uniform")))
        out.push({
          id: "codebook-unconverged",
          note: `Lloyd from ${start}, ${t} iterations`,
          boundaries: midpoints(c),
          centroids: c,
        });
      c = lloydStep(c);
    }
  }
  // Cells of equal probability with their conditional means.
  const edges = Float64Array.from({ length: levels - 1 }, (_, k) => inverseNormal((k + 1) / levels));
  out.push({
    id: "codebook-unconverged",
    note: "cells of equal probability",
    boundaries: edges,
    centroids: Float64Array.from({ length: levels }, (_, k) => inverseNormal((k + 0.5) / levels)),
  });
  lloyds.set(bits, out);
  return out;
}

const scaled = (
  t: { readonly boundaries: ArrayLike<number>; readonly centroids: ArrayLike<number> },
  k: number,
) => ({
  boundaries: Float64Array.from(Array.from(t.boundaries), (v) => v * k),
  centroids: Float64Array.from(Array.from(t.centroids), (v) => v * k),
});

/** Tables that somebody really uses at this width, in units of a unit group. */
export function knownTables(wire: Wire): Table[] {
  const { bits, group } = wire;
  const root = 1 / Math.sqrt(group);
  const out: Table[] = [];
  const add = (
    id: string,
    note: string,
    t: { boundaries: ArrayLike<number>; centroids: ArrayLike<number> },
    k = 1,
  ): void => {
    out.push({ id, note, ...scaled(t, k) });
  };
  if (bits <= 4 && bits > 1) {
    const book = [LLAMA_TWO, LLAMA_THREE, LLAMA_FOUR][bits - 2]!;
    const unconverged = bits === 4;
    add(
      unconverged ? "codebook-unconverged" : "codebook-mismatch",
      `the llama fork's turbo${bits} table`,
      book,
      Math.sqrt(128) * root,
    );
    if (group !== 128) add("codebook-sigma", `the llama fork's turbo${bits} table of d = 128`, book);
  }
  const exact = lloydMax({ bits, distribution: "gaussian" });
  add("codebook-mismatch", "the converged Lloyd–Max table of N(0, 1/d)", tableOf(exact), root);
  if (group > 3)
    add(
      "codebook-mismatch",
      "the converged Lloyd–Max table of the sphere",
      tableOf(lloydMax({ bits, distribution: { sphere: group } })),
      bits > 4 ? 1 : 1,
    );
  if (bits === 4)
    add(group === 128 ? "codebook-mismatch" : "codebook-sigma", "ONNX Runtime's table", ONNX_CODEBOOK);
  if (bits === 3 || bits === 4)
    for (const d of [64, 128, 256])
      add(
        d === group ? "codebook-mismatch" : "codebook-sigma",
        `vLLM's table of d = ${d}`,
        vllmCodebook(d, bits),
      );
  for (const d of [64, 128, 256])
    if (d !== group) add("codebook-sigma", `the table of d = ${d}`, tableOf(exact), 1 / Math.sqrt(d));
  return out;
}

const tableOf = (
  l: ReturnType<typeof lloydMax>,
): { boundaries: ArrayLike<number>; centroids: ArrayLike<number> } => l;

const inside = (b: ArrayLike<number>, k: Brackets, slack: number): boolean => {
  for (let i = 0; i < k.low.length; i++)
    if (!(b[i]! >= k.low[i]! - slack && b[i]! <= k.high[i]! + slack)) return false;
  return true;
};

/** Tables whose boundaries the evidence allows, the likeliest first. `shape` compares centroids where they are known. */
export function matchingTables(wire: Wire, brackets: Brackets): Table[] {
  const { bits, group, boundaries, centroids } = wire;
  const slack = 2e-5 / Math.sqrt(group / 128);
  const out: Table[] = [];
  const count = boundaries.length;
  // Multiples of the format's own table: the range of factors that the brackets leave.
  let least = 0;
  let most = Number.POSITIVE_INFINITY;
  let ok = true;
  const wide = wire.tieDown ? 1.5e-4 : slack; // boundaries of four digits are no midpoints

  for (let i = 0; i < count; i++) {
    const b = boundaries[i]!;
    if (Math.abs(b) < 1e-12) ok &&= brackets.low[i]! <= wide && brackets.high[i]! >= -wide;
    else {
      const [lo, hi] =
        b > 0
          ? [brackets.low[i]! - wide, brackets.high[i]! + wide]
          : [-brackets.high[i]! - wide, -brackets.low[i]! + wide];
      least = Math.max(least, lo / Math.abs(b));
      most = Math.min(most, hi / Math.abs(b));
    }
  }
  const scalable = ok && least <= most && most < Number.POSITIVE_INFINITY && count > 1;
  const factor = scalable ? niceFactor(least, most, group) : 1;
  const uniform = uniformTable(brackets, slack, bits);
  if (uniform && bits > 2) out.push(uniform);
  if (scalable && (factor > 1.01 || factor < 0.99) && bits > 2)
    out.push({
      id: "codebook-sigma",
      note: `the format's table times ${factor.toFixed(4)}`,
      ...scaled({ boundaries, centroids }, factor),
    });
  for (const t of knownTables(wire)) if (inside(t.boundaries, brackets, slack)) out.push(t);
  if (scalable && (factor > 1.01 || factor < 0.99) && bits <= 2)
    out.push({
      id: "codebook-sigma",
      note: `the format's table times ${factor.toFixed(4)}`,
      ...scaled({ boundaries, centroids }, factor),
    });
  if (uniform && bits <= 2) out.push(uniform);
  const root = 1 / Math.sqrt(group);
  const early = bits <= 6 ? stoppedEarly(bits) : [];
  for (const t of early) {
    const unit = scaled(t, root);
    if (inside(unit.boundaries, brackets, slack)) out.push({ id: t.id, note: t.note, ...unit });
  }
  return out;
}

/** A well-known factor in the range, else its middle. */
function niceFactor(least: number, most: number, group: number): number {
  for (const k of [1, Math.SQRT1_2, Math.SQRT2, Math.sqrt(128 / group), Math.sqrt(group / 128), 0.61, 0.5, 2])
    if (k >= least && k <= most) return k;
  return (least + most) / 2;
}

/** Equal spacing that lies inside the brackets, symmetric about zero. */
function uniformTable(k: Brackets, slack: number, bits: number): Table | undefined {
  const n = k.low.length;
  if (n < 3) return undefined;
  const middle = (n - 1) / 2;
  let least = 0;
  let most = Number.POSITIVE_INFINITY;
  for (let i = 0; i < n; i++) {
    const m = i - middle;
    if (m === 0) {
      if (k.low[i]! > slack || k.high[i]! < -slack) return undefined;
    } else {
      const [lo, hi] =
        m > 0 ? [k.low[i]! - slack, k.high[i]! + slack] : [-k.high[i]! - slack, -k.low[i]! + slack];
      least = Math.max(least, lo / Math.abs(m));
      most = Math.min(most, hi / Math.abs(m));
    }
  }
  if (least > most || most === Number.POSITIVE_INFINITY) return undefined;
  const step = (least + most) / 2;
  const boundaries = Float64Array.from({ length: n }, (_, i) => (i - middle) * step);
  const centroids = Float64Array.from({ length: 2 ** bits }, (_, i) => (i - (2 ** bits - 1) / 2) * step);
  return { id: "codebook-uniform", note: `levels ${step.toFixed(5)} apart`, boundaries, centroids };
}
