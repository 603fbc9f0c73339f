/**
 * Our trellis formats (core/trellis.ts): windows of 4 bits in trellis1 … trellis3, of 6 bits in trellis2x … trellis4x.
 * Rotation, scale rule, centring and the policy for what fp16 cannot hold are those of turbo. One vector, dim a
 * multiple of 32:
 *
 *  offset  bytes         field
 *  0       2             scale   fp16
 *  2       dim·bits/8    codes   MSB first, code i at bit i·bits; value i is T of the `window` bits that end with it
 *
 * The bytes are as many as those of turbo with the same bits, and the stream differs (turbo is LSB first). Encoding is
 * the backend's; decoding and scores are TypeScript whichever is chosen.
 */
import { assertBytes, assertFloat32, assertOneOf } from "../core/check.js";
import { dot, fromF16 } from "../core/float.js";
import { getU16, putU16 } from "../core/little-endian.js";
import { assertSeed } from "../core/random.js";
import { defaultScaleRule, SCALE_RULES } from "../core/scale.js";
import { seededRotation } from "../core/seeded-rotation.js";
import { readTrellis } from "../core/trellis.js";
import {
  createTrellisQuantizer,
  dequantizeTrellis,
  type TrellisQuantizer,
} from "../core/trellis-quantizer.js";
import { TRELLIS_NAMES, type TrellisName, trellisByName } from "../core/trellis-tables.js";
import { assertRotates, rotate, rotates } from "../core/wht.js";
import type { Kernels } from "../kernels/kernels.js";
import { createPlan, type Plan, trellisWorkBytes } from "../kernels/plan.js";
import { createReferenceKernels } from "../kernels/reference.js";
import { assertSize } from "./block-codec.js";
import type { CodecOptions, Format, SanitizeCounts, VectorCodec } from "./format.js";
import { assertCenter, mend, NON_FINITE_POLICIES, refusal } from "./non-finite.js";

const { fround } = Math;
const SCALE_BYTES = 2;
/** The largest finite half, and the bits of a half's exponent. */
const LARGEST_HALF = 0x7bff;
const EXPONENT = 0x7c00;

export const trellisFormats: readonly Format[] = TRELLIS_NAMES.map((name): Format => {
  const { bits, window } = trellisByName(name);
  return {
    name,
    family: "turboquant",
    dims: "multiples of 32",
    supports: rotates,
    vectorBytes: (dim) => vectorBytes(dim, bits),
    rotated: false,
    verified: "defined here; TypeScript and WASM encode equal bit for bit",
    source: `bitshift trellis (QTIP, arXiv 2406.11235) with windows of ${window} bits, tail-biting, signed WHT`,
    open: (options) => new TrellisCodec(name, options),
  };
});

const vectorBytes = (dim: number, bits: number): number => SCALE_BYTES + (dim * bits) / 8;

class TrellisCodec implements VectorCodec {
  readonly dim: number;
  readonly width: number;
  readonly bytesPerVector: number;
  readonly counts: SanitizeCounts = { nonFinite: 0, overflow: 0, underflow: 0 };
  readonly #quantizer: TrellisQuantizer;
  readonly #kernels: Kernels;
  readonly #plan: Plan;
  readonly #x: number;
  readonly #out: number;
  readonly #work: number;
  readonly #row: Float32Array;
  readonly #sanitize: boolean;

  constructor(name: TrellisName, options: CodecOptions) {
    const { dim, seed = 0, side = "key", center, nonFinite = "reject" } = options;
    assertRotates(dim);
    assertSeed(seed);
    assertOneOf(side, "side", ["key", "value"]);
    const scale = options.scale ?? defaultScaleRule(side);
    assertOneOf(scale, "scale", SCALE_RULES);
    assertOneOf(nonFinite, "nonFinite", NON_FINITE_POLICIES);
    if (center !== undefined) assertCenter(center, dim);
    const trellis = trellisByName(name);
    this.dim = dim;
    this.width = dim;
    this.bytesPerVector = vectorBytes(dim, trellis.bits);
    this.#quantizer = createTrellisQuantizer(seededRotation(dim, seed), trellis, scale, center);
    this.#kernels = options.kernels ?? createReferenceKernels();
    const { arena } = this.#kernels;
    const codebook = { bits: trellis.bits, boundaries: new Float32Array(0), centroids: trellis.table };
    this.#plan = createPlan(arena, { ...this.#quantizer, codebook });
    this.#x = arena.allocate(4 * dim);
    this.#out = arena.allocate(this.bytesPerVector);
    this.#work = arena.allocate(trellisWorkBytes(dim, trellis.bits, trellis.window));
    this.#row = new Float32Array(dim);
    this.#sanitize = nonFinite === "sanitize";
  }

