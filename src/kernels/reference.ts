/**
 * The reference backend: the definitions of src/core, bound to an arena. It is also the portable fallback.
 */
import { packCodes, packedBytes, unpackCodes } from "../core/bits.js";
import { expNegative } from "../core/exp.js";
import { dot, fromF16, sumOfSquares, toF16 } from "../core/float.js";
import { addSketch, estimateCorrection, packSigns, project, type Sketch, signedSum } from "../core/qjl.js";
import {
  createScratch,
  dequantizeMse,
  dequantizeRotated,
  type Quantizer,
  quantizeMse,
} from "../core/quantizer.js";
import { SCALE_RULES } from "../core/scale.js";
import { packTrellis, trellisWindow } from "../core/trellis.js";
import {
  createTrellisQuantizer,
  createTrellisQuantizerScratch,
  quantizeTrellis,
} from "../core/trellis-quantizer.js";
import { SPAN, sumWaves } from "../core/waves.js";
import { rotate, unrotate } from "../core/wht.js";
import { Arena, type Backing, type Span } from "./arena.js";
import { dotQ4Row, dotQ8Row, ggmlQuery } from "./ggml-dot.js";
import type { Kernels } from "./kernels.js";
import { ReferenceTileKernels } from "./reference-tiles.js";

const { fround } = Math;

class GrowingBuffer implements Backing {
  buffer = new ArrayBuffer(1 << 16);
  growBy(bytes: number): Span {
    const start = this.buffer.byteLength;
    const larger = new ArrayBuffer(start + Math.ceil(bytes / 65536) * 65536);
    new Uint8Array(larger).set(new Uint8Array(this.buffer));
    this.buffer = larger;
    return { start, end: larger.byteLength };
  }
  refresh(): void {}
}

/** A plan as the core's own types, over views of the arena. */
interface View {
  readonly q: Quantizer;
  readonly sketch: Sketch | undefined;
  readonly stride: number;
  readonly codesAt: number;
  readonly codeBytes: number;
  readonly signsAt: number;
  /** Bits of a trellis window, or 0. */
  readonly window: number;
}

/** A new reference backend with a memory of its own. */
export function createReferenceKernels(): Kernels {
  const arena = new Arena(new GrowingBuffer(), 0);
  return new ReferenceKernels(arena);
}

class ReferenceKernels extends ReferenceTileKernels implements Kernels {
  readonly name = "reference";

  f32ToF16(src: number, dst: number, n: number): void {
    const { f32, u16 } = this.arena;
    for (let i = 0; i < n; i++) u16[(dst >>> 1) + i] = toF16(f32[(src >>> 2) + i]!);
  }

  f16ToF32(src: number, dst: number, n: number): void {
    const { f32, u16 } = this.arena;
    for (let i = 0; i < n; i++) f32[(dst >>> 2) + i] = fromF16(u16[(src >>> 1) + i]!);
  }

  rotate(plan: number, x: number, rows: number): void {
    const { q } = this.#view(plan);
    for (let r = 0; r < rows; r++) rotate(q.rotation, this.arena.floats(x + 4 * r * q.dim, q.dim));
  }

  unrotate(plan: number, x: number, rows: number): void {
    const { q } = this.#view(plan);
    for (let r = 0; r < rows; r++) unrotate(q.rotation, this.arena.floats(x + 4 * r * q.dim, q.dim));
  }

  encode(plan: number, x: number, rows: number, out: number): void {
    const view = this.#view(plan);
    if (view.window > 0) this.#encodeTrellis(view, x, rows, out);
    else this.#encodeCodes(view, x, rows, out);
  }

