/** The llama fork's weight types: blocks of 32 rotated values, two scales that are searched for. */
import { getF16 } from "../../core/little-endian.js";
import {
  WEIGHT_FACTORS,
  WEIGHT_FOUR,
  WEIGHT_ROUNDS,
  WEIGHT_SIGNS,
  WEIGHT_THREE,
} from "../../formats/llama-weights.js";
import { cell, FLIP_LIMIT, NOISE } from "../pipeline/evidence.js";
import { streamBits } from "../pipeline/layouts.js";
import { candidateTables, type Table } from "../pipeline/tables.js";
import type { Wire } from "../pipeline/wire.js";
import { type Coder, type Coding, lengthOf, type Quantiser } from "./coded.js";
import { packingsOf, turnsOf, viewsOf } from "./coder-parts.js";

const SIZE = 32;
const HALF = 16;

interface Book {
  readonly centroids: Float64Array;
  readonly boundaries: Float64Array;
}

/** What may be otherwise in the search for a scale. */
interface Search {
  readonly book: Book;
  /** Values that share a scale. */
  readonly run?: number;
  /** Codes and stored scale are those of the RMS. */
  readonly plain?: boolean;
  /** Codes are those of a scale of one. */
  readonly unscaled?: boolean;
  /** The scale that decides the codes is rounded first. */
  readonly rounded?: (d: number) => number;
}

function search(z: Float64Array, s: Search): Coding {
  const { book, run = HALF } = s;
  const { centroids, boundaries } = book;
  const at = (v: number, d: number): number => cell(boundaries, d > 1e-10 ? v / d : 0);
  const starts = Array.from({ length: SIZE / run }, (_, p) => p * run);
  const rms = starts.map((from) => lengthOf(z, from, from + run) / Math.sqrt(run));
  const error = (p: number, d: number): number => {
    let sum = 0;
    for (let i = p * run; i < (p + 1) * run; i++) sum += (z[i]! - centroids[at(z[i]!, d)]! * d) ** 2;
    return sum;
  };
  let scales = rms.slice();
  if (s.unscaled) scales = rms.map(() => 1);
  else if (!s.plain) {
    let least = Number.POSITIVE_INFINITY;
    for (const factor of WEIGHT_FACTORS) {
      const tried = rms.map((v) => v * factor);
      const sum = tried.reduce((a, d, p) => a + error(p, d), 0);
      if (sum < least) {
        least = sum;
        scales = tried;
      }
    }
    for (let round = 0; round < WEIGHT_ROUNDS; round++) scales = scales.map((d, p) => refined(p, d));
  }
  function refined(p: number, d: number): number {
    let num = 0;
    let den = 0;
    for (let i = p * run; i < (p + 1) * run; i++) {
      const c = centroids[at(z[i]!, d)]!;
      num += z[i]! * c;
      den += c * c;
    }
    return den > 1e-10 ? num / den : d;
  }
  const codes = Uint8Array.from(z, (v, i) => {
    const d = scales[Math.floor(i / run)]!;
    return at(v, s.rounded ? s.rounded(d) : d);
  });
  if (s.unscaled) scales = scales.map((d, p) => refined(p, d));
  return { codes, scales: [scales[0]!, scales.at(-1)!] };
}

/** Tables of which none is within some hundredths of one before it: the search for a scale hides less than that. */
function apart(tables: readonly Table[]): Table[] {
  const kept: Table[] = [];
  for (const t of tables)
    if (
      !kept.some((k) => k.id === t.id && k.centroids.every((c, i) => Math.abs(c - t.centroids[i]!) < 0.025))
    )
      kept.push(t);
  return kept;
}

function roundHalf(d: number): number {
  const e = Math.max(-14, Math.floor(Math.log2(d || 1)));
  const step = 2 ** (e - 10);
  return Math.round(d / step) * step;
}

