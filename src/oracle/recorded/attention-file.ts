/**
 * The fork's whole attention on its CPU: rows set into typed K and V caches, FLASH_ATTN_EXT over them, rotations on
 * queries and outputs. Exactly: the cache bytes (by SHA-256) and the recorded error against exact attention. The
 * output, relative L2 norm: within 2e-6 of f64 attention over our decoded bytes, or, where V is f16, within 2e-4 of a
 * model of the engine's accumulation in halves (single roundings depend on its exp).
 *
 * Needs node:crypto, so it is passed to `judgeRecorded` by those who have it.
 */
import { createHash } from "node:crypto";
import { fromF16, toF16 } from "../../core/float.js";
import { findFormat } from "../../formats/registry.js";
import { badFile, RecordedFields } from "./record.js";
import { type RecordedVerdict, Tally } from "./tally.js";

const { fround } = Math;
const OUTPUT_L2 = 2e-6;
const HALF_OUTPUT_L2 = 2e-4;
/** The exact output is recorded in f32, the error was taken before. */
const NMSE_RELATIVE = 1e-5;

const FORMAT_OF: Readonly<Record<string, string>> = {
  f16: "ggml/f16",
  q8_0: "ggml/q8_0",
  q4_0: "ggml/q4_0",
  q5_0: "ggml/q5_0",
  turbo2: "llama/turbo2",
  turbo3: "llama/turbo3",
  turbo4: "llama/turbo4",
};

interface Inputs {
  readonly dim: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly queries: number;
  readonly positions: number;
  /** (queries, heads, dim). */
  readonly q: Float32Array;
  /** (positions, kvHeads, dim). */
  readonly k: Float32Array;
  readonly v: Float32Array;
  /** Of exact attention: (queries, heads, dim). */
  readonly exact: Float32Array;
}

/** Judges a parsed file of type "attention". @throws FormatError BAD_FILE when it can not be judged. */
export function judgeNativeAttention(parsed: unknown): RecordedVerdict {
  const file = new RecordedFields(parsed, "the file");
  const inputs = new RecordedFields(file.value("inputs"), "inputs");
  const tally = new Tally();
  for (const record of file.records("cases")) {
    const given = readInputs(inputs, record.text("inputs"));
    const [kType, vType] = [record.text("k_type"), record.text("v_type")];
    const output = record.floats("output", given.q.length);
    const nmse = record.value("nmse_vs_exact");
    if (typeof nmse !== "number") throw badFile(`${record.where}: "nmse_vs_exact" is not a number`);
    const sides = [
      { side: "k", type: kType, x: given.k },
      { side: "v", type: vType, x: given.v },
    ].map((one) => ({
      ...one,
      ...throughCache(one.type, one.x, given.dim, record.where),
      bytes: record.integer(`${one.side}_cache_bytes`),
      digest: record.text(`${one.side}_cache_sha256`),
    }));
    tally.case(record.text("name"), () => {
      for (const { side, packed, bytes, digest } of sides) {
        if (packed.length !== bytes) tally.differ(`${side} cache bytes`, bytes, packed.length);
        const own = createHash("sha256").update(packed).digest("hex");
        if (own !== digest) tally.differ(`${side} cache sha256`, digest, own);
      }
      const recorded = squaredError(output, given.exact) / squaredError(given.exact);
      if (!(Math.abs(recorded - nmse) <= NMSE_RELATIVE * nmse)) tally.differ("output, nmse", nmse, recorded);
      const halves = vType === "f16";
      const own = attend(
        given,
        asEngineSees(given.q, kType, given.dim),
        sides[0]!.decoded,
        sides[1]!.decoded,
        halves,
      );
      const relative = Math.sqrt(squaredError(output, own) / squaredError(output));
      const most = halves ? HALF_OUTPUT_L2 : OUTPUT_L2;
      if (!(relative <= most)) tally.differ("output, relative error", `<= ${most}`, relative);
    });
  }
  return tally.verdict();
}

