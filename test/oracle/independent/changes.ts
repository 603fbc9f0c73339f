/** The catalogue's faults as another author might build them, several ways each. */
import {
  f32,
  halfBits,
  lloyd,
  mids,
  normOf,
  orthogonal,
  product,
  quantile,
  signedHadamard,
  toHalf,
} from "./numbers.js";
import { type Change, cutHalf, rotateTrue, type Spec, unrotateAll } from "./turbo.js";

const withMids = (table: readonly number[]) => ({ table, bounds: mids(table) });
const sigma = (s: Spec): number => 1 / Math.sqrt(s.group);

function early(how: string, start: (k: number, n: number) => number, iterations: number): Change {
  return {
    id: "codebook-unconverged",
    note: `${how}, ${iterations} iterations`,
    stage: "table",
    table: (s) => {
      const n = 2 ** s.bits;
      const from = Array.from({ length: n }, (_, k) => start(k, n));
      return withMids(lloyd(from, iterations).map((c) => c * sigma(s)));
    },
  };
}

const uniform = (note: string, table: (s: Spec, n: number) => (k: number) => number): Change => ({
  id: "codebook-uniform",
  note,
  stage: "table",
  table: (s) => {
    const n = 2 ** s.bits;
    return withMids(Array.from({ length: n }, (_, k) => table(s, n)(k)));
  },
});

const scaledTable = (note: string, factor: (s: Spec) => number): Change => ({
  id: "codebook-sigma",
  note,
  stage: "table",
  accept: ["rotation-scale"],
  table: (s) => ({
    table: s.table.map((c) => c * factor(s)),
    bounds: s.bounds.map((b) => b * factor(s)),
  }),
});

const MAX = [0, 0.7979, 1.5104, 2.152, 2.7326];

const TABLES: readonly Change[] = [
  ...[0, 1, 5, 20].map((n) => early("quantiles", (k, m) => quantile((k + 0.5) / m), n)),
  ...[0, 3].map((n) => early("quantiles k/(n+1)", (k, m) => quantile((k + 1) / (m + 1)), n)),
  ...[2, 8].map((n) => early("uniform over 4 sigma", (k, m) => -4 + (8 * (k + 0.5)) / m, n)),
  uniform("outermost level kept", (s, n) => (k) => (MAX[s.bits]! * sigma(s) * (2 * k + 1 - n)) / (n - 1)),
  uniform("three sigma", (s, n) => (k) => 3 * sigma(s) * ((2 * k + 1) / n - 1)),
  uniform("three sigma, ends included", (s, n) => (k) => 3 * sigma(s) * ((2 * k) / (n - 1) - 1)),
  uniform(
    "best uniform step",
    (s, n) => (k) => [0, 0, 0.9957, 0.586, 0.3352][s.bits]! * sigma(s) * (k + 0.5 - n / 2),
  ),
  uniform("over 0.5", (_s, n) => (k) => 0.5 * ((2 * k + 1) / n - 1)),
  scaledTable("1/√(2d)", () => Math.SQRT1_2),
  scaledTable("0.61", () => 0.61),
  scaledTable("1.2", () => 1.2),
  scaledTable("√2", () => Math.SQRT2),
  scaledTable("of half the dimension", () => 0.9),
  {
    id: "codebook-mismatch",
    note: "the converged table",
    stage: "table",
    table: (s) =>
      withMids(
        lloyd(
          Array.from({ length: 2 ** s.bits }, (_, k) => quantile((k + 0.5) / 2 ** s.bits)),
          3000,
        ).map((c) => c * sigma(s)),
      ),
  },
  {
    id: "codebook-order",
    note: "two entries exchanged",
    accept: ["pack-bitplane-order"],
    stage: "table",
    code: (s, k) => (k === 1 ? 2 ** s.bits - 2 : k === 2 ** s.bits - 2 ? 1 : k),
  },
  {
    id: "codebook-order",
    note: "two neighbours exchanged",
    stage: "table",
    code: (s, k) => (k === 2 ** s.bits - 1 ? 2 ** s.bits - 2 : k === 2 ** s.bits - 2 ? 2 ** s.bits - 1 : k),
  },
  {
    id: "codebook-order",
    note: "not symmetric: everything moved",
    stage: "table",
    table: (s) => withMids(s.table.map((c) => c + 0.25 * sigma(s))),
  },
  {
    id: "codebook-order",
    note: "a zero entry",
    stage: "table",
    table: (s) => withMids(s.table.map((c, k) => (k === 2 ** (s.bits - 1) ? 0 : c))),
  },
  {
    id: "codebook-order",
    note: "a duplicate: one code never occurs",
    stage: "table",
    code: (s, k) => (k === 2 ** (s.bits - 1) + 1 ? 2 ** (s.bits - 1) : k),
  },
  { id: "codebook-truncated", note: "& 3", stage: "table", code: (s, k) => (s.bits > 2 ? k & 3 : k & 1) },
  {
    id: "codebook-truncated",
    note: "clamped",
    stage: "table",
    code: (s, k) => Math.min(k, 2 ** (s.bits - 1) - 1),
  },
  { id: "boundary-tie", note: "down", stage: "table", tieDown: true, needs: "packed" },
];

