/**
 * What a rotating format's bytes mean, as data: which rotation, which table, where the norm lies, where every bit of
 * every code lies. The codecs in src/formats write the bytes; this description lets the diagnosis replace one part at
 * a time. All quantities are those of a group of unit norm.
 */
import { gaussianCodebook } from "../../core/codebook.js";
import { sharedSketch } from "../../core/qjl.js";
import { seededRotation } from "../../core/seeded-rotation.js";
import { LLAMA_FOUR, LLAMA_THREE, LLAMA_TWO } from "../../formats/llama-codebooks.js";
import { denseMatrices } from "../../formats/llama-dense.js";
import { llamaRotation } from "../../formats/llama-rotation.js";
import type { NativeCodebook } from "../../formats/native-codebook.js";
import { ONNX_CODEBOOK } from "../../formats/onnxruntime.js";
import { vllmCodebook } from "../../formats/vllm-centroids.js";
import { streamBits } from "./layouts.js";

export type NormRule = "norm-matching" | "raw" | "unbiased" | "least-squares";

export interface SketchFields {
  readonly normAt: number;
  readonly signsAt: number;
  readonly rows: number;
  /** S: (rows, group). */
  readonly matrix: Float32Array;
  /** The stored residual norm is that of the unit vector's residual, not of the vector's. */
  readonly unit: boolean;
  /** What a decoder multiplies Sᵀ signs by, beside the residual's norm. */
  readonly factor: number;
}

export interface Wire {
  readonly name: string;
  readonly bits: number;
  /** Values that share one norm. */
  readonly group: number;
  /** Groups of one vector; the last one is zero-padded. */
  readonly groups: number;
  readonly dim: number;
  /** Hadamard block, and the two diagonals: (group,). */
  readonly block: number;
  readonly before: Float32Array;
  readonly after: Float32Array;
  /** A dense rotation in place of the Hadamard one: (group, group), row-major. */
  readonly dense?: Float32Array;
  readonly centroids: Float64Array;
  readonly boundaries: Float64Array;
  readonly tieDown: boolean;
  readonly groupBytes: number;
  /** Byte offsets of the norm's copies. */
  readonly normAt: readonly number[];
  readonly normBytes: 2 | 4;
  readonly rule: NormRule;
  /** Bit position, within the group, of bit j of code i: entry i·bits + j. */
  readonly layout: Int32Array;
  readonly sketch?: SketchFields;
  /** Of what a seed draws. */
  readonly seed?: number | bigint;
}

const f64 = (values: ArrayLike<number>, factor = 1): Float64Array =>
  Float64Array.from({ length: values.length }, (_, i) => values[i]! * factor);

/** Two low bits in order, then the high bits: turbo3. sub: values of a run, runs of `stride` bytes. */
export function planes(group: number, sub: number, stride: number, from: number): Int32Array {
  const map = new Int32Array(3 * group);
  for (let i = 0; i < group; i++) {
    const base = 8 * (Math.floor(i / sub) * stride + from);
    const j = i % sub;
    map[3 * i] = base + 2 * j;
    map[3 * i + 1] = base + 2 * j + 1;
    map[3 * i + 2] = base + 2 * sub + j;
  }
  return map;
}

/** The description of a format at a dimension; undefined for formats that do not rotate to a codebook. */
export function wireOf(
  name: string,
  dim: number,
  seed: number | bigint,
  side: "key" | "value",
): Wire | undefined {
  if (name.startsWith("llama/turbo")) return llamaWire(name, dim);
  if (name.startsWith("turbo")) return ownWire(name, dim, seed, side);
  if (name.startsWith("vllm/") && side === "key" && name !== "vllm/k8v4") return vllmWire(name, dim);
  if (name === "onnxruntime/q4") return onnxWire(dim);
  return undefined;
}

const BOOKS: Record<string, NativeCodebook> = { "2": LLAMA_TWO, "3": LLAMA_THREE, "4": LLAMA_FOUR };

