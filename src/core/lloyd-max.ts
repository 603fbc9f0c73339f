/**
 * Lloyd–Max: the scalar quantiser of least mean squared error (Lloyd 1957/1982, Max 1960). Its fixed point:
 * boundaries are midpoints of centroids, centroids are conditional means of their cells.
 *
 * Three distributions: N(0,1); one coordinate of a uniformly random unit vector in dim dimensions, whose density is
 * ∝ (1 − t²)^((dim−3)/2) (TurboQuant, Lemma 1); and PolarQuant's angles. All are handled through a variable in which
 * the density is smooth: t itself, and for the sphere the angle θ with t = sin θ, density ∝ cos^(dim−2) θ. Masses
 * come from composite Gauss–Legendre quadrature. A few Lloyd steps, then Newton on the symmetric half, to 1e-14 in
 * f64. (4 bits need thousands of plain Lloyd steps; stopping at 100 is a known fault.)
 *
 * Theory, not the bit path: Math.exp and friends are welcome here. The kernels use the frozen tables of codebook.ts.
 */
import { assertInteger } from "./check.js";

/**
 * N(0,1); a coordinate of a uniform unit vector of that many dimensions; or the angle of level ≥ 2 of recursive polar
 * coordinates, counted from π/4 (recursive-polar.ts).
 */
export type Distribution = "gaussian" | { readonly sphere: number } | { readonly polar: number };

/** A solved codebook, in f64. */
export interface LloydMax {
  readonly bits: number;
  readonly distribution: Distribution;
  /** 2^bits values, ascending, odd-symmetric. */
  readonly centroids: Float64Array;
  /** 2^bits − 1 midpoints, ascending. */
  readonly boundaries: Float64Array;
  /** E(t − t̂)²/E t²: relative distortion D; what a decoder that returns zeros has is 1. */
  readonly distortion: number;
}

/** What the solver needs to know of a symmetric distribution, in a variable u ≥ 0 with t = t(u) increasing. */
interface Density {
  readonly value: (u: number) => number; // t
  readonly variable: (t: number) => number; // u
  /** Density of t at u, up to the factor that mass() and firstMoment() share. */
  readonly density: (u: number) => number;
  /** ∫ density du-measure from a to b. */
  readonly mass: (a: number, b: number) => number;
  /** ∫ t × density measure from a to b. */
  readonly firstMoment: (a: number, b: number) => number;
  readonly end: number; // beyond it the mass is below 1e-30
  readonly total: number; // mass of u ≥ 0
  readonly variance: number;
}

// Gauss–Legendre nodes and weights on [-1, 1], 16 points, by Newton on the Legendre polynomial.
const NODES = 16;
const node = new Float64Array(NODES);
const weight = new Float64Array(NODES);
for (let i = 0; i < NODES; i++) {
  let x = Math.cos((Math.PI * (i + 0.75)) / (NODES + 0.5));
  let slope = 1;
  for (let step = 0; step < 8; step++) {
    let below = 1;
    let value = x;
    for (let k = 2; k <= NODES; k++)
      [below, value] = [value, ((2 * k - 1) * x * value - (k - 1) * below) / k];
    slope = (NODES * (x * value - below)) / (x * x - 1);
    x -= value / slope;
  }
  node[i] = x;
  weight[i] = 2 / ((1 - x * x) * slope * slope);
}

function integrate(f: (u: number) => number, a: number, b: number, panel: number): number {
  const panels = Math.max(1, Math.ceil((b - a) / panel));
  const half = (b - a) / panels / 2;
  let sum = 0;
  for (let p = 0; p < panels; p++) {
    const middle = a + (2 * p + 1) * half;
    for (let i = 0; i < NODES; i++) sum += weight[i]! * f(middle + half * node[i]!);
  }
  return sum * half;
}

function gaussianDensity(): Density {
  const density = (t: number): number => Math.exp(-0.5 * t * t);
  const end = 14;
  const mass = (a: number, b: number): number => integrate(density, a, Math.min(b, end), 0.5);
  return {
    value: (u) => u,
    variable: (t) => t,
    density,
    mass,
    firstMoment: (a, b) => density(a) - (b >= end ? 0 : density(b)),
    end,
    total: Math.sqrt(Math.PI / 2),
    variance: 1,
  };
}

function sphereDensity(dim: number): Density {
  const end = Math.min(Math.PI / 2, 14 / Math.sqrt(dim - 2));
  const measure = (u: number): number => Math.cos(u) ** (dim - 2);
  const mass = (a: number, b: number): number =>
    integrate(measure, a, Math.min(b, end), 0.5 / Math.sqrt(dim));
  const tail = (u: number): number => (u >= end ? 0 : Math.cos(u) ** (dim - 1) / (dim - 1));
  return {
    value: Math.sin,
    variable: (t) => Math.asin(Math.min(1, t)),
    density: (u) => Math.cos(u) ** (dim - 3), // dP/dt = measure · du/dt, du/dt = 1/cos u
    mass,
    firstMoment: (a, b) => tail(a) - tail(b),
    end,
    total: mass(0, end),
    variance: 1 / dim,
  };
}

/** Level l: ψ in [0, π/2] has density ∝ sin^(2^(l−1)−1)(2ψ); t = ψ − π/4. */
function polarDensity(level: number): Density {
  const exponent = 2 ** (level - 1) - 1;
  const density = (t: number): number => Math.cos(2 * t) ** exponent;
  const end = Math.PI / 4;
  const mass = (a: number, b: number): number => integrate(density, a, b, 0.1);
  return {
    value: (u) => u,
    variable: (t) => t,
    density,
    mass,
    firstMoment: (a, b) => integrate((t) => t * density(t), a, b, 0.1),
    end,
    total: mass(0, end),
    variance: integrate((t) => t * t * density(t), 0, end, 0.1) / mass(0, end),
  };
}

