/**
 * An attention path as a black box: queries, keys and values in, outputs out. The formats make the cache, f64 does
 * the rest, so that only the path itself is judged: rotation of queries and outputs, scale, mask, heads, sides.
 */

import { assertInteger } from "../core/check.js";
import { FormatError } from "../core/format-error.js";
import { findFormat } from "../formats/registry.js";
import { trueRotation, trueUnrotation } from "./transforms.js";
import { type Fault, pairId, ranked, type Verdict } from "./verdict.js";
import { type Wire, wireOf } from "./wire.js";

/** What a fork computed for attention, and from what. */
export interface AttentionOptions {
  readonly keyFormat: string;
  readonly valueFormat: string;
  readonly dim: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly causal: boolean;
  /** Default 1/√dim. */
  readonly scale?: number;
  /** (queries, heads, dim) */
  readonly query: Float32Array;
  /** (tokens, kvHeads, dim), before encoding. */
  readonly key: Float32Array;
  readonly value: Float32Array;
  /** (queries, heads, dim), original basis. */
  readonly output: Float32Array;
}

/** Largest error that sums in f32 or halves leave, relative to the output's norm. */
const LIMIT = 4e-3;

interface Path {
  readonly id: string;
  readonly note: string;
  readonly stage: "query" | "output" | "sides" | "scale" | "heads" | "mask" | "tokens";
  readonly query?: "plain" | "back";
  readonly outputs?: "plain" | "back";
  readonly sides?: "swapped" | "key-zero" | "value-as-key" | "key-as-value";
  readonly scale?: (dim: number, scale: number, width: number) => number;
  readonly head?: (h: number, heads: number, kvHeads: number) => number;
  readonly mask?: (t: number, queries: number, tokens: number, causal: boolean) => readonly [number, number];
}

const DUE_MASK = (t: number, queries: number, tokens: number, causal: boolean): readonly [number, number] =>
  causal ? [0, tokens - queries + t + 1] : [0, tokens];

const FAULTS: readonly Path[] = [
  { id: "query-not-rotated", note: "queries used in the original basis", stage: "query", query: "plain" },
  { id: "query-not-rotated", note: "queries rotated the wrong way", stage: "query", query: "back" },
  { id: "output-not-unrotated", note: "the output is still rotated", stage: "output", outputs: "plain" },
  {
    id: "output-not-unrotated",
    note: "the output was rotated once more in place of back",
    stage: "output",
    outputs: "back",
  },
  { id: "kv-swapped", note: "keys and values exchanged", stage: "sides", sides: "swapped" },
  { id: "kv-swapped", note: "keys read where values belong", stage: "sides", sides: "key-as-value" },
  { id: "kv-swapped", note: "values read where keys belong", stage: "sides", sides: "value-as-key" },
  { id: "k-zero", note: "keys read as zeros", stage: "sides", sides: "key-zero" },
  { id: "attention-scale", note: "no scale", stage: "scale", scale: () => 1 },
  { id: "attention-scale", note: "1/d in place of 1/√d", stage: "scale", scale: (d) => 1 / d },
  { id: "attention-scale", note: "scale applied twice", stage: "scale", scale: (_d, s) => s * s },
  { id: "attention-scale", note: "1/√(padded d)", stage: "scale", scale: (_d, _s, w) => 1 / Math.sqrt(w) },
  { id: "attention-scale", note: "√d in place of 1/√d", stage: "scale", scale: (d) => Math.sqrt(d) },
  { id: "attention-scale", note: "1/√64", stage: "scale", scale: () => 1 / 8 },
  { id: "attention-scale", note: "1/√128", stage: "scale", scale: () => 1 / Math.sqrt(128) },
  { id: "attention-scale", note: "twice the scale", stage: "scale", scale: (_d, s) => 2 * s },
  { id: "attention-scale", note: "half the scale", stage: "scale", scale: (_d, s) => s / 2 },
  { id: "attention-scale", note: "√2 times the scale", stage: "scale", scale: (_d, s) => s * Math.SQRT2 },
  { id: "attention-scale", note: "the scale over √2", stage: "scale", scale: (_d, s) => s * Math.SQRT1_2 },
  { id: "attention-scale", note: "base 2 in place of e", stage: "scale", scale: (_d, s) => s * Math.LN2 },
  {
    id: "attention-scale",
    note: "log₂ e applied once too often",
    stage: "scale",
    scale: (_d, s) => s / Math.LN2,
  },
  {
    id: "gqa-mapping",
    note: "query head h reads KV head h mod G",
    stage: "heads",
    head: (h, _H, g) => h % g,
  },
  { id: "gqa-mapping", note: "every query head reads KV head 0", stage: "heads", head: () => 0 },
  {
    id: "gqa-mapping",
    note: "KV heads in reversed order",
    stage: "heads",
    head: (h, H, g) => g - 1 - Math.floor((h * g) / H),
  },
  {
    id: "gqa-mapping",
    note: "the next KV head",
    stage: "heads",
    head: (h, H, g) => (Math.floor((h * g) / H) + 1) % g,
  },
  { id: "causal-missing", note: "every query sees every token", stage: "mask", mask: (_t, _q, n) => [0, n] },
  {
    id: "attention-off-by-one",
    note: "the last token is lost",
    stage: "mask",
    mask: (t, q, n, c) => [0, DUE_MASK(t, q, n, c)[1] - 1],
  },
  {
    id: "attention-off-by-one",
    note: "the first token is lost",
    stage: "mask",
    mask: (t, q, n, c) => [1, DUE_MASK(t, q, n, c)[1]],
  },
  {
    id: "attention-off-by-one",
    note: "each query sees one token too many",
    stage: "mask",
    mask: (t, q, n, c) => [0, Math.min(n, DUE_MASK(t, q, n, c)[1] + 1)],
  },
  {
    id: "attention-off-by-one",
    note: "only the very last token is lost",
    stage: "mask",
    mask: (t, q, n, c) => [0, Math.min(n - 1, DUE_MASK(t, q, n, c)[1])],
  },
  {
    id: "causal-missing",
    note: "causal although it should not be",
    stage: "mask",
    mask: (t, q, n) => [0, n - q + t + 1],
  },
  {
    id: "causal-missing",
    note: "mask counted from token 0",
    stage: "mask",
    mask: (t, _q, n) => [0, Math.min(n, t + 1)],
  },
];