function llamaWire(name: string, dim: number): Wire | undefined {
  const [, digit, variant] = /^llama\/turbo([234])(?:-(\w+))?$/.exec(name) ?? [];
  if (!digit) return undefined;
  const legacy = variant === "qjl";
  const bits = Number(digit) - (legacy ? 1 : 0);
  const group = variant === "qk32" && (Math.ceil(dim / 64) * 64) % 128 !== 0 ? 64 : 128;
  const book = BOOKS[String(bits)]!;
  const r = llamaRotation(group);
  const base = {
    name,
    bits,
    group,
    groups: Math.ceil(dim / group),
    dim,
    block: group,
    before: r.before,
    after: r.after,
    centroids: f64(book.centroids),
    boundaries: f64(book.boundaries),
    tieDown: false,
    normBytes: 2 as const,
    rule: "norm-matching" as const,
  };
  if (variant === "qk32") {
    const stride = digit === "3" ? 14 : 10;
    const runs = group / 32;
    const normAt = Array.from({ length: runs }, (_, i) => i * stride);
    const layout = digit === "3" ? planes(group, 32, stride, 2) : subStream(group, 2, 32, stride, 2);
    return { ...base, groupBytes: runs * stride, normAt, layout };
  }
  if (legacy) {
    const { rotation, sketch } = denseMatrices();
    const signsAt = 4 + (128 * bits) / 8;
    return {
      ...base,
      rule: "raw",
      dense: rotation,
      groupBytes: signsAt + 16,
      normAt: [0],
      layout: streamBits(128, bits, 4),
      sketch: {
        normAt: 2,
        signsAt,
        rows: 128,
        matrix: sketch,
        unit: true,
        factor: Math.sqrt(Math.PI / 2) / 128,
      },
    };
  }
  if (variant) return undefined;
  const layout = digit === "3" ? planes(128, 128, 50, 2) : streamBits(128, bits, digit === "4" ? 4 : 2);
  return { ...base, groupBytes: { "2": 34, "3": 50, "4": 68 }[digit]!, normAt: [0], layout };
}

/** Runs of `sub` codes, each a stream behind `from` bytes. */
export function subStream(
  group: number,
  bits: number,
  sub: number,
  stride: number,
  from: number,
): Int32Array {
  const map = new Int32Array(group * bits);
  for (let i = 0; i < group; i++)
    for (let j = 0; j < bits; j++)
      map[i * bits + j] = 8 * (Math.floor(i / sub) * stride + from) + (i % sub) * bits + j;
  return map;
}

/** label: of the random stream of its signs. */
export function ownWire(
  name: string,
  dim: number,
  seed: number | bigint,
  side: "key" | "value",
  label = "rotation",
): Wire | undefined {
  const [, digit, qjl] = /^turbo([1-8])(\+qjl)?$/.exec(name) ?? [];
  if (!digit) return undefined;
  const bits = Number(digit);
  const codesAt = qjl ? 4 : 2;
  const signsAt = codesAt + (dim * bits) / 8;
  const drawn = qjl ? sharedSketch("orthogonal", dim, seed) : undefined;
  const book = gaussianCodebook(bits);
  const r = seededRotation(dim, seed, { label, codebook: book });
  return {
    name,
    bits,
    group: dim,
    groups: 1,
    dim,
    block: r.block,
    before: r.before,
    after: r.after,
    centroids: f64(book.centroids, 1 / Math.sqrt(dim)),
    boundaries: f64(book.boundaries, 1 / Math.sqrt(dim)),
    tieDown: false,
    groupBytes: drawn ? signsAt + dim / 8 : signsAt,
    normAt: [0],
    normBytes: 2,
    rule: drawn ? "least-squares" : side === "key" ? "norm-matching" : "unbiased",
    layout: streamBits(dim, bits, codesAt),
    seed,
    ...(drawn
      ? {
          sketch: { normAt: 2, signsAt, rows: dim, matrix: drawn.matrix, unit: false, factor: drawn.factor },
        }
      : {}),
  };
}

const ones = (n: number): Float32Array => new Float32Array(n).fill(1);

function vllmWire(name: string, dim: number): Wire {
  const bits = name === "vllm/4bit_nc" ? 4 : 3;
  const book = vllmCodebook(dim, bits);
  const codeBytes = Math.ceil((dim * bits) / 8);
  return {
    name,
    bits,
    group: dim,
    groups: 1,
    dim,
    block: dim,
    before: ones(dim),
    after: ones(dim),
    centroids: f64(book.centroids),
    boundaries: f64(book.boundaries),
    tieDown: false,
    groupBytes: codeBytes + 2,
    normAt: [codeBytes],
    normBytes: 2,
    rule: "raw",
    layout: streamBits(dim, bits, 0),
  };
}

function onnxWire(dim: number): Wire {
  return {
    name: "onnxruntime/q4",
    bits: 4,
    group: dim,
    groups: 1,
    dim,
    block: dim,
    before: ones(dim),
    after: ones(dim),
    centroids: f64(ONNX_CODEBOOK.centroids),
    boundaries: f64(ONNX_CODEBOOK.boundaries),
    tieDown: true,
    groupBytes: 4 + dim / 2,
    normAt: [0],
    normBytes: 4,
    rule: "raw",
    layout: streamBits(dim, 4, 4),
  };
}