const LLOYD_STEPS = 30;
const NEWTON_STEPS = 60;

/**
 * The Lloyd–Max quantiser of a distribution.
 * bits: 1..8 · distribution: "gaussian", { sphere: dim ≥ 8 } (centroids in units of the unit vector), { polar: level }.
 */
export function lloydMax(options: { readonly bits: number; readonly distribution: Distribution }): LloydMax {
  const { bits, distribution } = options;
  assertInteger(bits, "bits", 1, 8);
  const d = densityOf(distribution);
  const half = 1 << (bits - 1);
  const c = startingPoints(half, d);
  const edge = new Float64Array(half + 1); // cell k is [edge k, edge k+1), edge 0 = 0
  const mass = new Float64Array(half);
  const mean = new Float64Array(half);

  const cells = (): void => {
    for (let k = 1; k < half; k++) edge[k] = d.variable((c[k - 1]! + c[k]!) / 2);
    edge[half] = d.end;
    for (let k = 0; k < half; k++) {
      mass[k] = d.mass(edge[k]!, edge[k + 1]!);
      mean[k] = d.firstMoment(edge[k]!, edge[k + 1]!) / mass[k]!;
    }
  };

  for (let step = 0; step < LLOYD_STEPS; step++) {
    cells();
    c.set(mean);
  }
  for (let step = 0; step < NEWTON_STEPS; step++) {
    cells();
    if (newtonStep(c, edge, mass, mean, d) < 1e-15 * Math.sqrt(d.variance)) break;
  }
  cells();

  const centroids = new Float64Array(2 * half);
  for (let k = 0; k < half; k++) {
    centroids[half + k] = c[k]!;
    centroids[half - 1 - k] = -c[k]!;
  }
  const boundaries = Float64Array.from(
    { length: 2 * half - 1 },
    (_, i) => (centroids[i]! + centroids[i + 1]!) / 2,
  );
  // At the fixed point E(t − t̂)² = E t² − E t̂².
  let explained = 0;
  for (let k = 0; k < half; k++) explained += (mass[k]! / d.total) * c[k]! * c[k]!;
  return { bits, distribution, centroids, boundaries, distortion: 1 - explained / d.variance };
}

function densityOf(distribution: Distribution): Density {
  if (distribution === "gaussian") return gaussianDensity();
  if (typeof distribution === "object" && distribution !== null) {
    if ("polar" in distribution) {
      assertInteger(distribution.polar, "distribution.polar", 2, 16);
      return polarDensity(distribution.polar);
    }
    if ("sphere" in distribution) {
      assertInteger(distribution.sphere, "distribution.sphere", 8, 1 << 24);
      return sphereDensity(distribution.sphere);
    }
  }
  throw new TypeError(`"distribution" expected "gaussian" or { sphere: dim }, got ${String(distribution)}`);
}

/** Panter–Dite: for many levels the best point density is ∝ density^(1/3), here a normal of √3 times the width. */
function startingPoints(half: number, d: Density): Float64Array {
  const width = Math.sqrt(3 * d.variance);
  const least = 1 / (4 * half);
  return Float64Array.from({ length: half }, (_, k) => {
    const p = (k + 0.5) / half; // of the half-normal
    const t = width * Math.SQRT2 * inverseErf(Math.min(p, 1 - least));
    return Math.min(t, d.value(d.end) * (0.9 + (0.1 * k) / half));
  });
}

/** Winitzki's approximation, 2e-3: good enough to start from. */
function inverseErf(y: number): number {
  const a = 0.147;
  const l = Math.log(1 - y * y);
  const b = 2 / (Math.PI * a) + l / 2;
  return Math.sqrt(Math.sqrt(b * b - l / a) - b);
}

/** One Newton step for c − mean(c) = 0: the Jacobian is tridiagonal. Returns the largest correction. */
function newtonStep(
  c: Float64Array,
  edge: Float64Array,
  mass: Float64Array,
  mean: Float64Array,
  d: Density,
): number {
  const n = c.length;
  const diagonal = new Float64Array(n);
  const below = new Float64Array(n);
  const above = new Float64Array(n);
  const right = new Float64Array(n);
  for (let k = 0; k < n; k++) {
    // ∂mean/∂(lower edge) = f(a)(mean − a)/mass, ∂mean/∂(upper edge) = f(b)(b − mean)/mass; an edge moves by half.
    const lower = k === 0 ? 0 : (d.density(edge[k]!) * (mean[k]! - d.value(edge[k]!))) / mass[k]! / 2;
    const upper =
      k === n - 1 ? 0 : (d.density(edge[k + 1]!) * (d.value(edge[k + 1]!) - mean[k]!)) / mass[k]! / 2;
    diagonal[k] = 1 - lower - upper;
    below[k] = -lower;
    above[k] = -upper;
    right[k] = mean[k]! - c[k]!;
  }
  for (let k = 1; k < n; k++) {
    const factor = below[k]! / diagonal[k - 1]!;
    diagonal[k]! -= factor * above[k - 1]!;
    right[k]! -= factor * right[k - 1]!;
  }
  let largest = 0;
  for (let k = n - 1; k >= 0; k--) {
    const next = k === n - 1 ? 0 : above[k]! * right[k + 1]!;
    right[k] = (right[k]! - next) / diagonal[k]!;
    largest = Math.max(largest, Math.abs(right[k]!));
  }
  for (let k = 0; k < n; k++) c[k]! += right[k]!;
  return largest;
}
