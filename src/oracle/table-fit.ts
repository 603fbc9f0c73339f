/** Tables read off the evidence: codes as a step function of z give the boundaries, norms give the centroids. */
import { type Brackets, matchingTables, type Table } from "./tables.js";
import type { Wire } from "./wire.js";

type NormEvidence = (use: (counts: Float64Array, ratio: number) => void) => void;

/** Tables under which `codes` are the cells of `z`; none when codes are no step function of z. */
export function fittedTables(
  wire: Wire,
  z: readonly number[],
  codes: readonly number[],
  norms?: NormEvidence,
): Table[] {
  const levels = 2 ** wire.bits;
  const order = Array.from(z.keys()).sort((a, b) => z[a]! - z[b]!);
  const runs: { code: number; from: number; to: number; count: number }[] = [];
  for (const i of order) {
    const last = runs.at(-1);
    if (last && (last.code === codes[i] || z[i]! - last.to < 1e-12)) {
      if (last.code === codes[i]) {
        last.to = z[i]!;
        last.count++;
      }
    } else runs.push({ code: codes[i]!, from: z[i]!, to: z[i]!, count: 1 });
    if (runs.length > 3 * levels + 8) return [];
  }
  if (runs.length < 2 && z.length > 0 && wire.bits > 1) return [];
  const used = new Set(codes);
  const monotone = runs.every((r, i) => i === 0 || r.code > runs[i - 1]!.code);
  if (!monotone) return permuted(wire, runs);
  if (used.size <= levels / 2 && wire.bits > 1) return truncated(wire, runs);
  const brackets: Brackets = { low: new Float64Array(levels - 1), high: new Float64Array(levels - 1) };
  for (let b = 0; b < levels - 1; b++) {
    const below = runs.filter((r) => r.code <= b).at(-1);
    const above = runs.find((r) => r.code > b);
    brackets.low[b] = below ? below.to : -1e9;
    brackets.high[b] = above ? above.from : 1e9;
  }
  const found = matchingTables(wire, brackets);
  if (!norms) return found.length > 0 ? found : [fitted(wire, brackets, undefined)];
  const fit = centroidsFrom(wire, norms);
  if (wire.rule === "norm-matching" && fit) {
    const agree = found.filter((t) => sameLengths(t.centroids, fit, 0.03));
    const own = fitted(wire, brackets, fit);
    return agree.length > 0 ? agree : [...(found[0] ? [{ ...found[0], centroids: fit }] : [own]), ...found];
  }
  return found.length > 0 ? found : [fitted(wire, brackets, fit)];
}

const sameLengths = (a: Float64Array, b: Float64Array, slack: number): boolean =>
  a.every((v, i) => Math.abs(Math.abs(v) - Math.abs(b[i]!)) <= slack * Math.abs(v) + 0.002);

/** A table nobody is known to use. */
function fitted(wire: Wire, k: Brackets, centroids: Float64Array | undefined): Table {
  const boundaries = k.low.map((low, i) =>
    low < -1e8
      ? wire.boundaries[0]! * 2
      : k.high[i]! > 1e8
        ? -wire.boundaries[0]! * 2
        : (low + k.high[i]!) / 2,
  );
  const n = boundaries.length;
  const lopsided = boundaries.some(
    (b, i) =>
      Math.abs(b + boundaries[n - 1 - i]!) >
      0.01 + (k.high[i]! - k.low[i]!) + (k.high[n - 1 - i]! - k.low[n - 1 - i]!),
  );
  const own = Float64Array.from({ length: n + 1 }, (_, i) =>
    i === 0
      ? boundaries[0]! * 1.15
      : i === n
        ? boundaries[n - 1]! * 1.15
        : (boundaries[i - 1]! + boundaries[i]!) / 2,
  );
  return {
    id: lopsided
      ? "codebook-order"
      : looksUnconverged(wire, boundaries)
        ? "codebook-unconverged"
        : "codebook-mismatch",
    note: lopsided ? "boundaries are not symmetric" : "a table of its own, fitted from codes and values",
    boundaries,
    centroids: centroids ?? own,
  };
}

/** Between cells of equal probability and the fixed point: outermost boundary inside the true one, inner ones too. */
function looksUnconverged(wire: Wire, boundaries: Float64Array): boolean {
  return boundaries.every((b, i) => Math.abs(b) <= Math.abs(wire.boundaries[i]!) * 1.02 + 1e-4);
}

