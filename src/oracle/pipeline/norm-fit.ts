/**
 * A table of nobody's and the rule of its stored norms, found together: every rule is a product of powers of ‖x‖ (or of
 * a part of it), of ‖c‖ and of ⟨z,c⟩, so Gauss–Newton on the logarithms gives the levels that explain the norms best,
 * and the rule is the one that leaves least. Levels are held near the means of their cells, as far as one may guess.
 */
import type { NormRule } from "./wire.js";

export interface NormSample {
  /** ‖x‖. */
  readonly norm: number;
  readonly x: Float64Array;
  /** Per code: how often, and the sum of the values that have it. */
  readonly counts: Float64Array;
  readonly sums: Float64Array;
  readonly stored: number;
}

export interface NormFit {
  readonly id?: string;
  readonly note: string;
  readonly centroids: Float64Array;
  /** Per sample: within rounding of a half. */
  readonly fits: Uint8Array;
  readonly share: number;
}

interface PowerRule {
  readonly id?: string;
  readonly note: string;
  readonly base: (s: NormSample) => number;
  /** Powers of ⟨z,c⟩ and ‖c‖². */
  readonly inner: number;
  readonly square: number;
}

/** Deviation of a half's rounding, and of an f32 sum's, in logarithms. */
const ROUNDING = { half: 2.3e-4, wide: 1e-6 };
/** Deviation of a level from its cell's mean, in units of 1/√d. */
const GUESS = 0.3;
const ROUNDS = 6;

const partOf = (x: Float64Array, from: number, count: number): number => {
  let sum = 0;
  for (let i = Math.max(0, from); i < Math.min(x.length, from + count); i++) sum += x[i]! ** 2;
  return Math.sqrt(sum);
};

function powerRules(own: NormRule): PowerRule[] {
  const norm = (s: NormSample): number => s.norm;
  const square = (s: NormSample): number => s.norm ** 2;
  const all: (PowerRule & { rule?: NormRule })[] = [
    { rule: "norm-matching", note: "", base: norm, inner: 0, square: -0.5 },
    { rule: "least-squares", note: "", base: norm, inner: 1, square: -1 },
    { rule: "unbiased", note: "", base: norm, inner: -1, square: 0 },
    { id: "norm-squared", note: "‖x‖²/‖c‖ stored", base: square, inner: 0, square: -0.5 },
    { id: "norm-squared", note: "the square of the scale stored", base: square, inner: 0, square: -1 },
    { id: "scale-rule", note: "‖x‖·‖c‖: the correction multiplied", base: norm, inner: 0, square: 0.5 },
    { id: "scale-rule", note: "‖x‖⟨z,c⟩: not divided by ‖c‖²", base: norm, inner: 1, square: 0 },
    { id: "norm-ignored", note: "1/‖c‖ in place of the norm", base: () => 1, inner: 0, square: -0.5 },
    ...[32, 64].flatMap((run) => [
      {
        id: "norm-block",
        note: `corrected norm of the first ${run} values only`,
        base: (s: NormSample) => partOf(s.x, 0, run),
        inner: 0,
        square: -0.5,
      },
      {
        id: "norm-block",
        note: `corrected norm of the last ${run} values only`,
        base: (s: NormSample) => partOf(s.x, s.x.length - run, run),
        inner: 0,
        square: -0.5,
      },
    ]),
  ];
  return all
    .map((r) =>
      r.rule === undefined || r.rule === own
        ? r
        : { ...r, id: "scale-rule", note: `the ${r.rule} scale in place of ${own}` },
    )
    .sort((a, b) => (a.id ? 1 : 0) - (b.id ? 1 : 0));
}