/** @throws FormatError when sizes do not fit together. */
export function verifyAttention(o: AttentionOptions): Verdict {
  const { dim, heads, kvHeads, query, key, value, output } = o;
  assertInteger(heads, "heads", 1);
  assertInteger(kvHeads, "kvHeads", 1);
  if (heads % kvHeads !== 0)
    throw new RangeError(`"kvHeads" expected a divisor of ${heads} heads, got ${kvHeads}`);
  if (o.scale !== undefined && !Number.isFinite(o.scale))
    throw new RangeError(`"scale" expected a finite number, got ${o.scale}`);
  const queries = query.length / (heads * dim);
  const tokens = key.length / (kvHeads * dim);
  const whole = (n: number, what: string, of: number): void => {
    if (!Number.isInteger(n) || n < 1)
      throw new FormatError("BAD_LENGTH", `${what}: expected a multiple of ${of} values`);
  };
  whole(queries, "query", heads * dim);
  whole(tokens, "key", kvHeads * dim);
  if (value.length !== key.length)
    throw new FormatError(
      "BAD_LENGTH",
      `value has ${value.length} values: expected ${key.length}, as many as the keys`,
    );
  if (output.length !== query.length)
    throw new FormatError(
      "BAD_LENGTH",
      `output has ${output.length} values: expected ${query.length}, as many as the queries`,
    );
  if (o.causal && queries > tokens)
    throw new FormatError(
      "BAD_LENGTH",
      `causal attention expected at most ${tokens} queries, got ${queries}`,
    );
  const c = open(o, queries, tokens);
  const due = attend(c, []);
  const { worst, close, count } = compare(due, output, heads * queries, dim);
  const head = { format: `${o.keyFormat} + ${o.valueFormat}`, dim, vectors: queries * heads };
  const tolerated = { normUlps: 0, boundaryFlips: 0 };
  const checks = [
    {
      id: "attention-error",
      status: worst.error <= LIMIT ? ("pass" as const) : ("fail" as const),
      value: worst.error,
      limit: LIMIT,
    },
  ];
  if (worst.error <= LIMIT)
    return { ...head, verdict: "conforming", first: null, tolerated, faults: [], checks };

  const at = firstWrong(due, output, dim);
  const first = {
    vector: Math.floor(at / dim),
    field: "output",
    coordinate: at % dim,
    byte: null,
    expected: due[at]!,
    actual: output[at]!,
    source: `query ${Math.floor(at / dim / heads)}, head ${Math.floor(at / dim) % heads}`,
  };
  const faults = search(c, output, heads * queries, dim);
  if (faults.length === 0)
    faults.push({
      id: "unknown",
      explains: 0,
      evidence: `${count - close} of ${count} output vectors differ; no fault of the catalogue reproduces them`,
    });
  return { ...head, verdict: "faulty", first, tolerated, faults, checks };
}

