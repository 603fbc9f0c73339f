/** What an encoder or decoder of a format with a sketch may do otherwise, each replacing one stage (values.ts). */
import { fromF16, toF16 } from "../../core/float.js";
import { truncatedHalf } from "../pipeline/evidence.js";
import { readings } from "../pipeline/readings.js";
import { candidateTables, type Table } from "../pipeline/tables.js";
import { transformFaults } from "../pipeline/transforms.js";
import type { Wire } from "../pipeline/wire.js";
import { lengthOf, type SketchedData, sharedMatrices } from "./parts.js";

interface Book {
  readonly boundaries: Float64Array;
  readonly centroids: Float64Array;
}

/** What a rule makes a scale of. */
interface ScaleParts {
  readonly norm: number;
  readonly chosen: number;
  readonly inner: number;
  readonly x: Float64Array;
}

/** What one fault does otherwise. */
export interface Slip {
  readonly id: string;
  readonly note: string;
  readonly turn?: (x: Float64Array, norm: number, z: Float64Array) => void;
  readonly book?: Book;
  readonly readBook?: Book;
  /** What the encoder makes of its codes before it writes and sketches them. */
  readonly relabel?: (k: number) => number;
  /** Its scale is that of the codes so made. */
  readonly late?: boolean;
  readonly scale?: (p: ScaleParts) => number;
  readonly half?: (v: number) => number;
  readonly codes?: (codes: Uint8Array) => Uint8Array;
  readonly readScale?: (s: number) => number;
  readonly back?: (v: Float64Array) => void;
  readonly residual?: "rotated" | "mixed";
  readonly matrix?: ArrayLike<number>;
  readonly transposed?: boolean;
  readonly signs?: (signs: Int8Array) => Int8Array;
  readonly readMatrix?: ArrayLike<number>;
  readonly readTransposed?: boolean;
  readonly addRotated?: boolean;
  readonly bare?: boolean;
  /** Too many of its kind to be paired. */
  readonly single?: boolean;
}

/** Slips of the sketch itself: basis, matrix, order of signs. */
export function sketchSlips(data: SketchedData): Slip[] {
  const { rows } = data.wire.sketch!;
  const reversed = (signs: Int8Array): Int8Array =>
    Int8Array.from({ length: rows }, (_, j) => signs[(j & ~7) | (7 - (j & 7))]!);
  const out: Slip[] = [
    { id: "qjl-basis", note: "the residual is taken in the rotated basis", residual: "rotated" },
    {
      id: "qjl-basis",
      note: "residual and sketch are in the rotated basis",
      residual: "rotated",
      addRotated: true,
    },
    { id: "qjl-basis", note: "the sketch is added in the rotated basis", addRotated: true },
    {
      id: "qjl-basis",
      note: "levels in the rotated basis are taken from a vector in the original one",
      residual: "mixed",
    },
    { id: "qjl-transpose-missing", note: "S in place of Sᵀ", readTransposed: true },
    { id: "qjl-transpose-missing", note: "Sᵀ in place of S", transposed: true },
    { id: "qjl-transpose-missing", note: "signs are added without Sᵀ", bare: true, readTransposed: true },
    { id: "pack-msb-first", note: "signs of a byte in the opposite order", signs: reversed },
  ];
  for (const matrix of sharedMatrices(data)) {
    const note = "S comes of the rotation's random numbers";
    out.push({ id: "qjl-seed-shared", note, matrix });
    out.push({ id: "qjl-projection-once", note: `the decoder's ${note}`, readMatrix: matrix });
  }
  return out;
}