const turns = (
  id: string,
  note: string,
  turn: NonNullable<Change["turn"]>,
  more: Partial<Change> = {},
): Change => ({
  id,
  note,
  stage: "rotation",
  turn,
  ...more,
});

function reorder(u: Float32Array, block: number, from: (i: number) => number): void {
  const copy = u.slice();
  for (let i = 0; i < u.length; i++) u[i] = copy[i - (i % block) + from(i % block)]!;
}
const reverse = (i: number, bits: number): number => {
  let r = 0;
  for (let b = 0; b < bits; b++) r |= ((i >> b) & 1) << (bits - 1 - b);
  return r;
};

const dense = new Map<string, Float64Array>();
const matrix = (n: number, seed: number): Float64Array => {
  const key = `${n}:${seed}`;
  if (!dense.has(key)) dense.set(key, orthogonal(n, seed));
  return dense.get(key)!;
};

const ROTATIONS: readonly Change[] = [
  turns("rotation-missing", "", () => {}),
  turns("rotation-unsigned", "", (s, u) => signedHadamard(u, s.block)),
  turns("rotation-signs-after", "second only", (s, u) => signedHadamard(u, s.block, undefined, s.s2)),
  turns("rotation-signs-after", "both", (s, u) => {
    signedHadamard(u, s.block, undefined, s.s1);
    for (let i = 0; i < u.length; i++) u[i]! *= s.s2[i]!;
  }),
  turns("rotation-signs-swapped", "", (s, u) => signedHadamard(u, s.block, s.s2, s.s1), {
    accept: ["rotation-transposed"],
  }),
  turns("rotation-order", "sequency after signs", (s, u) => {
    rotateTrue(s, u);
    const bits = Math.log2(s.block);
    reorder(u, s.block, (i) => reverse(i ^ (i >> 1), bits));
  }),
  turns("rotation-order", "sequency before signs", (s, u) => {
    signedHadamard(u, s.block, s.signs ? s.s1 : undefined);
    const bits = Math.log2(s.block);
    reorder(u, s.block, (i) => reverse(i ^ (i >> 1), bits));
    if (s.signs) for (let i = 0; i < u.length; i++) u[i]! *= s.s2[i]!;
  }),
  turns("rotation-order", "bit-reversed", (s, u) => {
    signedHadamard(u, s.block, s.signs ? s.s1 : undefined);
    const bits = Math.log2(s.block);
    reorder(u, s.block, (i) => reverse(i, bits));
    if (s.signs) for (let i = 0; i < u.length; i++) u[i]! *= s.s2[i]!;
  }),
  turns("rotation-scale", "missing", (s, u) => {
    rotateTrue(s, u);
    for (let i = 0; i < u.length; i++) u[i]! *= Math.sqrt(s.block);
  }),
  turns("rotation-scale", "twice", (s, u) => {
    rotateTrue(s, u);
    for (let i = 0; i < u.length; i++) u[i]! /= Math.sqrt(s.block);
  }),
  turns("rotation-scale", "for 128", (s, u) => {
    rotateTrue(s, u);
    for (let i = 0; i < u.length; i++) u[i]! *= Math.sqrt(s.block / 128);
  }),
  turns(
    "rotation-double",
    "",
    (s, u) => {
      rotateTrue(s, u);
      rotateTrue(s, u);
    },
    { accept: ["rotation-missing"] },
  ),
  turns("rotation-double", "engine's plain Hadamard first", (s, u) => {
    signedHadamard(u, s.block);
    rotateTrue(s, u);
  }),
  turns("rotation-dense-vs-wht", "a Haar matrix", (s, u) => u.set(product(matrix(s.group, 7), u)), {
    accept: ["rotation-unknown"],
  }),
  turns("rotation-unknown", "another Haar matrix", (s, u) => u.set(product(matrix(s.group, 99), u)), {
    accept: ["rotation-dense-vs-wht"],
  }),
  turns("rotation-unknown", "other signs", (s, u) =>
    signedHadamard(u, s.block, s.s1.slice().reverse(), s.s2.slice().reverse()),
  ),
  turns("rotation-f16", "every butterfly", (s, u) => {
    for (let i = 0; i < u.length; i++) u[i] = toHalf(u[i]! * (s.signs ? s.s1[i]! : 1));
    for (let h = 1; h < s.block; h *= 2)
      for (let i = 0; i < u.length; i += 2 * h)
        for (let j = i; j < i + h; j++) {
          const [a, b] = [u[j]!, u[j + h]!];
          u[j] = toHalf(a + b);
          u[j + h] = toHalf(a - b);
        }
    for (let i = 0; i < u.length; i++) u[i] = f32((u[i]! / Math.sqrt(s.block)) * (s.signs ? s.s2[i]! : 1));
  }),
  turns("rotation-f16", "every step, scale too", (s, u) => {
    for (let i = 0; i < u.length; i++) u[i] = toHalf(u[i]! * (s.signs ? s.s1[i]! : 1));
    for (let h = 1; h < s.block; h *= 2)
      for (let i = 0; i < u.length; i += 2 * h)
        for (let j = i; j < i + h; j++) {
          const [a, b] = [u[j]!, u[j + h]!];
          u[j] = toHalf(a + b);
          u[j + h] = toHalf(a - b);
        }
    const unit = toHalf(1 / Math.sqrt(s.block));
    for (let i = 0; i < u.length; i++) u[i] = toHalf(u[i]! * unit * (s.signs ? s.s2[i]! : 1));
  }),
];

