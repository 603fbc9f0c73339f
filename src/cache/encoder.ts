/**
 * Vectors of an append as bytes, before anything changes: checked, encoded once, kept until they are written.
 *
 * NaN and infinities, and norms that a format's halves cannot hold, are refused with CacheError, or under "sanitize"
 * mended and counted: NaN becomes 0, values are clamped to ±65504, and a vector whose code is not finite is halved
 * until it is.
 */
import type { SideCodec } from "../attention/side-codec.js";
import { F16_MAX } from "../core/float.js";
import type { NonFinitePolicy, Side } from "../formats/format.js";
import type { Kernels } from "../kernels/kernels.js";
import { CacheError, fromFormatError } from "./cache-error.js";

const CHUNK = 256;
/** Below this norm no format's scale is near the largest half (the worst stored scale is 5.3 times the norm). */
const SAFE_SQUARES = 1e6;

/** How many vectors `nonFinite: "sanitize"` has mended, by what was wrong. */
export interface SanitizedVectors {
  /** Vectors with NaN or infinities. */
  nonFinite: number;
  /** Vectors whose scale did not fit and that were halved. */
  overflow: number;
}

export class Encoder {
  readonly counts: SanitizedVectors = { nonFinite: 0, overflow: 0 };
  readonly #kernels: Kernels;
  readonly #dim: number;
  readonly #policy: NonFinitePolicy;
  readonly #x: number;
  readonly #decoded: number;
  readonly #squares = new Float64Array(CHUNK);
  /** Vectors of the append that were mended, each once: 2 · vector + side. */
  readonly #pending = { nonFinite: new Set<number>(), overflow: new Set<number>() };
  #capacity: number;
  #bytes: number;

  constructor(kernels: Kernels, dim: number, policy: NonFinitePolicy) {
    this.#kernels = kernels;
    this.#dim = dim;
    this.#policy = policy;
    this.#x = kernels.arena.allocate(4 * CHUNK * dim);
    this.#decoded = kernels.arena.allocate(4 * CHUNK * dim);
    this.#capacity = 4096;
    this.#bytes = kernels.arena.allocate(this.#capacity);
  }

