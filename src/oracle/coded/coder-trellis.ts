/** Trellis codes: a path of least squared error through windows of codes. */
import { getF16 } from "../../core/little-endian.js";
import { seededRotation } from "../../core/seeded-rotation.js";
import { createTrellisScratch, searchTrellis, type Trellis, traceTrellis } from "../../core/trellis.js";
import { TRELLIS_NAMES, trellisByName } from "../../core/trellis-tables.js";
import { streamBits } from "../pipeline/layouts.js";
import type { Wire } from "../pipeline/wire.js";
import { type Coder, type Coding, lengthOf, type Quantiser } from "./coded.js";
import { packingsOf, turnsOf, viewsOf } from "./coder-parts.js";

/** How far a backend's z may be from ours, of a unit vector. */
const ROUNDING = 1e-6;
/** Other roundings that are tried for where a path meets itself: each near tie falls either way in half of them. */
const TRIES = 24;

export function trellisCoder(
  format: string,
  dim: number,
  seed: number | bigint,
  side: "key" | "value",
): Coder | undefined {
  const name = TRELLIS_NAMES.find((n) => n === format);
  if (!name) return undefined;
  const trellis = trellisByName(name);
  const { bits } = trellis;
  const r = seededRotation(dim, seed);
  const bytes = 2 + (dim * bits) / 8;
  const root = Math.sqrt(dim);
  const rule = side === "key" ? "norm-matching" : "unbiased";
  const wire: Wire = {
    name,
    bits,
    group: dim,
    groups: 1,
    dim,
    block: r.block,
    before: r.before,
    after: r.after,
    centroids: Float64Array.from(trellis.table),
    boundaries: new Float64Array(0),
    tieDown: false,
    groupBytes: bytes,
    normAt: [0],
    normBytes: 2,
    rule,
    // Most significant bit first.
    layout: Int32Array.from({ length: dim * bits }, (_, k) => {
      const s = k - (k % bits) + bits - 1 - (k % bits);
      return 16 + (s & ~7) + 7 - (s & 7);
    }),
  };
  const levelsWith =
    (table: Float32Array) =>
    (codes: Uint8Array): Float64Array => {
      const values = new Float32Array(dim);
      traceTrellis(trellis, codes, table, values);
      return Float64Array.from(values, (v) => v / root);
    };
  const levels = levelsWith(trellis.table);
  const quantiser = (id: string | undefined, note: string, table: Float32Array): Quantiser => {
    const own: Trellis = { ...trellis, table };
    const scratch = createTrellisScratch(own, dim);
    const z32 = new Float32Array(dim);
    const levelsOf = levelsWith(table);
    return {
      id,
      note,
      levels: levelsOf,
      code(z, norm): Coding {
        for (let i = 0; i < dim; i++) z32[i] = z[i]! * root;
        const codes = new Uint8Array(dim);
        searchTrellis(own, z32, codes, scratch);
        const c = levelsOf(codes);
        let inner = 0;
        for (let i = 0; i < dim; i++) inner += z[i]! * c[i]!;
        const chosen = lengthOf(c) || 1;
        return { codes, scales: [norm / (rule === "norm-matching" ? chosen : Math.max(inner, 1e-9))] };
      },
    };
  };
  const turnTrue = viewsOf(wire)[0]!.run;
  const times = (k: number): Float32Array => trellis.table.map((v) => v * k);
  const right = quantiser(undefined, "", trellis.table);
  return {
    values: dim,
    bytes,
    part: dim,
    unit: 1,
    rule,
    normalised: true,
    turns: [
      ...turnsOf(wire, true),
      {
        id: "norm-missing",
        note: "values are coded as if of unit variance",
        run: (x) =>
          turnTrue(
            x.map((v) => v / root),
            1,
          ),
      },
    ],
    quantisers: [
      right,
      ...[Math.SQRT1_2, 0.61, 0.9, 1.2, Math.SQRT2].map((k) =>
        quantiser("codebook-sigma", `the table times ${k.toFixed(3)}`, times(k)),
      ),
      quantiser("codebook-uniform", "levels at equal distances", evenly(trellis.table)),
    ],
    packings: packingsOf(wire, [
      { id: "pack-msb-first", note: "least significant bit first", layout: streamBits(dim, bits, 2) },
    ]),
    views: viewsOf(wire),
    scales: (b, at) => [getF16(b, at)],
    levels,
    fitted: (given) => fittedTables(trellis, given, levels).map((t) => quantiser(t.id, t.note, t.table)),
    nearest(z, due) {
      const scale = due.scales[0]!;
      if (!(scale > 0)) return undefined;
      return right.code(
        z.map((v) => v / scale),
        1,
      ).codes;
    },
    flips(x, due, given) {
      const norm = lengthOf(x);
      const z = turnTrue(x, norm);
      const [a, b] = [levels(due), levels(given)];
      let more = 0;
      let slack = 0;
      for (let i = 0; i < dim; i++) {
        more += (z[i]! - b[i]!) ** 2 - (z[i]! - a[i]!) ** 2;
        slack += 2 * ROUNDING * Math.abs(a[i]! - b[i]!) + 2e-7 * (z[i]! - a[i]!) ** 2;
      }
      let count = 0;
      for (let i = 0; i < dim; i++) if (due[i] !== given[i]) count++;
      if (norm === 0 || Math.abs(more) <= slack) return count;
      for (let k = 0; k < TRIES; k++) {
        const moved = z.map((v, i) => v + ROUNDING * 0.5 * Math.sin(i * 12.9898 + k * 78.233));
        if (right.code(moved, norm).codes.every((c, i) => c === given[i])) return count;
      }
      return undefined;
    },
  };
}

