/**
 * The codec of our own formats, scalar codes (turbo.ts) and trellis codes (trellis.ts) alike. The work is done by a Kernels
 * backend; this file owns the plan, the staging between caller's arrays and the backend's memory, and the policy for
 * what fp16 cannot hold.
 */
import { assertBytes, assertFloat32, assertOneOf } from "../core/check.js";
import { dot } from "../core/float.js";
import { type Sketch, type SketchKind, sharedSketch } from "../core/qjl.js";
import type { Quantizer } from "../core/quantizer.js";
import { assertSeed } from "../core/random.js";
import { SCALE_RULES } from "../core/scale.js";
import { assertRotates } from "../core/wht.js";
import type { Kernels } from "../kernels/kernels.js";
import { createPlan, type Plan, vectorLayout } from "../kernels/plan.js";
import { createReferenceKernels } from "../kernels/reference.js";
import type { CodecOptions, SanitizeCounts, VectorCodec } from "./format.js";
import { assertCenter, mend, NON_FINITE_POLICIES, refusal } from "./non-finite.js";
import { type OwnShape, ownQuantizer } from "./own-quantizer.js";

/** A sketch is a dense dim × dim matrix: beyond this it would take minutes to make. */
export const MAX_SKETCH_DIM = 1024;
/** Vectors staged at a time. */
const CHUNK = 512;

/** Encodes and decodes vectors of a format of ours on a backend. */
export class OwnCodec implements VectorCodec {
  readonly dim: number;
  readonly width: number;
  readonly bytesPerVector: number;
  readonly kernels: Kernels;
  readonly quantizer: Quantizer;
  readonly sketch: Sketch | undefined;
  readonly plan: Plan;
  /** What was mended under the policy "sanitize", and how many non-zero vectors had a scale below fp16. */
  readonly counts: SanitizeCounts = { nonFinite: 0, overflow: 0, underflow: 0 };
  readonly #sanitize: boolean;
  readonly #x: number;
  readonly #rows: number;
  readonly #bytes: number;
  readonly #query: number;

  constructor(shape: OwnShape, options: CodecOptions, label?: string) {
    const { dim, seed = 0, side = "key", scale, center, nonFinite = "reject" } = options;
    assertRotates(dim);
    if (shape.sketch && dim > MAX_SKETCH_DIM)
      throw new RangeError(`"dim" expected at most ${MAX_SKETCH_DIM} for ${shape.name}, got ${dim}`);
    assertSeed(seed);
    assertOneOf(side, "side", ["key", "value"]);
    if (scale !== undefined) assertOneOf(scale, "scale", SCALE_RULES);
    assertOneOf(nonFinite, "nonFinite", NON_FINITE_POLICIES);
    if (center !== undefined) assertCenter(center, dim);
    const kind: SketchKind = options.sketch ?? "orthogonal";
    assertOneOf(kind, "sketch", ["gaussian", "orthogonal"]);

    this.dim = dim;
    this.width = dim;
    this.kernels = options.kernels ?? createReferenceKernels();
    this.quantizer = ownQuantizer(shape, { dim, seed, side, scale, center, ...(label ? { label } : {}) });
    this.sketch = shape.sketch ? sharedSketch(kind, dim, seed) : undefined;
    this.bytesPerVector = vectorLayout(dim, shape.bits, this.sketch?.rows ?? 0).stride;
    this.#sanitize = nonFinite === "sanitize";

    const { arena } = this.kernels;
    this.plan = createPlan(arena, this.quantizer, this.sketch, shape.trellis?.window);
    this.#x = arena.allocate(4 * CHUNK * dim);
    this.#bytes = arena.allocate(CHUNK * this.bytesPerVector);
    this.#rows = arena.allocate(4 * CHUNK);
    this.#query = arena.allocate(8 * dim);
  }