const stored = (
  id: string,
  note: string,
  scale: NonNullable<Change["scale"]>,
  more: Partial<Change> = {},
): Change => ({
  id,
  note,
  stage: "norm",
  scale,
  ...more,
});

const due = (s: Spec, p: { norm: number; chosen: number }): number =>
  s.stored === "raw" ? p.norm : p.norm / p.chosen;

const blockUnit =
  (run: number, keep: boolean) =>
  (_s: Spec, x: Float32Array): Float32Array => {
    const out = x.slice();
    for (let at = 0; at < x.length; at += run) {
      const n = normOf(x.subarray(at, at + run)) * (keep ? Math.sqrt(x.length / run) : 1);
      for (let i = at; i < at + run; i++) out[i] = n > 1e-10 ? f32(x[i]! / n) : 0;
    }
    return out;
  };

const NORMS: readonly Change[] = [
  stored("norm-raw", "", (_s, p) => p.norm),
  stored("norm-squared", "of x", (_s, p) => p.norm * p.norm),
  stored("norm-squared", "corrected", (_s, p) => (p.norm * p.norm) / p.chosen),
  stored("scale-rule", "least squares", (_s, p) => (p.norm * p.inner) / p.chosen ** 2),
  stored("scale-rule", "unbiased", (_s, p) => p.norm / p.inner),
  stored("scale-rule", "norm matching", (_s, p) => p.norm / p.chosen),
  { id: "norm-missing", note: "norm kept in the scale", stage: "norm", unit: (_s, x) => x.slice() },
  { id: "norm-missing", note: "scale one", stage: "norm", unit: (_s, x) => x.slice(), scale: () => 1 },
  {
    id: "norm-missing",
    note: "one over the chosen",
    stage: "norm",
    unit: (_s, x) => x.slice(),
    scale: (_s, p) => 1 / p.chosen,
  },
  { id: "norm-f16-truncated", note: "", stage: "norm", half: cutHalf },
  { id: "norm-block", note: "each 32 by its own", stage: "norm", unit: blockUnit(32, false) },
  { id: "norm-block", note: "each 32 by its own, unit kept", stage: "norm", unit: blockUnit(32, true) },
  stored("norm-block", "norm of the first 32", (_s, p) => normOf(p.x.subarray(0, 32))),
  stored("norm-block", "corrected norm of the first 32", (_s, p) => normOf(p.x.subarray(0, 32)) / p.chosen),
  stored("norm-block", "norm of the last 32", (_s, p) => normOf(p.x.subarray(p.x.length - 32)) / p.chosen),
  {
    id: "norm-block",
    note: "each 32 of the rotated by its own",
    stage: "norm",
    turn: (s, u) => {
      rotateTrue(s, u);
      u.set(blockUnit(32, true)(s, u));
    },
  },
  { id: "zero-vector", note: "floor", stage: "norm", scale: (s, p) => (p.norm <= 1e-10 ? 1 : due(s, p)) },
  {
    id: "overflow-silent",
    note: "clamped",
    stage: "norm",
    half: (v) => (Math.abs(v) >= 65520 ? 0x7bff : halfBits(v)),
    needs: "packed",
  },
  // The decoder's.
  { id: "norm-ignored", note: "", stage: "norm", needs: "decoded", readScale: () => 1 },
  { id: "norm-squared", note: "applied twice", stage: "norm", needs: "decoded", readScale: (_s, v) => v * v },
  {
    id: "norm-raw",
    note: "decoder does not renormalise",
    stage: "norm",
    needs: "decoded",
    noRenormalise: true,
  },
];