  /** f32 space of (CHUNK, dim) for others between encodes. */
  get space(): { pointer: number; rows: number } {
    return { pointer: this.#decoded, rows: CHUNK };
  }

  /** Makes room for `bytes` bytes of codes; what was there is lost. Call before `encode`. */
  begin(bytes: number): number {
    if (bytes > this.#capacity) {
      const { arena } = this.#kernels;
      const larger = arena.allocate(bytes);
      arena.release(this.#bytes);
      this.#bytes = larger;
      this.#capacity = bytes;
    }
    if (this.#pending.nonFinite.size > 0) this.#pending.nonFinite.clear();
    if (this.#pending.overflow.size > 0) this.#pending.overflow.clear();
    return this.#bytes;
  }

  /** The vectors were written: what was mended counts. */
  commit(): void {
    this.counts.nonFinite += this.#pending.nonFinite.size;
    this.counts.overflow += this.#pending.overflow.size;
  }

  /**
   * Vectors from … to of x: (n, dim) as halves → out: (to − from, dim).
   * @throws CacheError NON_FINITE, SCALE_OVERFLOW naming vector and side.
   */
  encodeHalves(codec: SideCodec, side: Side, x: Float32Array, from: number, to: number, out: number): void {
    for (let at = from; at < to; at += CHUNK) {
      const rows = Math.min(CHUNK, to - at);
      const halves = out + 2 * (at - from) * this.#dim;
      this.#load(x, at, rows, side);
      codec.encodeHalves(this.#x, rows, halves);
      this.#fitHalves(halves, rows, at, side);
    }
  }

  /**
   * x: (n, dim) → out: (n, stride); zeros there for the first `skipped` vectors.
   * @throws CacheError NON_FINITE, SCALE_OVERFLOW naming vector and side.
   */
  encode(codec: SideCodec, side: Side, x: Float32Array, out: number, skipped = 0): void {
    const n = x.length / this.#dim;
    const { u8 } = this.#kernels.arena;
    u8.fill(0, out, out + skipped * codec.stride);
    for (let at = skipped; at < n; at += CHUNK) {
      const rows = Math.min(CHUNK, n - at);
      this.#load(x, at, rows, side);
      const chunk = out + at * codec.stride;
      try {
        codec.encode(this.#x, rows, chunk);
      } catch (error) {
        throw fromFormatError(error);
      }
      for (let r = 0; r < rows; r++)
        if (this.#squares[r]! > SAFE_SQUARES) this.#fit(codec, side, r, at + r, chunk + r * codec.stride);
    }
  }

  /** Vectors at … into working space, each checked. */
  #load(x: Float32Array, at: number, rows: number, side: Side): void {
    const { f32 } = this.#kernels.arena;
    const base = this.#x >>> 2;
    for (let i = 0; i < rows * this.#dim; i++) f32[base + i] = x[at * this.#dim + i]!;
    for (let r = 0; r < rows; r++) this.#squares[r] = this.#check(r, at + r, side);
  }

  /** Refuses or clamps halves that overflowed. */
  #fitHalves(halves: number, rows: number, at: number, side: Side): void {
    const { u16 } = this.#kernels.arena;
    for (let r = 0; r < rows; r++) {
      let large = false;
      for (let i = (halves >>> 1) + r * this.#dim, end = i + this.#dim; i < end; i++) {
        if ((u16[i]! & 0x7c00) !== 0x7c00) continue;
        if (this.#policy === "reject")
          throw new CacheError("SCALE_OVERFLOW", `${side} vector ${at + r} is too large for halves`);
        u16[i] = (u16[i]! & 0x8000) | 0x7bff;
        large = true;
      }
      if (large) this.#pending.overflow.add(nameOf(at + r, side));
    }
  }

  /** Σ x² of a row; refuses or mends what is not finite. */
  #check(row: number, vector: number, side: Side): number {
    const { f32 } = this.#kernels.arena;
    const from = (this.#x >>> 2) + row * this.#dim;
    let squares = 0;
    for (let i = from; i < from + this.#dim; i++) squares += f32[i]! * f32[i]!;
    if (squares < Number.POSITIVE_INFINITY) return squares;
    if (this.#policy === "reject") {
      const bad = f32.subarray(from, from + this.#dim).findIndex((v) => !Number.isFinite(v));
      throw new CacheError(
        "NON_FINITE",
        `${side} vector ${vector} has ${f32[from + bad]} at coordinate ${bad}`,
      );
    }
    this.#pending.nonFinite.add(nameOf(vector, side));
    for (let i = from; i < from + this.#dim; i++)
      f32[i] = Number.isNaN(f32[i]!) ? 0 : Math.min(F16_MAX, Math.max(-F16_MAX, f32[i]!));
    return Number.POSITIVE_INFINITY; // looked at once more after encoding
  }

  /** Refuses or mends a vector whose code does not decode to finite values. */
  #fit(codec: SideCodec, side: Side, row: number, vector: number, code: number): void {
    const x = this.#x + 4 * row * this.#dim;
    for (let halved = false; ; halved = true) {
      codec.decode(code, 1, this.#decoded);
      const { arena } = this.#kernels;
      if (arena.floats(this.#decoded, this.#dim).every(Number.isFinite)) return;
      if (this.#policy === "reject")
        throw new CacheError(
          "SCALE_OVERFLOW",
          `${side} vector ${vector} is too large for ${codec.format}: its scale does not fit a half`,
        );
      if (!halved) this.#pending.overflow.add(nameOf(vector, side));
      const values = arena.floats(x, this.#dim);
      for (let i = 0; i < values.length; i++) values[i]! *= 0.5;
      codec.encode(x, 1, code);
    }
  }

  release(): void {
    for (const pointer of [this.#x, this.#decoded, this.#bytes]) this.#kernels.arena.release(pointer);
  }
}

const nameOf = (vector: number, side: Side): number => 2 * vector + (side === "key" ? 0 : 1);