  encode(x: Float32Array, out: Uint8Array): void {
    const { dim, bytesPerVector } = this;
    const n = vectors(x, dim, "x");
    expectLength(out, n * bytesPerVector, "out");
    const { arena } = this.kernels;
    const before = { ...this.counts };
    const packed = arena.allocate(Math.max(1, n * bytesPerVector)); // whole, so that a refused vector changes nothing
    try {
      for (let at = 0; at < n; at += CHUNK) {
        const rows = Math.min(CHUNK, n - at);
        arena.f32.set(x.subarray(at * dim, (at + rows) * dim), this.#x >>> 2);
        const chunk = packed + at * bytesPerVector;
        this.kernels.encode(this.plan.pointer, this.#x, rows, chunk);
        for (let r = 0; r < rows; r++) this.#inspect(at + r, r, chunk + r * bytesPerVector);
      }
      out.set(arena.bytes(packed, n * bytesPerVector));
    } catch (error) {
      Object.assign(this.counts, before);
      throw error;
    } finally {
      arena.release(packed);
    }
  }

  decode(bytes: Uint8Array, out: Float32Array): void {
    this.#decodeWith(bytes, out, (rows) =>
      this.kernels.decode(this.plan.pointer, this.#bytes, rows, this.#x),
    );
  }

  decodeNative(bytes: Uint8Array, out: Float32Array): void {
    this.decode(bytes, out);
  }

  /** Rotated basis: scale · levels, without centre and sketch. bytes: (n, bytesPerVector) → out: (n, dim). */
  decodeRotated(bytes: Uint8Array, out: Float32Array): void {
    this.#decodeWith(bytes, out, (rows) =>
      this.kernels.decodeRotated(this.plan.pointer, this.#bytes, rows, this.#x),
    );
  }

  score(query: Float32Array, bytes: Uint8Array, out: Float32Array): void {
    const { dim, kernels, plan } = this;
    assertFloat32(query, "query");
    if (query.length !== dim) throw new RangeError(`"query" expected ${dim} values, got ${query.length}`);
    const n = codes(bytes, this.bytesPerVector);
    expectLength(out, n, "out");
    const { arena } = kernels;
    const sketched = this.#query + 4 * dim;
    arena.f32.set(query, this.#query >>> 2);
    if (this.sketch) kernels.project(plan.pointer, this.#query, 1, sketched);
    kernels.rotate(plan.pointer, this.#query, 1);
    const offset = this.quantizer.center ? dot(query, this.quantizer.center) : 0;
    this.#eachChunk(bytes, n, (at, rows) => {
      kernels.score(plan.pointer, this.#query, sketched, offset, this.#bytes, rows, this.#rows);
      out.set(arena.floats(this.#rows, rows), at);
    });
  }

  release(): void {
    const { arena } = this.kernels;
    for (const pointer of [this.#x, this.#bytes, this.#rows, this.#query]) arena.release(pointer);
    this.plan.release();
  }

  #decodeWith(bytes: Uint8Array, out: Float32Array, decode: (rows: number) => void): void {
    const n = codes(bytes, this.bytesPerVector);
    expectLength(out, n * this.dim, "out");
    this.#eachChunk(bytes, n, (at, rows) => {
      decode(rows);
      out.set(this.kernels.arena.floats(this.#x, rows * this.dim), at * this.dim);
    });
  }

  #eachChunk(bytes: Uint8Array, n: number, run: (at: number, rows: number) => void): void {
    for (let at = 0; at < n; at += CHUNK) {
      const rows = Math.min(CHUNK, n - at);
      const { u8 } = this.kernels.arena;
      u8.set(bytes.subarray(at * this.bytesPerVector, (at + rows) * this.bytesPerVector), this.#bytes);
      run(at, rows);
    }
  }

  /** Refuses or mends a vector whose stored halves are not finite; counts a scale that underflowed. */
  #inspect(vector: number, row: number, code: number): void {
    const { u8 } = this.kernels.arena;
    const scaleHigh = u8[code + 1]!;
    const broken = isExponentFull(scaleHigh) || (this.sketch !== undefined && isExponentFull(u8[code + 3]!));
    if (!broken) {
      if ((u8[code]! | (scaleHigh & 0x7f)) === 0 && this.#row(row).some((v) => v !== 0))
        this.counts.underflow++;
      return;
    }
    const values = this.#row(row);
    if (!this.#sanitize) throw refusal(values, vector);
    this.#mend(values, row, code, !values.every(Number.isFinite));
  }

  /** NaN → 0, values clamped to ±65504; a scale that is still too large is stored as 65504. */
  #mend(values: Float32Array, row: number, code: number, nonFinite: boolean): void {
    if (nonFinite) this.counts.nonFinite++;
    else this.counts.overflow++;
    mend(values);
    this.kernels.encode(this.plan.pointer, this.#x + 4 * row * this.dim, 1, code);
    const { u8 } = this.kernels.arena;
    for (const at of this.sketch ? [code, code + 2] : [code]) {
      if (!isExponentFull(u8[at + 1]!)) continue;
      u8[at] = 0xff;
      u8[at + 1] = 0x7b;
      if (nonFinite) this.counts.overflow++;
    }
  }

  #row(row: number): Float32Array {
    return this.kernels.arena.floats(this.#x + 4 * row * this.dim, this.dim);
  }
}

/** High byte of an fp16: exponent 31, infinity or NaN. */
const isExponentFull = (high: number): boolean => (high & 0x7c) === 0x7c;

function vectors(x: Float32Array, dim: number, name: string): number {
  assertFloat32(x, name, dim);
  return x.length / dim;
}

function codes(bytes: Uint8Array, stride: number): number {
  assertBytes(bytes, "bytes", stride);
  return bytes.length / stride;
}

function expectLength(out: { readonly length: number }, length: number, name: string): void {
  if (out.length !== length) throw new RangeError(`"${name}" expected length ${length}, got ${out.length}`);
}