/** Slips of what the sketch stands beside: transform, table, codes, norm, and how the decoder undoes them. */
export function codecSlips(wire: Wire): Slip[] {
  const out: Slip[] = [];
  const top = 2 ** wire.bits - 1;
  for (const t of transformFaults(wire)) out.push({ id: t.id!, note: t.note, turn: t.run });
  const scales: [string, string, (p: ScaleParts) => number][] = [
    ["norm-raw", "the raw norm stored", (p) => p.norm],
    ["scale-rule", "the norm-matching scale", (p) => p.norm / p.chosen],
    ["scale-rule", "the unbiased scale", (p) => p.norm / p.inner],
    ["scale-rule", "the least-squares scale", (p) => (p.norm * p.inner) / p.chosen ** 2],
    ["norm-squared", "‖x‖² stored", (p) => p.norm ** 2],
    ["norm-squared", "‖x‖²/‖c‖ stored", (p) => p.norm ** 2 / p.chosen],
    ["norm-squared", "the square of the scale stored", (p) => ((p.norm * p.inner) / p.chosen ** 2) ** 2],
    ["norm-ignored", "1 in place of the norm", () => 1],
    ["norm-ignored", "1/‖c‖ in place of the norm", (p) => 1 / p.chosen],
    ...[32, 64].flatMap((run): [string, string, (p: ScaleParts) => number][] => [
      ["norm-block", `norm of the first ${run} values only`, (p) => lengthOf(p.x.subarray(0, run))],
      ["norm-block", `norm of the last ${run} values only`, (p) => lengthOf(p.x.subarray(p.x.length - run))],
      [
        "norm-block",
        `corrected norm of the first ${run} values only`,
        (p) => lengthOf(p.x.subarray(0, run)) / p.chosen,
      ],
    ]),
  ];
  for (const [id, note, scale] of scales) {
    const own = wire.rule === "raw" ? note.startsWith("the raw") : note === "the least-squares scale";
    if (!own) out.push({ id, note, scale });
  }
  out.push({
    id: "norm-f16-truncated",
    note: "halves cut toward zero",
    half: (v) => fromF16(truncatedHalf(v)),
  });
  out.push({ id: "norm-ignored", note: "the decoder never applies the norm", readScale: () => 1 });
  out.push({ id: "norm-squared", note: "the norm applied twice", readScale: (s) => s * s });
  out.push({
    id: "endian-norm",
    note: "bytes of the norm exchanged",
    readScale: (s) => fromF16(((toF16(s) & 255) << 8) | (toF16(s) >> 8)),
  });
  for (const r of readings(wire)) if (r.id) out.push({ id: r.id, note: r.note, codes: r.map });
  for (const t of tablesOf(wire)) {
    const book: Book = t;
    out.push({ id: t.id, note: t.note, book, single: t.id !== "codebook-sigma" });
    out.push({ id: t.id, note: `the decoder: ${t.note}`, readBook: book, single: true });
    out.push({ id: t.id, note: `the encoder: ${t.note}`, book, readBook: wire, single: true });
  }
  for (const late of [false, true])
    for (const [id, note, relabel] of relabels(top))
      out.push({ id, note, relabel, single: true, ...(late ? { late } : {}) });
  for (const t of transformFaults(wire))
    if (t.id === "norm-missing")
      for (const scale of [() => 1, (p: ScaleParts) => 1 / p.chosen])
        out.push({ id: t.id, note: `${t.note}, and no norm stored`, turn: t.run, scale });
  if (wire.bits > 1)
    out.push({
      id: "codebook-truncated",
      note: "codes clamped",
      codes: (c) => c.map((k) => Math.min(k, top >> 1)),
    });
  out.push({ id: "test-basis", note: "values are still rotated", back: () => {} });
  for (const t of transformFaults(wire)) {
    if (!["rotation-unsigned", "rotation-signs-swapped", "rotation-transposed"].includes(t.id!)) continue;
    // These are their own inverses, or each other's: what undoes a turn is another of them.
    out.push({
      id: t.id!,
      note: `un-rotated: ${t.note}`,
      back: (v) => {
        const z = new Float64Array(v.length);
        t.run(v, 1, z);
        v.set(z);
      },
      single: true,
    });
  }
  return out;
}

/** Codes of a table that is out of order, or lacks entries. */
function relabels(top: number): [string, string, (k: number) => number][] {
  const out: [string, string, (k: number) => number][] = [];
  if (top > 15) return out;
  const half = top >> 1;
  if (half > 0) {
    out.push(["codebook-truncated", `codes & ${half}`, (k) => k & half]);
    out.push(["codebook-truncated", `codes ${half} at most`, (k) => Math.min(k, half)]);
    out.push(["codebook-truncated", `codes ${half + 1} at least`, (k) => Math.max(k, half + 1)]);
  }
  for (let a = 0; a <= top; a++) {
    for (let b = a + 1; b <= top; b++)
      out.push(["codebook-order", `entries ${a} and ${b} exchanged`, (k) => (k === a ? b : k === b ? a : k)]);
    for (const b of [a - 1, a + 1])
      if (b >= 0 && b <= top)
        out.push(["codebook-order", `code ${a} never occurs`, (k) => (k === a ? b : k)]);
  }
  return out;
}

function tablesOf(wire: Wire): Table[] {
  const sigma = [Math.SQRT1_2, 0.61, 0.9, 1.2, Math.SQRT2].map(
    (k): Table => ({
      id: "codebook-sigma",
      note: `the table times ${k.toFixed(3)}`,
      boundaries: wire.boundaries.map((b) => b * k),
      centroids: wire.centroids.map((c) => c * k),
    }),
  );
  const most = wire.centroids.at(-1)! * Math.sqrt(wire.group);
  const n = 2 ** wire.bits;
  const even = [(2 * most) / (n - 1), 6 / n, 6 / (n - 1), 8 / n].map((step): Table => {
    const centroids = Float64Array.from(
      { length: n },
      (_, k) => ((k - (n - 1) / 2) * step) / Math.sqrt(wire.group),
    );
    const boundaries = centroids.slice(1).map((c, i) => (c + centroids[i]!) / 2);
    return { id: "codebook-uniform", note: `levels ${step.toFixed(3)}σ apart`, boundaries, centroids };
  });
  const kept: Table[] = [];
  for (const t of candidateTables(wire))
    if (
      !kept.some(
        (k) =>
          k.id === t.id && k.centroids.every((c, i) => Math.abs(c - t.centroids[i]!) < 2e-3 * Math.abs(c)),
      )
    )
      kept.push(t);
  return [...sigma, ...(wire.bits > 1 ? even : []), ...kept];
}