const packing = (packer: string, id: string): Change => ({
  id,
  note: packer,
  stage: "pack",
  packer,
  ...(id === "pack-plane-missing" ? { accept: ["codebook-truncated"] } : {}),
});

const each = (s: Spec): number => Math.ceil(s.dim / s.group);

const BUFFERS: readonly Change[] = [
  {
    id: "pack-zero",
    note: "all",
    stage: "pack",
    accept: ["decode-zero"],
    bytes: (_s, b) => new Uint8Array(b.length),
  },
  {
    id: "pack-zero",
    note: "codes only",
    stage: "pack",
    bytes: (s, b, n) => {
      const out = new Uint8Array(b.length);
      const stride = b.length / (n * each(s));
      const at = s.format.startsWith("vllm") ? stride - 2 : 0;
      const size = s.wide ? 4 : 2;
      for (let g = 0; g < n * each(s); g++)
        out.set(b.subarray(g * stride + at, g * stride + at + size), g * stride + at);
      return out;
    },
  },
  {
    id: "pack-tail-dropped",
    note: "last vector missing",
    stage: "pack",
    needs: "packed",
    bytes: (_s, b, n) => b.slice(0, b.length - b.length / n),
  },
  {
    id: "pack-tail-dropped",
    note: "last bytes of a block not written",
    stage: "pack",
    bytes: (s, b, n) => {
      const out = b.slice();
      const stride = b.length / (n * each(s));
      const end = s.format.startsWith("vllm") ? stride - 2 : stride;
      for (let g = 0; g < n * each(s); g++) out.fill(0, g * stride + end - 8, g * stride + end);
      return out;
    },
  },
  {
    id: "pack-tail-dropped",
    note: "last block not written",
    stage: "pack",
    bytes: (s, b, n) => {
      const out = b.slice();
      out.fill(0, b.length - b.length / (n * each(s)));
      return out;
    },
  },
  {
    id: "pack-tail-dropped",
    note: "second half of the buffer not written",
    stage: "pack",
    bytes: (_s, b, n) => {
      const out = b.slice();
      out.fill(0, (b.length / n) * Math.ceil(n / 2));
      return out;
    },
  },
  {
    id: "overrun",
    note: "behind the end",
    stage: "pack",
    needs: "packed",
    bytes: (_s, b) => Uint8Array.from({ length: b.length + 16 }, (_, i) => b[i] ?? 0xcd),
  },
  {
    id: "overrun",
    note: "written one byte late",
    stage: "pack",
    needs: "packed",
    bytes: (_s, b) => Uint8Array.from({ length: b.length }, (_, i) => b[i - 1] ?? 0),
  },
  ...[2, 4, 8].map(
    (heads): Change => ({
      id: "stride-head",
      note: `${heads} heads`,
      stage: "order",
      input: (s, x) => {
        const n = x.length / s.dim;
        if (n % heads !== 0 || n === heads) return undefined;
        const out = new Float32Array(x.length);
        for (let t = 0; t < n / heads; t++)
          for (let h = 0; h < heads; h++)
            out.set(
              x.subarray((t * heads + h) * s.dim, (t * heads + h + 1) * s.dim),
              (h * (n / heads) + t) * s.dim,
            );
        return { x: out, dim: s.dim };
      },
    }),
  ),
  {
    id: "pad-missing",
    note: "heads run together",
    stage: "order",
    needs: "packed",
    input: (s, x) =>
      s.dim % s.group === 0
        ? undefined
        : { x: x.slice(0, Math.floor(x.length / s.group) * s.group), dim: s.group },
  },
];