export function weightCoder(format: string): Coder | undefined {
  const native = { "llama/tq3_1s": WEIGHT_THREE, "llama/tq4_1s": WEIGHT_FOUR }[format];
  if (!native) return undefined;
  const { bits } = native;
  const book: Book = {
    centroids: Float64Array.from(native.centroids),
    boundaries: Float64Array.from(native.boundaries),
  };
  const wire: Wire = {
    name: format,
    bits,
    group: SIZE,
    groups: 1,
    dim: SIZE,
    block: SIZE,
    before: WEIGHT_SIGNS,
    after: new Float32Array(SIZE).fill(1),
    ...book,
    tieDown: false,
    groupBytes: 4 + (SIZE * bits) / 8,
    normAt: [0, 2],
    normBytes: 2,
    rule: "least-squares",
    layout: streamBits(SIZE, bits, 4),
  };
  const turns = turnsOf(wire, false).filter(
    (t) => t.id !== "rotation-unknown" || !t.note.includes("both sides"),
  );
  const levelsWith = (b: Book) => (codes: Uint8Array) => Float64Array.from(codes, (k) => b.centroids[k]!);
  const quantiser = (
    id: string | undefined,
    note: string,
    s: Omit<Search, "book"> & { book?: Book },
  ): Quantiser => {
    const own = s.book ?? book;
    return {
      id,
      note,
      levels: levelsWith(own),
      code: (z) => search(z, { ...s, book: own }),
      codeWith: (z, scales) =>
        Uint8Array.from(z, (v, i) => cell(own.boundaries, v / (s.unscaled ? 1 : scales[i < HALF ? 0 : 1]!))),
    };
  };
  const right = quantiser(undefined, "", {});
  const tables = apart(candidateTables({ ...wire, group: 1 })).map((t) => ({
    ...quantiser(t.id, t.note, { book: { centroids: t.centroids, boundaries: t.boundaries } }),
    single: true,
  }));
  const n = 2 ** bits;
  const even = (step: number, ids: string): Quantiser => {
    const centroids = Float64Array.from({ length: n }, (_, k) => (k - (n - 1) / 2) * step);
    const boundaries = centroids.slice(1).map((c, i) => (c + centroids[i]!) / 2);
    return quantiser(ids, `levels ${step.toFixed(3)} apart`, { book: { centroids, boundaries } });
  };
  const times = (k: number): Quantiser =>
    quantiser("codebook-sigma", `the table times ${k.toFixed(3)}`, {
      book: { centroids: book.centroids.map((c) => c * k), boundaries: book.boundaries.map((b) => b * k) },
    });
  return {
    values: SIZE,
    bytes: wire.groupBytes,
    part: HALF,
    unit: 0.25,
    rule: "least-squares",
    normalised: false,
    turns,
    quantisers: [
      right,
      quantiser("norm-raw", "the RMS in place of the scale that was searched for", { plain: true }),
      quantiser("norm-block", "one scale for 32 values", { run: SIZE }),
      quantiser("norm-missing", "codes of values that no scale has divided", { unscaled: true }),
      quantiser("quant-rounded-scale", "codes of the scale as it is stored", { rounded: roundHalf }),
      even((2 * book.centroids.at(-1)!) / (n - 1), "codebook-uniform"),
      even(6 / n, "codebook-uniform"),
      even([0, 0, 0.9957, 0.586, 0.3352][bits]!, "codebook-uniform"),
      ...[Math.SQRT1_2, 0.61, 0.9, 1.2, Math.SQRT2].map(times),
      ...tables,
    ],
    packings: packingsOf(wire),
    views: viewsOf(wire),
    scales: (b, at) => [getF16(b, at), getF16(b, at + 2)],
    levels: levelsWith(book),
    nearest: (z, due) =>
      Uint8Array.from(z, (v, i) => {
        const d = due.scales[i < HALF ? 0 : 1]!;
        let best = 0;
        for (let k = 1; k < n; k++)
          if (Math.abs(v - d * book.centroids[k]!) < Math.abs(v - d * book.centroids[best]!)) best = k;
        return best;
      }),
    flips(x, due, given) {
      const z = turns[0]!.run(x, 1);
      const { scales } = right.code(z, 1);
      const slack = (FLIP_LIMIT + NOISE) * lengthOf(x);
      let flips = 0;
      for (let i = 0; i < SIZE; i++) {
        if (due[i] === given[i]) continue;
        const b = book.boundaries[Math.min(due[i]!, given[i]!)]!;
        if (Math.abs(due[i]! - given[i]!) > 1 || Math.abs(z[i]! - b * scales[i < HALF ? 0 : 1]!) > slack)
          return undefined;
        flips++;
      }
      return flips;
    },
  };
}
