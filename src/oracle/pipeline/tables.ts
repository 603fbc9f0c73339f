/** Which table did the fork use? Known tables, and what its boundaries alone say about it. */
import { lloydMax } from "../../core/lloyd-max.js";
import { inverseNormal } from "../../core/normal.js";
import { LLAMA_FOUR, LLAMA_THREE, LLAMA_TWO } from "../../formats/llama-codebooks.js";
import { ONNX_CODEBOOK } from "../../formats/onnxruntime.js";
import { vllmCodebook } from "../../formats/vllm-centroids.js";
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
  /** The same where several cells have one code: centroids are those of the cells. */
  readonly merged?: Uint8Array;
  /** Taken off what it explains: something else is likelier that explains as much. */
  readonly doubt?: number;
  /** Its size is an estimate, to a percent or so: norms say the rest. */
  readonly estimate?: "size" | "shape";
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

const early = new Map<string, readonly Table[]>();

/** The same in units of a unit group. */
function stoppedInUnits(bits: number, group: number): readonly Table[] {
  const key = `${bits}/${group}`;
  const before = early.get(key);
  if (before) return before;
  const root = 1 / Math.sqrt(group);
  const all =
    bits <= 6 ? stoppedEarly(bits).map((t) => ({ id: t.id, note: t.note, ...scaled(t, root) })) : [];
  early.set(key, all);
  return all;
}

const scaled = (
  t: { readonly boundaries: ArrayLike<number>; readonly centroids: ArrayLike<number> },
  k: number,
) => ({
  boundaries: Float64Array.from(Array.from(t.boundaries), (v) => v * k),
  centroids: Float64Array.from(Array.from(t.centroids), (v) => v * k),
});

const named = new Map<string, readonly Table[]>();

/** Tables that somebody really uses at this width, in units of a unit group. */
export function knownTables(wire: Wire): readonly Table[] {
  const key = `${wire.bits}/${wire.group}`;
  const before = named.get(key);
  if (before) return before;
  const all = tablesInUse(wire);
  named.set(key, all);
  return all;
}

function tablesInUse(wire: Wire): Table[] {
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

/** Every table that somebody is known to use or may have stopped at, in units of a unit group; not the format's own. */
export function candidateTables(wire: Wire): Table[] {
  return [...knownTables(wire), ...stoppedInUnits(wire.bits, wire.group)].filter((t) => differs(wire, t));
}

const tableOf = (
  l: ReturnType<typeof lloydMax>,
): { boundaries: ArrayLike<number>; centroids: ArrayLike<number> } => l;

/** Another table than the format's, not its neighbour in the last digits. */
const differs = (wire: Wire, t: Table): boolean =>
  t.centroids.some((c, i) => Math.abs(c - wire.centroids[i]!) > 4e-3 * Math.abs(wire.centroids[i]!));

const inside = (b: ArrayLike<number>, k: Brackets, slack: number): boolean => {
  for (let i = 0; i < k.low.length; i++)
    if (!(b[i]! >= k.low[i]! - slack && b[i]! <= k.high[i]! + slack)) return false;
  return true;
};

/** How far levels (NaN: not seen) are from a table's, in units of its largest, after the best common factor. */
export function misfit(table: Float64Array, levels: Float64Array): number {
  let tl = 0;
  let ll = 0;
  let most = 0;
  levels.forEach((v, k) => {
    if (Number.isNaN(v)) return;
    tl += v * table[k]!;
    ll += v * v;
    most = Math.max(most, Math.abs(table[k]!));
  });
  const by = ll > 0 ? tl / ll : 0;
  let worst = by > 0 ? 0 : 1;
  levels.forEach((v, k) => {
    if (!Number.isNaN(v)) worst = Math.max(worst, Math.abs(by * v - table[k]!) / most);
  });
  return worst;
}

/**
 * Tables whose boundaries the evidence allows, the likeliest first. levels: where the evidence shows them, in any unit
 * (NaN: not seen); then only tables of that shape.
 */
export function matchingTables(wire: Wire, brackets: Brackets, levels?: Float64Array): Table[] {
  const { bits, group, boundaries, centroids } = wire;
  const slack = 2e-5 / Math.sqrt(group / 128);
  const wide = wire.tieDown ? 1.5e-4 : slack; // boundaries of four digits are no midpoints
  const all: Table[] = [];
  const factor = commonFactor(boundaries, brackets, wide);
  const own = factor && (factor[0] > 1.005 || factor[1] < 0.995) ? niceFactor(...factor, group) : undefined;
  const sigma: Table[] =
    own === undefined || (own > 0.99 && own < 1.01)
      ? []
      : [
          {
            id: "codebook-sigma",
            note: `the format's table times ${own.toFixed(4)}`,
            ...scaled({ boundaries, centroids }, own),
            estimate: "size",
          },
        ];
  const uniform = uniformTable(brackets, slack, bits);
  if (uniform && bits > 2) all.push(uniform);
  if (bits > 2) all.push(...sigma);
  const format = inside(boundaries, brackets, 4e-6);
  for (const t of knownTables(wire))
    if ((!format || differs(wire, t)) && inside(t.boundaries, brackets, slack)) all.push(t);
  if (bits <= 2) all.push(...sigma);
  for (const t of stoppedInUnits(bits, group)) if (inside(t.boundaries, brackets, slack)) all.push(t);
  if (uniform && bits <= 2) all.push(uniform);
  if (!levels) return all;
  const fitting = all
    .map((t, i) => ({ t, i, off: misfit(t.centroids, levels) }))
    .filter(({ off }) => off < 4e-3);
  // Rounded to what printed digits can tell, then as they come.
  return fitting.sort((a, b) => Math.round((a.off - b.off) / 4e-4) || a.i - b.i).map(({ t }) => t);
}

/** Factors that bring the boundaries into the brackets: least and most. */
function commonFactor(
  boundaries: Float64Array,
  brackets: Brackets,
  slack: number,
): [number, number] | undefined {
  let least = 0;
  let most = Number.POSITIVE_INFINITY;
  for (const [i, b] of boundaries.entries()) {
    const low = brackets.low[i]! - slack;
    const high = brackets.high[i]! + slack;
    if (Math.abs(b) < 1e-12) {
      if (low > 0 || high < 0) return undefined;
    } else {
      least = Math.max(least, b > 0 ? low / b : high / b);
      most = Math.min(most, b > 0 ? high / b : low / b);
    }
  }
  return least <= most && most < Number.POSITIVE_INFINITY && boundaries.length > 1
    ? [least, most]
    : undefined;
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
  const ramp = Float64Array.from({ length: n }, (_, i) => i - middle);
  const range = commonFactor(ramp, k, slack);
  if (!range) return undefined;
  const step = (range[0] + range[1]) / 2;
  const boundaries = ramp.map((v) => v * step);
  const centroids = Float64Array.from({ length: 2 ** bits }, (_, i) => (i - (2 ** bits - 1) / 2) * step);
  return {
    id: "codebook-uniform",
    note: `levels ${step.toFixed(5)} apart`,
    boundaries,
    centroids,
    estimate: "size",
  };
}