  #encodeCodes(view: View, x: number, rows: number, out: number): void {
    const { q, sketch, stride, codesAt, codeBytes, signsAt } = view;
    const scratch = createScratch(q.dim);
    const codes = new Uint8Array(q.dim);
    const residual = new Float32Array(q.dim);
    const projections = new Float32Array(sketch?.rows ?? 0);
    for (let r = 0; r < rows; r++) {
      const row = this.arena.floats(x + 4 * r * q.dim, q.dim);
      const bytes = this.arena.bytes(out + r * stride, stride);
      const scale = quantizeMse(q, row, codes, scratch);
      putHalf(bytes, 0, scale);
      packCodes(codes, q.codebook.bits, bytes.subarray(codesAt, codesAt + codeBytes));
      if (!sketch) continue;
      dequantizeMse(q, codes, scale, residual);
      for (let i = 0; i < q.dim; i++) residual[i] = row[i]! - residual[i]!;
      putHalf(bytes, 2, toF16(fround(Math.sqrt(sumOfSquares(residual)))));
      project(sketch, residual, projections);
      packSigns(projections, bytes.subarray(signsAt));
    }
  }

  #encodeTrellis(view: View, x: number, rows: number, out: number): void {
    const { q, stride, codesAt, codeBytes, window } = view;
    const { bits, centroids: table } = q.codebook;
    const quantizer = createTrellisQuantizer(q.rotation, { bits, window, table }, q.rule, q.center);
    const scratch = createTrellisQuantizerScratch(quantizer);
    const codes = new Uint8Array(q.dim);
    for (let r = 0; r < rows; r++) {
      const bytes = this.arena.bytes(out + r * stride, stride);
      putHalf(
        bytes,
        0,
        quantizeTrellis(quantizer, this.arena.floats(x + 4 * r * q.dim, q.dim), codes, scratch),
      );
      packTrellis(bits, codes, bytes.subarray(codesAt, codesAt + codeBytes));
    }
  }

  decode(plan: number, bytes: number, rows: number, out: number): void {
    const { q, sketch, signsAt, stride } = this.#view(plan);
    this.#decodeWith(plan, bytes, rows, out, dequantizeMse);
    if (!sketch) return;
    for (let r = 0; r < rows; r++) {
      const row = this.arena.bytes(bytes + r * stride, stride);
      const x = this.arena.floats(out + 4 * r * q.dim, q.dim);
      addSketch(sketch, half(row, 2), row.subarray(signsAt), x);
    }
  }

  decodeRotated(plan: number, bytes: number, rows: number, out: number): void {
    this.#decodeWith(plan, bytes, rows, out, dequantizeRotated);
  }

  score(
    plan: number,
    query: number,
    sketched: number,
    offset: number,
    bytes: number,
    rows: number,
    out: number,
  ): void {
    const view = this.#view(plan);
    const { q, sketch, stride, signsAt } = view;
    const qRow = this.arena.floats(query, q.dim);
    const sRow = this.arena.floats(sketched, sketch?.rows ?? 0);
    const codes = new Uint8Array(q.dim);
    const levels = new Float32Array(q.dim);
    for (let r = 0; r < rows; r++) {
      const row = this.arena.bytes(bytes + r * stride, stride);
      readIndices(view, row, codes);
      for (let i = 0; i < q.dim; i++) levels[i] = q.levels[codes[i]!]!;
      let score = fround(dot(qRow, levels) * half(row, 0));
      if (sketch)
        score = fround(
          score + estimateCorrection(sketch, half(row, 2), signedSum(sRow, row.subarray(signsAt))),
        );
      this.arena.f32[(out >>> 2) + r] = score + fround(offset);
    }
  }

  accumulate(plan: number, weights: number, bytes: number, rows: number, acc: number): void {
    const view = this.#view(plan);
    const { q, sketch, stride, signsAt } = view;
    const w = this.arena.floats(weights, rows);
    const sums = this.arena.floats(acc, q.dim);
    const signSums = this.arena.floats(acc + 4 * q.dim, sketch?.rows ?? 0);
    const codes = new Uint8Array(q.dim);
    for (let r = 0; r < rows; r++) {
      const row = this.arena.bytes(bytes + r * stride, stride);
      readIndices(view, row, codes);
      const ws = fround(w[r]! * half(row, 0));
      for (let i = 0; i < q.dim; i++) sums[i]! += fround(ws * q.levels[codes[i]!]!);
      if (!sketch) continue;
      const wr = fround(w[r]! * half(row, 2));
      for (let j = 0; j < signSums.length; j++)
        signSums[j]! += (row[signsAt + (j >> 3)]! >> (j & 7)) & 1 ? wr : -wr;
    }
  }

  project(plan: number, x: number, rows: number, out: number): void {
    const { q, sketch } = this.#view(plan);
    if (!sketch) return;
    for (let r = 0; r < rows; r++)
      project(
        sketch,
        this.arena.floats(x + 4 * r * q.dim, q.dim),
        this.arena.floats(out + 4 * r * sketch.rows, sketch.rows),
      );
  }

  dotF32(query: number, keys: number, rows: number, dim: number, out: number): void {
    const q = this.arena.floats(query, dim);
    for (let r = 0; r < rows; r++)
      this.arena.f32[(out >>> 2) + r] = dot(q, this.arena.floats(keys + 4 * r * dim, dim));
  }

  accumulateF32(weights: number, values: number, rows: number, dim: number, acc: number): void {
    const w = this.arena.floats(weights, rows);
    const sums = this.arena.floats(acc, dim);
    for (let r = 0; r < rows; r++) {
      const row = this.arena.floats(values + 4 * r * dim, dim);
      for (let i = 0; i < dim; i++) sums[i]! += fround(w[r]! * row[i]!);
    }
  }

  addWaves(plan: number, wave: number, turns: number, spans: number, out: number): void {
    const { arena } = this;
    const [channels, summed, table, smooth, turned] = arena.u32.subarray(plan >>> 2, (plan >>> 2) + 5);
    const waves = {
      channels: channels!,
      summed: summed!,
      table: arena.floats(table!, summed! * SPAN),
      smooth: arena.floats(smooth!, (channels! - summed!) * 8),
    };
    const b = arena.floats(turned!, 2 * channels!);
    const sums = new Float32Array(SPAN);
    for (let span = 0; span < spans; span++) {
      const turn = arena.floats(turns + 8 * channels! * span, 2 * channels!);
      sumWaves(waves, arena.floats(wave, 2 * channels! + 1), turn, b, sums);
      const to = arena.floats(out + 4 * SPAN * span, SPAN);
      for (let i = 0; i < SPAN; i++) to[i]! += sums[i]!;
    }
  }

  scaleMax(x: number, n: number, scale: number): number {
    const { f32 } = this.arena;
    const s = fround(scale);
    let most = Number.NEGATIVE_INFINITY;
    for (let i = x >>> 2; i < (x >>> 2) + n; i++) {
      f32[i]! *= s;
      if (f32[i]! > most) most = f32[i]!;
    }
    return most + 0;
  }

  softmaxWeights(x: number, n: number, max: number, sums: number): void {
    const { f32 } = this.arena;
    const m = fround(max);
    for (let i = 0; i < n; i++) {
      const w = expNegative(fround(f32[(x >>> 2) + i]! - m));
      f32[(x >>> 2) + i] = w;
      f32[(sums >>> 2) + (i & 3)]! += w;
    }
  }

  weighTile(x: number, n: number, state: number): void {
    const { f32 } = this.arena;
    const at = state >>> 2;
    const most = this.scaleMax(x, n, f32[at + 1]!);
    const before = f32[at]!;
    let factor = 1;
    if (most > before) {
      f32[at] = most;
      if (before !== Number.NEGATIVE_INFINITY) factor = expNegative(fround(before - most));
    }
    f32[at + 2] = factor;
    const sums = f32.slice(at + 4, at + 8);
    f32.fill(0, at + 4, at + 8);
    const max = f32[at]!;
    this.softmaxWeights(x, n, max === Number.NEGATIVE_INFINITY ? 0 : max, state + 16);
    for (let lane = 0; lane < 4; lane++)
      f32[at + 4 + lane] = fround(sums[lane]! * factor) + f32[at + 4 + lane]!;
  }

  dotQ8(query: number, bytes: number, rows: number, dim: number, out: number, _work: number): void {
    const q = ggmlQuery(this.arena.floats(query, dim));
    const stride = (dim / 32) * 34;
    for (let r = 0; r < rows; r++)
      this.arena.f32[(out >>> 2) + r] = dotQ8Row(q, this.arena.bytes(bytes + r * stride, stride));
  }

  dotQ4(query: number, bytes: number, rows: number, dim: number, out: number, _work: number): void {
    const q = ggmlQuery(this.arena.floats(query, dim));
    const stride = (dim / 32) * 18;
    for (let r = 0; r < rows; r++)
      this.arena.f32[(out >>> 2) + r] = dotQ4Row(q, this.arena.bytes(bytes + r * stride, stride));
  }

  #decodeWith(
    plan: number,
    bytes: number,
    rows: number,
    out: number,
    dequantize: (q: Quantizer, codes: Uint8Array, scale: number, out: Float32Array) => void,
  ): void {
    const view = this.#view(plan);
    const { q, stride } = view;
    const codes = new Uint8Array(q.dim);
    for (let r = 0; r < rows; r++) {
      const row = this.arena.bytes(bytes + r * stride, stride);
      readIndices(view, row, codes);
      dequantize(q, codes, halfBits(row, 0), this.arena.floats(out + 4 * r * q.dim, q.dim));
    }
  }

  /** Reads the record of plan.ts back. */
  #view(plan: number): View {
    const { u32, f32 } = this.arena;
    const word = plan >>> 2;
    const u = (at: number): number => u32[word + at / 4]!;
    const f = (at: number): number => f32[word + at / 4]!;
    const table = (at: number, n: number): Float32Array => this.arena.floats(u(at), n);
    const dim = u(0);
    const bits = u(8);
    const rows = u(28);
    const window = u(80);
    const levels = 1 << (window || bits);
    return {
      window,
      stride: u(16),
      codesAt: u(20),
      codeBytes: packedBytes(dim, bits),
      signsAt: u(24),
      q: {
        dim,
        rotation: { dim, block: u(4), before: table(48, dim), after: table(52, dim), unit: f(32) },
        codebook: { bits, boundaries: table(56, window ? 0 : levels - 1), centroids: table(60, levels) },
        rule: SCALE_RULES[u(12)]!,
        center: u(68) === 0 ? undefined : table(68, dim),
        gain: f(36),
        rootDim: f(40),
        levels: table(64, levels),
      },
      sketch:
        rows === 0
          ? undefined
          : { kind: "orthogonal", dim, rows, matrix: table(72, rows * dim), factor: f(44) },
    };
  }
}

/** For each coordinate of a packed vector which level it has: the code, or the window that ends with it. */
function readIndices({ q, window, codesAt, codeBytes }: View, row: Uint8Array, out: Uint8Array): void {
  const codes = row.subarray(codesAt, codesAt + codeBytes);
  const { bits } = q.codebook;
  if (window === 0) unpackCodes(codes, bits, out);
  else for (let i = 0; i < q.dim; i++) out[i] = trellisWindow(bits, window, codes, i);
}

const halfBits = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8);
const half = (bytes: Uint8Array, at: number): number => fromF16(halfBits(bytes, at));
function putHalf(bytes: Uint8Array, at: number, bits: number): void {
  bytes[at] = bits & 255;
  bytes[at + 1] = bits >>> 8;
}