/** The same order of levels, equally far apart, the outermost kept. */
function evenly(table: Float32Array): Float32Array {
  const sorted = [...table].sort((a, b) => a - b);
  const [low, high] = [sorted[0]!, sorted.at(-1)!];
  return table.map((v) => low + ((high - low) * sorted.indexOf(v)) / (sorted.length - 1));
}

/** Tables that codes, values and scales suggest: another size, two entries exchanged. */
function fittedTables(
  { bits, window, table }: Trellis,
  given: readonly { readonly z: Float64Array; readonly norm: number; readonly coding: Coding }[],
  levels: (codes: Uint8Array) => Float64Array,
): { id: string; note: string; table: Float32Array }[] {
  const out: { id: string; note: string; table: Float32Array }[] = [];
  const ratios = given
    .map(({ norm, coding }) => norm / (coding.scales[0]! * lengthOf(levels(coding.codes))))
    .filter((v) => Number.isFinite(v))
    .sort((a, b) => a - b);
  const middle = ratios[ratios.length >> 1] ?? 1;
  if (middle > 0.2 && middle < 5 && Math.abs(middle - 1) > 3e-3)
    out.push({
      id: "codebook-sigma",
      note: `the table times ${middle.toFixed(4)}`,
      table: table.map((v) => v * middle),
    });
  const sums = new Float64Array(table.length);
  const counts = new Float64Array(table.length);
  const mask = table.length - 1;
  for (const { z, coding } of given) {
    let w = 0;
    const { codes } = coding;
    for (let j = codes.length - window; j < codes.length; j++) w = ((w << bits) | codes[j]!) & mask;
    codes.forEach((code, j) => {
      w = ((w << bits) | code) & mask;
      sums[w]! += z[j]! * Math.sqrt(z.length);
      counts[w]!++;
    });
  }
  const mean = sums.map((s, w) => (counts[w]! > 0 ? s / counts[w]! : Number.NaN));
  for (let a = 0; a < table.length; a++)
    for (let b = a + 1; b < table.length; b++)
      if (
        Math.abs(table[a]! - table[b]!) > 0.3 &&
        Math.abs(mean[a]! - table[b]!) < 0.12 &&
        Math.abs(mean[b]! - table[a]!) < 0.12
      ) {
        const other = table.slice();
        [other[a], other[b]] = [table[b]!, table[a]!];
        out.push({ id: "codebook-order", note: `windows ${a} and ${b} exchanged`, table: other });
      }
  return out.slice(0, 6);
}
