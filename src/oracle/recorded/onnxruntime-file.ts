/**
 * ONNX Runtime's WebGPU 4-bit attention: the cache it wrote and the output it computed. Norms may differ by two units
 * in the last place and codes next to a boundary (a GPU sums in an order of its own); the output of causal attention
 * over the recorded cache, computed in f64, is within 3e-7 in relative L2 norm, and no value is off by 1e-6 of the
 * largest.
 */
import { sumOfSquares } from "../../core/float.js";
import { getF32, getU32 } from "../../core/little-endian.js";
import { wht } from "../../core/wht.js";
import type { VectorCodec } from "../../formats/format.js";
import { ONNX_CODEBOOK } from "../../formats/onnxruntime.js";
import { findFormat } from "../../formats/registry.js";
import { tableCheck } from "../pipeline/table-check.js";
import { wireOf } from "../pipeline/wire.js";
import { judgeCodes } from "./near-ties.js";
import { badFile, type RecordedFields } from "./record.js";
import type { Tally } from "./tally.js";

export const ONNX_TYPE = "onnxruntime/q4";
const OUTPUT_L2 = 3e-7;
const OUTPUT_VALUE = 1e-6;
const NORM_ULPS = 2;

export function judgeOnnxFile(file: RecordedFields, tally: Tally): void {
  const format = findFormat(ONNX_TYPE);
  for (const record of file.records("cases")) {
    const dim = record.integer("head_dim");
    if (!format.supports(dim)) throw badFile(`${record.where}: heads of ${dim} values do not exist`);
    const codec = format.open({ dim });
    if (4 * record.integer("words") !== codec.bytesPerVector)
      throw badFile(`${record.where}: "words" is not ${codec.bytesPerVector / 4}`);
    const tokens = record.integer("tokens");
    const heads = record.integer("kv_heads");
    const n = tokens * heads;
    const query = record.floats("query", n * dim);
    const output = record.floats("output", n * dim);
    const sides = (["key", "value"] as const).map((side) => ({
      side,
      input: record.floats(side, n * dim),
      cache: record.bytes(`present_${side}`, n * codec.bytesPerVector),
    }));
    const check = tableCheck(wireOf(ONNX_TYPE, dim, 0, "key")!);
    if (check.status === "fail") tally.find(check.id, `heads of ${dim}: ${check.value}`);
    tally.case(record.text("name"), () => {
      for (const { side, input, cache } of sides)
        for (let t = 0; t < tokens; t++)
          for (let h = 0; h < heads; h++) {
            const x = input.slice((t * heads + h) * dim, (t * heads + h + 1) * dim);
            const at = (h * tokens + t) * codec.bytesPerVector;
            const where = `vector ${t * heads + h}, ${side}`;
            judgeVector(tally, where, codec, x, cache.subarray(at, at + codec.bytesPerVector));
          }
      const [keys, values] = sides.map(({ cache }) => decoded(codec, cache));
      judgeOutput(tally, { dim, tokens, heads }, query, keys!, values!, output);
    });
  }
}

function judgeVector(
  tally: Tally,
  where: string,
  codec: VectorCodec,
  x: Float32Array,
  expected: Uint8Array,
): void {
  const actual = new Uint8Array(expected.length);
  codec.encode(x, actual);
  if (Math.abs(getU32(expected, 0) - getU32(actual, 0)) > NORM_ULPS)
    tally.differ(`${where} norm`, getF32(expected, 0), getF32(actual, 0));
  const y = x.map((v) => v / (Math.sqrt(sumOfSquares(x)) || 1));
  wht(y, y.length);
  const unit = y.map((v) => v / Math.sqrt(y.length));
  judgeCodes(tally, where, ONNX_CODEBOOK, unit, expected.subarray(4), actual.subarray(4));
}

function decoded(codec: VectorCodec, bytes: Uint8Array): Float32Array {
  const out = new Float32Array((bytes.length / codec.bytesPerVector) * codec.width);
  codec.decodeNative(bytes, out);
  return out;
}

interface Shape {
  readonly dim: number;
  readonly tokens: number;
  readonly heads: number;
}

/** query, output: (tokens, heads, dim); keys, values: (heads, tokens, dim), rotated. */
function judgeOutput(
  tally: Tally,
  { dim, tokens, heads }: Shape,
  query: Float32Array,
  keys: Float32Array,
  values: Float32Array,
  output: Float32Array,
): void {
  const largest = output.reduce((most, v) => Math.max(most, Math.abs(v)), 0);
  let errors = 0;
  let squares = 0;
  for (let t = 0; t < tokens; t++) {
    for (let h = 0; h < heads; h++) {
      const at = (t * heads + h) * dim;
      const q = hadamard(Float64Array.from(query.subarray(at, at + dim)));
      const row = (k: number): number => (h * tokens + k) * dim;
      const scores = Array.from({ length: t + 1 }, (_, k) => {
        let sum = 0;
        for (let i = 0; i < dim; i++) sum += q[i]! * keys[row(k) + i]!;
        return sum / Math.sqrt(dim);
      });
      const top = Math.max(...scores);
      const weights = scores.map((s) => Math.exp(s - top));
      const total = weights.reduce((a, b) => a + b, 0);
      const mixed = new Float64Array(dim);
      for (let k = 0; k <= t; k++)
        for (let i = 0; i < dim; i++) mixed[i]! += (weights[k]! / total) * values[row(k) + i]!;
      hadamard(mixed);
      for (let i = 0; i < dim; i++) {
        const error = mixed[i]! - output[at + i]!;
        if (!(Math.abs(error) <= OUTPUT_VALUE * largest))
          tally.differ(`vector ${t * heads + h}, output value ${i}`, output[at + i], mixed[i]);
        errors += error * error;
        squares += output[at + i]! ** 2;
      }
    }
  }
  const relative = Math.sqrt(errors / squares);
  if (errors > 0 && !(relative <= OUTPUT_L2))
    tally.differ("output, relative error", `<= ${OUTPUT_L2}`, relative);
}

/** H x / √d in place, in f64: the judge's own, not the codec's. x: (d,), d a power of two. */
function hadamard(x: Float64Array): Float64Array {
  for (let h = 1; h < x.length; h *= 2)
    for (let i = 0; i < x.length; i++) {
      if (i & h) continue;
      const [a, b] = [x[i]!, x[i + h]!];
      x[i] = a + b;
      x[i + h] = a - b;
    }
  const unit = 1 / Math.sqrt(x.length);
  for (let i = 0; i < x.length; i++) x[i]! *= unit;
  return x;
}