function readInputs(all: RecordedFields, name: string): Inputs {
  const fields = new RecordedFields(all.value(name), `inputs "${name}"`);
  const dim = fields.integer("head_dim");
  const heads = fields.integer("n_head");
  const kvHeads = fields.integer("n_head_kv");
  const queries = fields.integer("n_q");
  const positions = fields.integer("n_kv", queries);
  if (heads % kvHeads !== 0) throw badFile(`${fields.where}: ${heads} heads over ${kvHeads}`);
  return {
    dim,
    heads,
    kvHeads,
    queries,
    positions,
    q: fields.floats("q", queries * heads * dim),
    k: fields.floats("k", positions * kvHeads * dim),
    v: fields.floats("v", positions * kvHeads * dim),
    exact: fields.floats("exact_output", queries * heads * dim),
  };
}

/** x: (n, dim) → its bytes in a cache of this type, and what they decode to, original basis. */
function throughCache(type: string, x: Float32Array, dim: number, where: string) {
  const name = FORMAT_OF[type];
  if (name === undefined) throw badFile(`${where}: nothing here holds caches of type "${type}"`);
  const codec = findFormat(name).open({ dim });
  const packed = new Uint8Array((x.length / dim) * codec.bytesPerVector);
  codec.encode(x, packed);
  const decoded = new Float32Array(x.length);
  codec.decode(packed, decoded);
  return { packed, decoded };
}

/** Queries meet f16 keys as halves, quantised keys as q8_0, turbo keys as f32. */
function asEngineSees(q: Float32Array, kType: string, dim: number): Float32Array {
  if (kType.startsWith("turbo")) return q;
  return throughCache(kType === "f16" ? "f16" : "q8_0", q, dim, "queries").decoded;
}

/** Causal attention, the last query at the last position. Returns (queries, heads, dim). */
function attend(
  given: Inputs,
  q: Float32Array,
  k: Float32Array,
  v: Float32Array,
  halves: boolean,
): Float64Array {
  const { dim, heads, kvHeads, queries, positions } = given;
  const out = new Float64Array(q.length);
  for (let t = 0; t < queries; t++) {
    for (let h = 0; h < heads; h++) {
      const at = (t * heads + h) * dim;
      const row = (p: number): number => (p * kvHeads + Math.floor((h * kvHeads) / heads)) * dim;
      const scores = Array.from({ length: positions - queries + t + 1 }, (_, p) => {
        let sum = 0;
        for (let i = 0; i < dim; i++) sum += q[at + i]! * k[row(p) + i]!;
        return sum / Math.sqrt(dim);
      });
      const mix = halves ? mixInHalves : mixExactly;
      out.set(
        mix(scores, dim, (p, i) => v[row(p) + i]!),
        at,
      );
    }
  }
  return out;
}

type ValueAt = (position: number, i: number) => number;

function mixExactly(scores: readonly number[], dim: number, value: ValueAt): Float64Array {
  const top = Math.max(...scores);
  const weights = scores.map((s) => Math.exp(s - top));
  const total = weights.reduce((a, b) => a + b, 0);
  const out = new Float64Array(dim);
  for (const [p, w] of weights.entries()) for (let i = 0; i < dim; i++) out[i]! += (w / total) * value(p, i);
  return out;
}

/** Online softmax whose running sum of values is rounded to halves at every step, as the engine's is for f16 V. */
function mixInHalves(scores: readonly number[], dim: number, value: ValueAt): Float64Array {
  const half = (x: number): number => fromF16(toF16(x));
  const sums = new Float64Array(dim);
  let top = Number.NEGATIVE_INFINITY;
  let total = 0;
  for (const [p, score] of scores.entries()) {
    const s = fround(score);
    const scale = s > top ? fround(Math.exp(top - s)) : 1;
    const weight = s > top ? 1 : fround(Math.exp(s - top));
    top = Math.max(top, s);
    for (let i = 0; i < dim; i++) {
      const scaled = half(fround(sums[i]! * scale));
      sums[i] = half(fround(scaled + fround(value(p, i) * weight)));
    }
    total = fround(fround(total * scale) + weight);
  }
  return sums.map((sum) => sum / total);
}

/** Σ (a − b)², b = 0 when absent. */
function squaredError(a: ArrayLike<number>, b?: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! - (b ? b[i]! : 0)) ** 2;
  return sum;
}