/** Codes 0 … 2^k − 1 only. */
function truncated(wire: Wire, runs: readonly { code: number; from: number; to: number }[]): Table[] {
  const levels = 2 ** wire.bits;
  const top = runs.at(-1)!.code;
  const boundaries = new Float64Array(levels - 1).fill(1e9);
  for (let b = 0; b < top; b++) {
    const below = runs.filter((r) => r.code <= b).at(-1);
    const above = runs.find((r) => r.code > b);
    boundaries[b] = below && above ? (below.to + above.from) / 2 : below ? 1e9 : -1e9;
  }
  return [
    {
      id: "codebook-truncated",
      note: `only codes up to ${top} occur`,
      boundaries,
      centroids: wire.centroids,
    },
  ];
}

/** Codes are a function of z, but not an ascending one: the table's entries are out of order. */
function permuted(
  wire: Wire,
  runs: readonly { code: number; from: number; to: number; count: number }[],
): Table[] {
  const solid = runs.filter((r) => r.count > 2);
  if (solid.every((r, i) => i === 0 || r.code < solid[i - 1]!.code)) return []; // complemented, not out of order
  const distinct = new Set(solid.map((r) => r.code)).size;
  if (solid.length < 3 || solid.length > 2 ** wire.bits * 1.5 || distinct < solid.length * 0.6) return [];
  const edges = solid.slice(1).map((r, i) => (solid[i]!.to + r.from) / 2);
  const boundaries = new Float64Array(2 ** wire.bits - 1).fill(1e9);
  const relabel = new Uint8Array(2 ** wire.bits);
  edges.forEach((b, i) => {
    boundaries[i] = b;
  });
  solid.forEach((r, i) => {
    relabel[i] = r.code;
  });
  // Each code keeps the centroid nearest to its cell: the format's own, in the order of the cells.
  const ordered = wire.centroids.slice();
  if (solid.length === wire.centroids.length)
    solid.forEach((r, i) => {
      ordered[r.code] = wire.centroids[i]!;
    });
  return [
    {
      id: "codebook-order",
      note: `codes in the order ${solid.map((r) => r.code).join(" ")}`,
      boundaries,
      centroids: ordered,
      relabel,
    },
  ];
}

/** Least squares for c² from (‖x‖/stored)² = Σ count·c², entries ±k taken together. */
function centroidsFrom(wire: Wire, norms: NormEvidence): Float64Array | undefined {
  const half = 2 ** (wire.bits - 1);
  const a = Array.from({ length: half }, () => new Float64Array(half + 1));
  let n = 0;
  norms((counts, ratio) => {
    const row = Float64Array.from({ length: half }, (_, k) => counts[half + k]! + counts[half - 1 - k]!);
    const target = ratio * ratio;
    n++;
    for (let i = 0; i < half; i++) {
      for (let j = 0; j < half; j++) a[i]![j]! += (row[i]! * row[j]!) / target ** 2;
      a[i]![half]! += row[i]! / target;
    }
  });
  if (n < half + 2) return undefined;
  for (let i = 0; i < half; i++) {
    let p = i;
    for (let r = i + 1; r < half; r++) if (Math.abs(a[r]![i]!) > Math.abs(a[p]![i]!)) p = r;
    [a[i], a[p]] = [a[p]!, a[i]!];
    if (Math.abs(a[i]![i]!) < 1e-9) return undefined;
    for (let r = 0; r < half; r++) {
      if (r === i) continue;
      const f = a[r]![i]! / a[i]![i]!;
      for (let j = i; j <= half; j++) a[r]![j]! -= f * a[i]![j]!;
    }
  }
  const squares = Array.from({ length: half }, (_, i) => a[i]![half]! / a[i]![i]!);
  if (squares.some((s) => !(s > -1e-4) || !Number.isFinite(s))) return undefined;
  const c = squares.map((s) => Math.sqrt(Math.max(0, s)));
  // Equal levels: the stored norms do not depend on the codes, so they say nothing about the table.
  if (Math.max(...c) < 1.3 * Math.min(...c)) return undefined;
  return Float64Array.from([
    ...c
      .slice()
      .reverse()
      .map((v) => -v),
    ...c,
  ]);
}