/** group: values of a group. Undefined where no rule explains the norms. */
export function fitNorms(
  own: NormRule,
  samples: readonly NormSample[],
  group: number,
  wide: boolean,
): NormFit | undefined {
  const rounding = wide ? ROUNDING.wide : ROUNDING.half;
  const usable = samples.filter((s) => s.stored > 1e-3 && s.stored < 6e4 && s.norm > 1e-6);
  const codes = samples[0]?.counts.length ?? 0;
  if (usable.length < 0.75 * codes + 4) return undefined;
  let best: { rule: PowerRule; centroids: Float64Array; cost: number } | undefined;
  for (const rule of powerRules(own)) {
    const fit = solve(rule, usable, group, rounding);
    if (!fit) continue;
    // The format's own rule first: another has to be clearly better.
    if (!best || fit.cost < best.cost - (best.rule.id ? 0 : 24)) best = { rule, ...fit };
  }
  if (!best || best.cost > 3 * usable.length + 20) return undefined;
  const { rule, centroids } = best;
  const fits = Uint8Array.from(samples, (s) =>
    Math.abs(residual(rule, s, centroids)) < 4 * rounding ? 1 : 0,
  );
  const share = fits.reduce((a, b) => a + b, 0) / samples.length;
  return { ...(rule.id ? { id: rule.id } : {}), note: rule.note, centroids, fits, share };
}

function parts(s: NormSample, c: Float64Array): { inner: number; square: number } {
  let inner = 0;
  let square = 0;
  for (let k = 0; k < c.length; k++) {
    inner += s.sums[k]! * c[k]!;
    square += s.counts[k]! * c[k]! * c[k]!;
  }
  return { inner, square };
}

function residual(rule: PowerRule, s: NormSample, c: Float64Array): number {
  const { inner, square } = parts(s, c);
  return Math.log(s.stored / rule.base(s)) - rule.inner * Math.log(inner) - rule.square * Math.log(square);
}

/** Gauss–Newton: levels and what is left of the norms and of the guess, in deviations. */
function solve(
  rule: PowerRule,
  samples: readonly NormSample[],
  group: number,
  rounding: number,
): { centroids: Float64Array; cost: number } | undefined {
  const n = samples[0]!.counts.length;
  const counts = new Float64Array(n);
  const start = new Float64Array(n);
  for (const s of samples)
    for (let k = 0; k < n; k++) {
      counts[k]! += s.counts[k]!;
      start[k]! += s.sums[k]!;
    }
  for (let k = 0; k < n; k++) start[k] = counts[k]! > 0 ? start[k]! / counts[k]! : 0;
  const pull = 1 / (GUESS / Math.sqrt(group)) ** 2;
  const weight = 1 / rounding ** 2;
  const c = start.slice();
  for (let round = 0; round < ROUNDS; round++) {
    const a = Array.from({ length: n }, () => new Float64Array(n + 1));
    for (const s of samples) {
      const { inner, square } = parts(s, c);
      const r = residual(rule, s, c);
      if (!Number.isFinite(r)) return undefined;
      const row = Float64Array.from(
        { length: n },
        (_, k) => (rule.inner * s.sums[k]!) / inner + (rule.square * 2 * s.counts[k]! * c[k]!) / square,
      );
      for (let i = 0; i < n; i++) {
        if (row[i] === 0) continue;
        for (let j = 0; j < n; j++) a[i]![j]! += weight * row[i]! * row[j]!;
        a[i]![n]! += weight * row[i]! * r;
      }
    }
    for (let k = 0; k < n; k++) {
      a[k]![k]! += pull;
      a[k]![n]! += pull * (start[k]! - c[k]!);
    }
    const step = eliminated(a);
    for (let k = 0; k < n; k++) c[k]! += step[k]!;
  }
  let cost = 0;
  for (const s of samples) cost += weight * residual(rule, s, c) ** 2;
  for (let k = 0; k < n; k++) cost += pull * (c[k]! - start[k]!) ** 2;
  return Number.isFinite(cost) ? { centroids: c, cost } : undefined;
}

/** Solution of a positive definite system, (n, n + 1); the matrix is used up. */
function eliminated(a: Float64Array[]): Float64Array {
  const n = a.length;
  for (let i = 0; i < n; i++)
    for (let r = i + 1; r < n; r++) {
      const f = a[r]![i]! / a[i]![i]!;
      if (f !== 0) for (let j = i; j <= n; j++) a[r]![j]! -= f * a[i]![j]!;
    }
  const x = new Float64Array(n);
  for (let i = n - 1; i >= 0; i--) {
    let sum = a[i]![n]!;
    for (let j = i + 1; j < n; j++) sum -= a[i]![j]! * x[j]!;
    x[i] = sum / a[i]![i]!;
  }
  return x;
}