interface Case {
  readonly o: AttentionOptions;
  readonly queries: number;
  readonly tokens: number;
  readonly scale: number;
  readonly keyWire: Wire | undefined;
  readonly valueWire: Wire | undefined;
  /** Per side: decoded in the original basis, (tokens·kvHeads, dim). */
  readonly k: Float64Array;
  readonly v: Float64Array;
}

function open(o: AttentionOptions, queries: number, tokens: number): Case {
  const decoded = (format: string, x: Float32Array, side: "key" | "value"): Float64Array => {
    const codec = findFormat(format).open({ dim: o.dim, side, nonFinite: "sanitize" });
    const bytes = new Uint8Array((x.length / o.dim) * codec.bytesPerVector);
    codec.encode(x, bytes);
    const out = new Float32Array(x.length);
    codec.decode(bytes, out);
    return Float64Array.from(out);
  };
  const rotates = (format: string, side: "key" | "value"): Wire | undefined => wireOf(format, o.dim, 0, side);
  return {
    o,
    queries,
    tokens,
    scale: o.scale ?? 1 / Math.sqrt(o.dim),
    keyWire: rotates(o.keyFormat, "key"),
    valueWire: rotates(o.valueFormat, "value"),
    k: decoded(o.keyFormat, o.key, "key"),
    v: decoded(o.valueFormat, o.value, "value"),
  };
}

/** Rows (n, dim), each padded to groups, through R or back, cropped again. */
function turned(wire: Wire, x: ArrayLike<number>, dim: number, back: boolean): Float64Array {
  const out = new Float64Array(x.length);
  const part = new Float64Array(wire.group);
  for (let at = 0; at < x.length; at += dim)
    for (let g = 0; g * wire.group < dim; g++) {
      part.fill(0);
      const from = g * wire.group;
      const count = Math.min(wire.group, dim - from);
      for (let i = 0; i < count; i++) part[i] = x[at + from + i]!;
      if (back) trueUnrotation(wire, part);
      else trueRotation(wire, part);
      for (let i = 0; i < count; i++) out[at + from + i] = part[i]!;
    }
  return out;
}

/** The path with these faults. A query that is not rotated against rotated keys is, in the original basis, R⁻¹ q. */
function attend(c: Case, faults: readonly Path[]): Float64Array {
  const { o, queries, tokens } = c;
  const { dim, heads, kvHeads } = o;
  let q: ArrayLike<number> = o.query;
  let k = c.k;
  let v = c.v;
  let scale = c.scale;
  let headOf = (h: number): number => Math.floor((h * kvHeads) / heads);
  let mask = DUE_MASK;
  let finish: ((out: Float64Array) => Float64Array) | undefined;
  const width = (c.keyWire?.group ?? 1) * (c.keyWire?.groups ?? dim);
  for (const f of faults) {
    if (f.query && c.keyWire) {
      q = turned(c.keyWire, q, dim, true);
      if (f.query === "back") q = turned(c.keyWire, q, dim, true);
    }
    if (f.outputs) {
      const wire = c.valueWire;
      if (wire)
        finish = (out) =>
          f.outputs === "plain"
            ? turned(wire, out, dim, false)
            : turned(wire, turned(wire, out, dim, false), dim, false);
    }
    if (f.sides === "swapped") [k, v] = [v, k];
    if (f.sides === "key-zero") k = new Float64Array(k.length);
    if (f.sides === "value-as-key") k = v;
    if (f.sides === "key-as-value") v = k;
    if (f.scale) scale = f.scale(dim, c.scale, width);
    if (f.head) {
      const map = f.head;
      headOf = (h) => map(h, heads, kvHeads);
    }
    if (f.mask) mask = f.mask;
  }
  const out = new Float64Array(queries * heads * dim);
  const p = new Float64Array(tokens);
  for (let t = 0; t < queries; t++) {
    const [from, to] = mask(t, queries, tokens, o.causal);
    for (let h = 0; h < heads; h++) {
      const g = headOf(h);
      const at = (t * heads + h) * dim;
      let most = Number.NEGATIVE_INFINITY;
      for (let i = from; i < to; i++) {
        let s = 0;
        const row = (i * kvHeads + g) * dim;
        for (let j = 0; j < dim; j++) s += q[at + j]! * k[row + j]!;
        p[i] = s * scale;
        most = Math.max(most, p[i]!);
      }
      let sum = 0;
      for (let i = from; i < to; i++) sum += p[i] = Math.exp(p[i]! - most);
      for (let i = from; i < to; i++) {
        const w = p[i]! / sum;
        const row = (i * kvHeads + g) * dim;
        for (let j = 0; j < dim; j++) out[at + j]! += w * v[row + j]!;
      }
    }
  }
  return finish ? finish(out) : out;
}

