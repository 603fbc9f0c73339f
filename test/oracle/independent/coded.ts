/** Slips that another author may make in the weight types, polar3.875 and the trellis formats, and what they are called. */
import { verify } from "../../../src/oracle/verify.js";
import { type Made, madeOf, merged, mirrored, type Slip, turnTrue, type Unit } from "./coded-formats.js";
import { halfBits, halfDown, halfValue, normOf, orthogonal, product } from "./numbers.js";
import type { Outcome } from "./sweep.js";

function unitsOf(m: Made, x: Float32Array, slips: readonly Slip[]): Unit[] {
  const slip = merged(slips);
  return Array.from({ length: x.length / m.size }, (_, u) => {
    const v = x.slice(u * m.size, (u + 1) * m.size);
    const norm = normOf(v);
    (slip.turn ?? ((mm, w) => turnTrue(mm, w)))(m, v);
    return m.quantise(v, norm, slip);
  });
}

function packed(m: Made, x: Float32Array, slips: readonly Slip[]): Uint8Array {
  const { half = halfBits, code, place, swap, bytes } = merged(slips);
  const units = unitsOf(m, x, slips);
  const out = new Uint8Array(units.length * m.bytes);
  const set = (at: number, value: number): void => {
    if (value) out[at >> 3]! |= 1 << (at & 7);
  };
  units.forEach(({ codes, scales }, u) => {
    const from = 8 * u * m.bytes;
    codes.forEach((raw, i) => {
      const c = code ? code(raw, m.widths[i]!) : raw;
      for (let b = 0; b < m.widths[i]!; b++)
        set(from + (place ? place(m, i, b) : m.place(i, b)), (c >> b) & 1);
    });
    scales.forEach((s, k) => {
      const h = half(s);
      const stored = swap ? ((h & 255) << 8) | (h >> 8) : h;
      for (let b = 0; b < 16; b++) set(from + scalePlace(m, merged(slips), k, b), (stored >> b) & 1);
    });
  });
  return bytes ? bytes(out, m, units.length) : out;
}

/** Bit b of scale k: where scales and codes share bytes, what moves bits moves both. */
function scalePlace(m: Made, slip: Slip, k: number, b: number): number {
  const at = m.scaleAt[k]!;
  return slip.moves && m.scaleAt.length > 2 ? slip.moves(at, b, 16) : at + b;
}

/** The decoder reads what a writer with these slips wrote; packing slips are the decoder's alone. */
function decoded(m: Made, x: Float32Array, slips: readonly Slip[]): Float32Array {
  const slip = merged(slips);
  const own = slips.filter((s) => s.stage !== "pack");
  const bytes = packed(m, x, own);
  const out = new Float32Array(x.length);
  for (let u = 0; u * m.size < x.length; u++) {
    const from = 8 * u * m.bytes;
    const get = (at: number): number => (bytes[at >> 3]! >> (at & 7)) & 1;
    const codes = m.widths.map((width, i) => {
      let c = 0;
      for (let b = 0; b < width; b++)
        c |= get(from + (slip.place ? slip.place(m, i, b) : m.place(i, b))) << b;
      return slip.code ? slip.code(c, width) : c;
    });
    const scales = m.scaleAt.map((_, k) => {
      let h = 0;
      for (let b = 0; b < 16; b++) h |= get(from + scalePlace(m, slip, k, b)) << b;
      const v = halfValue(slip.swap ? ((h & 255) << 8) | (h >> 8) : h);
      return slip.readScale ? slip.readScale(v) : v;
    });
    const v = m.levels(codes, scales, slip);
    (slip.back ?? ((mm, w) => turnTrue(mm, w, mm.s2, mm.s1)))(m, v);
    out.set(v, u * m.size);
  }
  return slip.values ? slip.values(out) : out;
}

const reversed = (i: number, bits: number): number => {
  let r = 0;
  for (let b = 0; b < bits; b++) r |= ((i >> b) & 1) << (bits - 1 - b);
  return r;
};
const plain = (m: Made, v: Float32Array): void =>
  turnTrue(m, v, new Array(v.length).fill(1), new Array(v.length).fill(1));
const gained =
  (k: (m: Made) => number) =>
  (m: Made, v: Float32Array): void => {
    turnTrue(m, v);
    for (let i = 0; i < v.length; i++) v[i]! *= k(m);
  };
const matrices = new Map<string, Float64Array>();
const haar =
  (seed: number) =>
  (m: Made, v: Float32Array): void => {
    const key = `${seed}:${m.size}`;
    if (!matrices.has(key)) matrices.set(key, orthogonal(m.size, seed));
    v.set(product(matrices.get(key)!, v));
  };
