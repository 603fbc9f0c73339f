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
 *  88      wordPlanes   → (passes, 2, 16) u8, levels as integers of two bytes (integers.ts, lookup-planes.ts), or 0
 *  92      bytePlanes   → the same of one byte
 *  96      wordUnit     f32, what integers of two bytes are multiples of
 * 100      byteUnit     f32, those of one byte
 * 104      signPlanes   → (2, 4, 2, 16) u8, the levels −1 and 1 of a sketch, of two bytes and of one; 0 without
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
import { levelsForSums, SIGN_LEVELS } from "./integers.js";
import { lookupPlanes } from "./lookup-planes.js";

const PLAN_BYTES = 112;

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
  const tiled = window === 0 && codebook.bits <= 4;
  const integers = tiled ? ([2, 1] as const).map((width) => levelsForSums(q.levels, width)) : [];
  const signs = tiled && rows > 0 ? ([2, 1] as const).map((width) => levelsForSums(SIGN_LEVELS, width)) : [];
  const planes = [
    ...integers.map(({ values }) => lookupPlanes(codebook.bits, values)),
    ...signs.map(({ values }) => lookupPlanes(1, values)),
  ];
  const pointer = arena.allocate(
    PLAN_BYTES +
      tables.reduce((sum, t) => sum + room(t), searchBytes + planes.reduce((sum, p) => sum + p.length, 0)),
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
  if (window > 0) at += searchBytes;
  const planesAt = planes.map((plane) => {
    arena.u8.set(plane, at);
    at += plane.length;
    return at - plane.length;
  });
  arena.u32.set([planesAt[0] ?? 0, planesAt[1] ?? 0], word + 22);
  arena.f32.set([integers[0]?.unit ?? 0, integers[1]?.unit ?? 0], word + 24);
  arena.u32[word + 26] = planesAt[2] ?? 0;
  return { pointer, release: () => arena.release(pointer) };
}