function compare(
  due: Float64Array,
  output: Float32Array,
  rows: number,
  dim: number,
): { worst: { error: number }; close: number; count: number } {
  let error = 0;
  let close = 0;
  for (let r = 0; r < rows; r++) {
    let e = 0;
    let size = 0;
    for (let i = r * dim; i < (r + 1) * dim; i++) {
      e += (due[i]! - output[i]!) ** 2;
      size += due[i]! ** 2;
    }
    const relative =
      Number.isFinite(size) && Number.isFinite(e)
        ? Math.sqrt(e / Math.max(size, 1e-30))
        : Number.isFinite(size) === Number.isFinite(e)
          ? 0
          : Number.POSITIVE_INFINITY;
    error = Math.max(error, relative);
    if (relative <= LIMIT) close++;
  }
  return { worst: { error }, close, count: rows };
}

function firstWrong(due: Float64Array, output: Float32Array, dim: number): number {
  for (let r = 0; r < due.length; r += dim) {
    let size = 0;
    for (let i = r; i < r + dim; i++) size += due[i]! ** 2;
    const limit = LIMIT * Math.sqrt(size / dim);
    for (let i = r; i < r + dim; i++) if (!(Math.abs(due[i]! - output[i]!) <= limit)) return i;
  }
  return 0;
}

function search(c: Case, output: Float32Array, rows: number, dim: number): Fault[] {
  const out: Fault[] = [];
  const due = attend(c, []);
  const usable = FAULTS.filter((f) => (!f.query || c.keyWire) && (!f.outputs || c.valueWire));
  const scored = (faults: readonly Path[]): void => {
    const made = attend(c, faults);
    if (compare(made, Float32Array.from(due), rows, dim).worst.error < 1e-9) return;
    const { close, worst } = compare(made, output, rows, dim);
    const id = pairId(faults.map((f) => f.id));
    if (close > 0.3 * rows)
      out.push({
        id,
        explains: close / rows - Math.min(0.004, worst.error),
        evidence: `${close} of ${rows} output vectors within ${LIMIT}: ${faults.map((f) => f.note).join("; ")}`,
      });
  };
  for (const f of usable) scored([f]);
  if (out.some((f) => f.explains > 0.98)) return ranked(out);
  for (const [i, a] of usable.entries())
    for (const b of usable.slice(i + 1)) if (a.stage !== b.stage && a.id !== b.id) scored([a, b]);
  const fitted = fittedScale(c, output, rows, dim);
  if (fitted) out.push(fitted);
  return ranked(out);
}

/** A scale that nobody would guess: golden-section search on its logarithm. */
function fittedScale(c: Case, output: Float32Array, rows: number, dim: number): Fault | undefined {
  const at = (log: number): { worst: number; close: number } => {
    const made = attend(c, [{ id: "", note: "", stage: "scale", scale: () => Math.exp(log) }]);
    const r = compare(made, output, rows, dim);
    let e = 0;
    for (let i = 0; i < made.length; i++) e += (made[i]! - output[i]!) ** 2;
    return { worst: e, close: r.close };
  };
  let best = Math.log(c.scale);
  for (let l = Math.log(c.scale) - 5; l <= Math.log(c.scale) + 5; l += 0.25)
    if (at(l).worst < at(best).worst) best = l;
  let low = best - 0.25;
  let high = best + 0.25;
  for (let k = 0; k < 30; k++) {
    const a = low + (high - low) * 0.382;
    const b = low + (high - low) * 0.618;
    if (at(a).worst < at(b).worst) high = b;
    else low = a;
  }
  const { close } = at((low + high) / 2);
  return close > 0.9 * rows
    ? {
        id: "attention-scale",
        explains: close / rows,
        evidence: `scale ${Math.exp((low + high) / 2).toPrecision(4)} in place of ${c.scale.toPrecision(4)}`,
      }
    : undefined;
}