const TQ = /tq/;
const TRELLIS = /trellis/;
const TABLED = /tq|trellis/;
const turn = (id: string, note: string, how: Slip["turn"], accept: string[] = []): Slip => ({
  id,
  note,
  stage: "turn",
  turn: how!,
  accept,
});
const stored = (id: string, note: string, scale: Slip["scale"], more: Partial<Slip> = {}): Slip => ({
  id,
  note,
  stage: "scale",
  scale: scale!,
  ...more,
});
const place = (
  id: string,
  note: string,
  at: (m: Made, p: number) => number,
  more: Partial<Slip> = {},
): Slip => ({
  id,
  note,
  stage: "pack",
  place: (m, i, b) => at(m, m.place(i, b)),
  ...more,
});

export const CODED_SLIPS: readonly Slip[] = [
  turn("rotation-missing", "", () => {}),
  turn("rotation-unsigned", "", plain),
  turn("rotation-signs-after", "", (m, v) => turnTrue(m, v, new Array(v.length).fill(1), m.s1), [
    "rotation-signs-swapped",
    "rotation-transposed",
  ]),
  { ...turn("rotation-signs-swapped", "", (m, v) => turnTrue(m, v, m.s2, m.s1)), formats: /polar|trellis/ },
  turn("rotation-order", "bit-reversed", (m, v) => {
    turnTrue(m, v, m.s1, new Array(v.length).fill(1));
    const copy = v.slice();
    for (let i = 0; i < v.length; i++)
      v[i] = copy[i - (i % m.block) + reversed(i % m.block, Math.log2(m.block))]! * m.s2[i]!;
  }),
  turn(
    "rotation-scale",
    "missing",
    gained((m) => Math.sqrt(m.block)),
  ),
  turn(
    "rotation-scale",
    "twice",
    gained((m) => 1 / Math.sqrt(m.block)),
  ),
  turn(
    "rotation-double",
    "",
    (m, v) => {
      turnTrue(m, v);
      turnTrue(m, v);
    },
    ["rotation-missing"],
  ),
  turn("rotation-unknown", "Haar", haar(5), ["rotation-dense-vs-wht"]),
  { id: "test-basis", note: "still rotated", stage: "back", only: "decoded", back: () => {} },
  {
    id: "rotation-unsigned",
    note: "turned back without signs",
    stage: "back",
    only: "decoded",
    back: (m, v) => plain(m, v),
  },
  ...[Math.SQRT1_2, 0.61, 1.2].map(
    (k): Slip => ({
      id: "codebook-sigma",
      note: k.toFixed(2),
      stage: "table",
      formats: TABLED,
      table: (t) => t.map((c) => c * k),
    }),
  ),
  {
    id: "codebook-uniform",
    note: "outermost kept",
    stage: "table",
    formats: TABLED,
    table: (t) => {
      const sorted = t.slice().sort((a, b) => a - b);
      const step = (sorted.at(-1)! - sorted[0]!) / (t.length - 1);
      return t.map((c) => sorted[0]! + step * sorted.indexOf(c));
    },
  },
  {
    id: "codebook-unconverged",
    note: "quantiles",
    stage: "table",
    formats: TQ,
    table: (t) =>
      t.length === 8
        ? [-1.5341, -0.8871, -0.4888, -0.1573, 0.1573, 0.4888, 0.8871, 1.5341]
        : mirrored([0.0784, 0.2372, 0.4023, 0.5791, 0.7764, 1.01, 1.318, 1.8627], []),
  },
  { id: "codebook-uniform", note: "angles", stage: "table", formats: /polar/, angles: "even" },
  {
    id: "codebook-order",
    note: "two entries exchanged",
    stage: "table",
    formats: TRELLIS,
    table: (t) => t.map((c, k) => (k === 1 ? t[t.length - 2]! : k === t.length - 2 ? t[1]! : c)),
  },
  { id: "norm-raw", note: "RMS", stage: "scale", formats: TQ, search: "rms" },
  { id: "norm-block", note: "of 32", stage: "scale", formats: TQ, search: "block" },
  { id: "norm-missing", note: "", stage: "scale", formats: TQ, search: "none" },
  { id: "quant-rounded-scale", note: "", stage: "scale", formats: TQ, search: "rounded" },
  stored("norm-raw", "", (_d, norm) => norm, { formats: TRELLIS }),
  stored("scale-rule", "least squares", (_d, norm, inner, chosen) => (norm * inner) / chosen ** 2, {
    formats: TRELLIS,
  }),
  stored("scale-rule", "unbiased", (_d, norm, inner) => norm / inner, { formats: TABLED }),
  stored("scale-rule", "norm matching", (_d, norm, _i, chosen) => norm / chosen, { formats: TQ }),
  stored("norm-squared", "", (d) => d * d),
  stored("norm-ignored", "one stored", () => 1),
  { id: "norm-missing", note: "", stage: "scale", formats: TRELLIS, unit: true },
  { id: "norm-f16-truncated", note: "", stage: "scale", half: halfDown },
  { id: "norm-ignored", note: "", stage: "read", only: "decoded", readScale: () => 1 },
  { id: "norm-squared", note: "applied twice", stage: "read", only: "decoded", readScale: (v) => v * v },
  { id: "endian-norm", note: "", stage: "pack", swap: true },
  { id: "pack-inverted", note: "", stage: "pack", code: (c, w) => 2 ** w - 1 - c },
  place("pack-nibble-order", "", (_m, p) => p ^ 4, { moves: (at, b) => (at + b) ^ 4 }),
  place("pack-msb-first", "bytes", (_m, p) => p ^ 7, { moves: (at, b) => (at + b) ^ 7 }),
  {
    id: "pack-msb-first",
    note: "stream",
    stage: "pack",
    formats: /tq3|polar/,
    moves: (at, b, width) => (at + width - 1 - b) ^ 7,
    place: (m, i, b) => {
      const first = m.place(i, 0);
      return (first + m.widths[i]! - 1 - b) ^ 7;
    },
  },
  {
    id: "pack-bitplane-order",
    note: "one plane per bit",
    stage: "pack",
    formats: TQ,
    place: (m, i, b) => 32 + b * m.size + i,
  },
  {
    id: "pack-interleaved",
    note: "i and i + 16",
    stage: "pack",
    formats: /tq4/,
    place: (_m, i, b) => 32 + 8 * (i % 16) + 4 * (i >> 4) + b,
  },
  {
    id: "codebook-truncated",
    note: "top bit lost",
    stage: "pack",
    code: (c, w) => c & (2 ** (w - 1) - 1),
    accept: ["pack-plane-missing", "pack-zero"], // of one bit, there is nothing else to lose
  },
  {
    id: "pack-zero",
    note: "codes",
    stage: "bytes",
    bytes: (b, m) => {
      const out = new Uint8Array(b.length);
      for (let u = 0; u < b.length; u += m.bytes)
        for (const at of m.scaleAt)
          for (let k = at; k < at + 16; k++) out[u + (k >> 3)]! |= b[u + (k >> 3)]! & (1 << (k & 7));
      return out;
    },
  },
  { id: "decode-zero", note: "", stage: "read", only: "decoded", values: (y) => new Float32Array(y.length) },
];