  encode(x: Float32Array, out: Uint8Array): void {
    const { dim, bytesPerVector } = this;
    assertFloat32(x, "x", dim);
    const n = x.length / dim;
    assertSize(out, "out", n * bytesPerVector);
    const packed = new Uint8Array(out.length); // whole, so that a refused vector changes nothing
    const counts = { ...this.counts };
    for (let v = 0; v < n; v++) {
      const row = x.subarray(v * dim, (v + 1) * dim);
      const code = packed.subarray(v * bytesPerVector, (v + 1) * bytesPerVector);
      this.#put(row, code);
      const scale = getU16(code, 0);
      if (isFull(scale)) {
        if (!this.#sanitize) throw refusal(row, v);
        this.#putMended(row, code, counts);
      } else if ((scale & 0x7fff) === 0 && row.some((value) => value !== 0)) counts.underflow++;
    }
    Object.assign(this.counts, counts);
    out.set(packed);
  }

  decode(bytes: Uint8Array, out: Float32Array): void {
    const { dim } = this;
    assertSize(out, "out", this.#count(bytes) * dim);
    this.#eachCode(bytes, (scale, codes, v) =>
      dequantizeTrellis(this.#quantizer, codes, scale, out.subarray(v * dim, (v + 1) * dim)),
    );
  }

  decodeNative(bytes: Uint8Array, out: Float32Array): void {
    this.decode(bytes, out);
  }

  score(query: Float32Array, bytes: Uint8Array, out: Float32Array): void {
    const { dim } = this;
    assertFloat32(query, "query");
    if (query.length !== dim) throw new RangeError(`"query" expected ${dim} values, got ${query.length}`);
    assertSize(out, "out", this.#count(bytes));
    const { rotation, center, trellis, levels } = this.#quantizer;
    const rotated = query.slice();
    rotate(rotation, rotated);
    const offset = center ? dot(query, center) : 0;
    this.#eachCode(bytes, (scale, codes, v) => {
      readTrellis(trellis, codes, levels, this.#row);
      out[v] = fround(dot(rotated, this.#row) * fromF16(scale)) + offset;
    });
  }

  #put(row: Float32Array, code: Uint8Array): void {
    const { arena } = this.#kernels;
    const { window } = this.#quantizer.trellis;
    arena.f32.set(row, this.#x >>> 2);
    this.#kernels.encodeTrellis(this.#plan.pointer, window, this.#x, 1, this.#out, this.#work);
    code.set(arena.bytes(this.#out, this.bytesPerVector));
  }

  /** A scale that is still too large for the mended vector is stored as the largest half. */
  #putMended(row: Float32Array, code: Uint8Array, counts: SanitizeCounts): void {
    const nonFinite = !row.every(Number.isFinite);
    if (nonFinite) counts.nonFinite++;
    else counts.overflow++;
    this.#row.set(row);
    mend(this.#row);
    this.#put(this.#row, code);
    if (!isFull(getU16(code, 0))) return;
    putU16(code, 0, LARGEST_HALF);
    if (nonFinite) counts.overflow++;
  }

  #count(bytes: Uint8Array): number {
    assertBytes(bytes, "bytes", this.bytesPerVector);
    return bytes.length / this.bytesPerVector;
  }

  #eachCode(bytes: Uint8Array, run: (scale: number, codes: Uint8Array, v: number) => void): void {
    for (let at = 0, v = 0; at < bytes.length; at += this.bytesPerVector, v++)
      run(getU16(bytes, at), bytes.subarray(at + SCALE_BYTES, at + this.bytesPerVector), v);
  }
}

const isFull = (half: number): boolean => (half & EXPONENT) === EXPONENT;
