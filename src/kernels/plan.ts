/**
 * A plan: the record by which kernels know a quantiser. Little-endian words at fixed offsets, mirrored by
 * assembly/plan.ts. Tables lie behind pointers, each 16-byte aligned.
 *
 *  offset  field        what
 *   0      dim          u32
 *   4      block        u32, Hadamard block
 *   8      bits         u32, code width
 *  12      rule         u32, 0 least-squares, 1 norm-matching, 2 unbiased
 *  16      stride       u32, bytes per vector
 *  20      codesAt      u32, offset of the codes in a vector: 2, or 4 with a sketch
 *  24      signsAt      u32, offset of the sketch's bits in a vector (0 without)
 *  28      sketchRows   u32, projections, a multiple of 8 (0 without)
 *  32      unit         f32, 1/√block
 *  36      gain         f32, √(dim/block)
 *  40      rootDim      f32, √dim
 *  44      factor       f32, the sketch's
 *  48      before       → (dim,) f32, ±1
 *  52      after        → (dim,) f32, ±1
 *  56      boundaries   → (2^bits − 1,) f32, in units of N(0,1)
 *  60      centroids    → (2^bits,) f32, in units of N(0,1)
 *  64      levels       → (2^bits,) f32, centroids/√dim
 *  68      center       → (dim,) f32, or 0
 *  72      matrix       → (sketchRows, dim) f32, or 0
 *  76      scratch      → 4·dim f32 of working space
 *  80      window       u32, bits of a trellis window (core/trellis.ts); 0: codes are the indices of levels
 *  84      search       → 128 + max(dim, 64)·2^(window − bits) bytes of working space, or 0
 *  88      byteLevels   → (passes, 16) i8, levels as integers (byte-levels.ts); 0 without tiles
 *  92      byteUnit     f32, what 256 times those are multiples of
 *
 * With a window the tables of centroids and levels have 2^window values, boundaries none, and codes are MSB first.
 *
 * A vector: scale fp16 | residual norm fp16 (with a sketch) | codes, LSB first | sketch bits (with a sketch).
 */
import { packedBytes } from "../core/bits.js";
import type { Sketch } from "../core/qjl.js";
import type { Quantizer } from "../core/quantizer.js";
import { SCALE_RULES } from "../core/scale.js";
import type { Arena } from "./arena.js";
import { byteLevels, lookupTables } from "./byte-levels.js";

const PLAN_BYTES = 96;

/** Where the parts of a vector are, in bytes. */
export interface VectorLayout {
  readonly stride: number;
  readonly codesAt: number;
  readonly signsAt: number;
}

export function vectorLayout(dim: number, bits: number, sketchRows: number): VectorLayout {
  const codesAt = sketchRows > 0 ? 4 : 2;
  const codesEnd = codesAt + packedBytes(dim, bits);
  return {
    codesAt,
    signsAt: sketchRows > 0 ? codesEnd : 0,
    stride: codesEnd + packedBytes(sketchRows, 1),
  };
}

/** A plan in an arena; release gives its memory back. */
export interface Plan {
  readonly pointer: number;
  release(): void;
}

/**
 * window: bits of a trellis window, whose values are the codebook's centroids; 0: a scalar codebook.
 * @throws RangeError when the sketch's rows are no multiple of 8.
 */
export function createPlan(arena: Arena, q: Quantizer, sketch?: Sketch, window = 0): Plan {
  const { dim, rotation, codebook } = q;
  const rows = sketch?.rows ?? 0;
  if (rows % 8 !== 0) throw new RangeError(`"sketch.rows" expected a multiple of 8, got ${rows}`);
  const layout = vectorLayout(dim, codebook.bits, rows);
  const none = new Float32Array(0);
  const tables = [
    rotation.before,
    rotation.after,
    codebook.boundaries,
    codebook.centroids,
    q.levels,
    q.center ?? none,
    sketch?.matrix ?? none,
    new Float32Array(4 * dim),
  ];
  const searchBytes = window > 0 ? 128 + (Math.max(dim, 64) << (window - codebook.bits)) : 0;
  const room = (t: Float32Array): number => Math.ceil(t.byteLength / 16) * 16;
  const bytes = window === 0 && codebook.bits <= 4 ? byteLevels(q.levels) : undefined;
  const lookup = bytes ? lookupTables(codebook.bits, bytes.values) : new Int8Array(0);
  const pointer = arena.allocate(
    PLAN_BYTES + tables.reduce((sum, t) => sum + room(t), searchBytes + lookup.length),
  );
  const word = pointer >>> 2;
  const rule = SCALE_RULES.indexOf(q.rule);
  const { stride, codesAt, signsAt } = layout;
  arena.u32.set([dim, rotation.block, codebook.bits, rule, stride, codesAt, signsAt, rows], word);
  arena.f32.set([rotation.unit, q.gain, q.rootDim, sketch?.factor ?? 0], word + 8);
  arena.u32[word + 20] = window;
  let at = pointer + PLAN_BYTES;
  tables.forEach((table, i) => {
    arena.f32.set(table, at >>> 2);
    arena.u32[word + 12 + i] = table.length > 0 ? at : 0;
    at += room(table);
  });
  arena.u32[word + 21] = window > 0 ? at : 0;
  arena.u32[word + 22] = bytes ? at : 0;
  arena.f32[word + 23] = bytes?.unit ?? 0;
  arena.u8.set(new Uint8Array(lookup.buffer), at);
  return { pointer, release: () => arena.release(pointer) };
}