export function codedSweep(
  format: string,
  dim: number,
  data: string,
  x: Float32Array,
  {
    pairs = false,
    every = 1,
    first = 0,
    only = "",
  }: { pairs?: boolean; every?: number; first?: number; only?: string } = {},
): { conforming: string[]; outcomes: Outcome[] } {
  const m = madeOf(format, dim);
  const slips = CODED_SLIPS.filter((s) => !s.formats || s.formats.test(format));
  let sets: Slip[][] = slips.map((s) => [s]);
  if (pairs) {
    sets = [];
    for (const [i, a] of slips.entries())
      for (const b of slips.slice(i + 1))
        if (
          a.stage !== b.stage &&
          a.id !== b.id &&
          !["decode-zero", "pack-zero"].some((id) => id === a.id || id === b.id) &&
          !Object.keys(a).some(
            (k) => !["id", "note", "stage", "only", "formats", "accept"].includes(k) && k in b,
          )
        )
          sets.push([a, b]);
  }
  sets = sets.filter((_, i) => i % every === first);
  const same = (a: ArrayLike<number>, b: ArrayLike<number>): boolean => {
    for (let i = 0; i < a.length; i++) if (!Object.is(a[i], b[i])) return false;
    return true;
  };
  const outcomes: Outcome[] = [];
  for (const set of sets)
    for (const evidence of ["packed", "decoded"] as const) {
      if (set.some((s) => s.only && s.only !== evidence)) continue;
      if (evidence === "decoded" && set.some((s) => s.bytes)) continue;
      const note = set.map((s) => `${s.id} (${s.note})`).join(" & ");
      if (only && !note.includes(only)) continue;
      const make = evidence === "packed" ? packed : decoded;
      const wrong = make(m, x, set);
      if (same(wrong, make(m, x, []))) continue;
      if (set.length > 1 && set.some((s) => same(wrong, make(m, x, [s])))) continue;
      const start = performance.now();
      const r = verify({ format, dim, input: x, [evidence]: wrong });
      const got = r.verdict === "faulty" ? (r.faults[0]?.id ?? "") : r.verdict;
      const ids = set.map((s) => [s.id, ...(s.accept ?? [])]);
      const due =
        ids.length === 1
          ? ids[0]!
          : ids[0]!.flatMap((a) => ids[1]!.map((b) => [...new Set([a, b])].sort().join("+")));
      outcomes.push({
        format,
        dim,
        data,
        evidence,
        due: due[0]!,
        note,
        got,
        right: due.includes(got),
        detected: r.verdict === "faulty",
        milliseconds: performance.now() - start,
        faults: r.faults,
      });
    }
  return {
    conforming: [
      verify({ format, dim, input: x, packed: packed(m, x, []) }).verdict,
      verify({ format, dim, input: x, decoded: decoded(m, x, []) }).verdict,
    ],
    outcomes,
  };
}