const AFTER: readonly Change[] = [
  {
    id: "decode-zero",
    note: "",
    stage: "decode",
    needs: "decoded",
    after: (_s, y) => new Float32Array(y.length),
  },
  {
    id: "test-basis",
    note: "un-rotated",
    stage: "decode",
    needs: "decoded",
    after: (s, y) => (s.plain ? y : unrotateAll(s, y)),
  },
];

const DECODER_TABLES: readonly Change[] = [
  {
    id: "codebook-sigma",
    note: "decoder's table by 1.2",
    stage: "decode",
    needs: "decoded",
    readTable: (s) => s.table.map((c) => c * 1.2),
  },
  {
    id: "codebook-order",
    note: "decoder's table reversed in one half",
    stage: "decode",
    needs: "decoded",
    readTable: (s) => [
      ...s.table.slice(0, s.table.length / 2),
      ...s.table.slice(s.table.length / 2).reverse(),
    ],
  },
  {
    id: "codebook-uniform",
    note: "decoder's levels only",
    stage: "decode",
    needs: "decoded",
    readTable: (s) => s.table.map((_, k, a) => (a.at(-1)! * (2 * k + 1 - a.length)) / (a.length - 1)),
  },
  {
    id: "codebook-truncated",
    note: "decoder masks the top bit",
    stage: "decode",
    needs: "decoded",
    accept: ["pack-plane-missing"],
    readTable: (s) => s.table.map((_, k, a) => a[k & (a.length / 2 - 1)]!),
  },
];

/** Slips of a table that leave a trace where there is one bit, and those whose constants are of four bits at most. */
const ONE_BIT = ["everything moved", "down"];
const FEW_BITS = ["outermost level kept", "best uniform step"];

/** Every change that a format can have; pack: [name, id] of its packers. */
export function changesOf(s: Spec, packs: readonly (readonly [string, string])[]): Change[] {
  const signed = (c: Change): boolean =>
    s.signs || !["rotation-unsigned", "rotation-signs-after", "rotation-signs-swapped"].includes(c.id);
  const possible = (c: Change): boolean =>
    signed(c) &&
    !(c.id === "norm-raw" && s.stored === "raw" && !(c.noRenormalise && s.renormalise)) &&
    !(c.noRenormalise && !s.renormalise) &&
    !(c.id === "norm-f16-truncated" && s.wide) &&
    !(c.id === "overflow-silent" && s.wide) &&
    !(c.id === "scale-rule" && c.note === "norm matching" && s.stored === "corrected") &&
    !(c.id === "codebook-mismatch" && (s.bits < 4 || s.plain)) &&
    !(c.id === "test-basis" && !s.format.startsWith("llama") && !s.plain) &&
    !(s.bits === 1 && (c.stage === "table" || c.readTable !== undefined) && !ONE_BIT.includes(c.note)) &&
    !(s.bits > 4 && FEW_BITS.includes(c.note)) &&
    !(c.id === "rotation-double" && c.note !== "" && !s.signs) &&
    !(c.id === "rotation-unknown" && c.note === "other signs" && !s.signs);
  // Signs do not tell whether a vector was normalised: with one for a norm, it is the norm that is ignored.
  const alike = (c: Change): Change =>
    s.bits === 1 && c.id === "norm-missing" && c.scale ? { ...c, accept: ["norm-ignored"] } : c;
  return [
    ...TABLES,
    ...ROTATIONS,
    ...NORMS,
    ...packs.map(([name, id]) => packing(name, id)),
    ...BUFFERS,
    ...AFTER,
    ...DECODER_TABLES,
  ]
    .filter(possible)
    .map(alike);
}
