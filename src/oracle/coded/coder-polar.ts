/** Recursive polar codes: fifteen angles and a radius of every sixteen rotated values. */
import { fromF16 } from "../../core/float.js";
import { POLAR_BITS, POLAR_GROUP, POLAR_GROUP_BITS } from "../../core/recursive-polar.js";
import { POLAR_TABLES } from "../../core/recursive-polar-tables.js";
import { seededRotation } from "../../core/seeded-rotation.js";
import { FLIP_LIMIT, NOISE } from "../pipeline/evidence.js";
import type { Wire } from "../pipeline/wire.js";
import { type CodePacking, type Coder, type Coding, lengthOf, type Quantiser } from "./coded.js";
import { emptied, turnsOf, viewsOf } from "./coder-parts.js";

const ANGLES = POLAR_GROUP - 1;
const LEVELS = POLAR_BITS.length;
/** Level and width of every angle of a group, in the stream's order. */
const LEVEL_OF = [8, 4, 2, 1].flatMap((n, level) => Array.from({ length: n }, () => level));
const WIDTH = LEVEL_OF.map((level) => POLAR_BITS[level]!);
const AT = WIDTH.map((_, i) => WIDTH.slice(0, i).reduce((a, b) => a + b, 0));
const RADIUS_AT = POLAR_GROUP_BITS - 16;

/** Directions (cos, sin), by level. */
interface Angles {
  readonly centroids: readonly ArrayLike<number>[];
  readonly boundaries: readonly ArrayLike<number>[];
}

const TRUE: Angles = {
  centroids: POLAR_TABLES.map((t) => t.centroids),
  boundaries: POLAR_TABLES.map((t) => t.boundaries),
};

const directions = (angles: readonly number[]): number[] => angles.flatMap((a) => [Math.cos(a), Math.sin(a)]);

/** Sectors of equal width at every level. */
const EVEN: Angles = {
  centroids: TRUE.centroids.map((c, level) =>
    level === 0 ? c : directions([1, 3, 5, 7].map((k) => (k * Math.PI) / 16)),
  ),
  boundaries: TRUE.boundaries.map((b, level) =>
    level === 0 ? b : directions([1, 2, 3].map((k) => (k * Math.PI) / 8)),
  ),
};

/** How far (a, b) is past boundary k of a level; the lower half plane is the upper one turned. */
const past = (b: ArrayLike<number>, k: number, x: number, y: number): number =>
  b[2 * k]! * y - b[2 * k + 1]! * x;

function sector(t: Angles, level: number, x: number, y: number): number {
  const b = t.boundaries[level]!;
  const lower = level === 0 && (y < 0 || (y === 0 && x < 0));
  let code = lower ? b.length / 2 + 1 : 0;
  for (let k = 0; k < b.length / 2; k++) if (past(b, k, lower ? -x : x, lower ? -y : y) >= 0) code++;
  return code;
}

/** Sees every pair of every level of a group. */
function descend(
  z: Float64Array,
  from: number,
  see: (i: number, level: number, a: number, b: number) => void,
): number {
  let r = z.slice(from, from + POLAR_GROUP);
  for (let level = 0, i = 0; level < LEVELS; level++) {
    const next = new Float64Array(r.length / 2);
    for (let k = 0; k < next.length; k++, i++) {
      see(i, level, r[2 * k]!, r[2 * k + 1]!);
      next[k] = Math.hypot(r[2 * k]!, r[2 * k + 1]!);
    }
    r = next;
  }
  return r[0]!;
}

function quantiser(id: string | undefined, note: string, t: Angles): Quantiser {
  return {
    id,
    note,
    levels: (codes) => levelsWith(t, codes),
    code(z): Coding {
      const groups = z.length / POLAR_GROUP;
      const codes = new Uint8Array(groups * ANGLES);
      const scales = Array.from({ length: groups }, (_, g) =>
        descend(z, g * POLAR_GROUP, (i, level, a, b) => {
          codes[g * ANGLES + i] = sector(t, level, a, b);
        }),
      );
      return { codes, scales };
    },
  };
}

function levelsWith(t: Angles, codes: Uint8Array): Float64Array {
  const groups = codes.length / ANGLES;
  const out = new Float64Array(groups * POLAR_GROUP);
  for (let g = 0; g < groups; g++) {
    const x = out.subarray(g * POLAR_GROUP, (g + 1) * POLAR_GROUP);
    x[0] = 1;
    for (let level = LEVELS - 1, n = 1, at = ANGLES - 1; level >= 0; level--, n <<= 1, at -= n) {
      const c = t.centroids[level]!;
      for (let i = n - 1; i >= 0; i--) {
        const code = codes[g * ANGLES + at + i]! % (c.length / 2);
        const r = x[i]!;
        x[2 * i] = r * c[2 * code]!;
        x[2 * i + 1] = r * c[2 * code + 1]!;
      }
    }
  }
  return out;
}

/** Where bit b of angle i of group g lies, from the vector's first bit. */
type Place = (g: number, i: number, b: number) => number;
const place: Place = (g, i, b) => g * POLAR_GROUP_BITS + AT[i]! + b;
const backwards: Place = (g, i, b) => place(g, i, WIDTH[i]! - 1 - b);

function packings(groups: number): CodePacking[] {
  const make = (
    id: string,
    note: string,
    at: Place,
    change: (code: number, i: number) => number = (code) => code,
    more: Partial<CodePacking> = {},
    radiusAt?: (g: number, b: number) => number,
  ): CodePacking => ({
    ...(radiusAt
      ? {
          scales: (bytes: Uint8Array, from: number) =>
            Array.from({ length: groups }, (_, g) => radius(bytes, from, (b) => radiusAt(g, b))),
        }
      : {}),
    ...(id ? { id } : {}),
    note,
    read(bytes, from) {
      return Uint8Array.from({ length: groups * ANGLES }, (_, k) => {
        const [g, i] = [Math.floor(k / ANGLES), k % ANGLES];
        let code = 0;
        for (let b = 0; b < WIDTH[i]!; b++) {
          const p = at(g, i, b);
          code |= ((bytes[from + (p >> 3)]! >> (p & 7)) & 1) << b;
        }
        return change(code, i);
      });
    },
    write(codes, bytes, from) {
      codes.forEach((code, k) => {
        const [g, i] = [Math.floor(k / ANGLES), k % ANGLES];
        const c = change(code, i);
        for (let b = 0; b < WIDTH[i]!; b++) {
          const p = at(g, i, b);
          if ((c >> b) & 1) bytes[from + (p >> 3)]! |= 1 << (p & 7);
        }
      });
    },
    ...more,
  });
  const kept = (mask: (i: number) => number) => ({
    kept: (codes: Uint8Array) => codes.map((c, k) => c & mask(k % ANGLES)),
  });
  const top = (i: number): number => 2 ** WIDTH[i]! - 1;
  const masked = (id: string, note: string, mask: (i: number) => number): CodePacking =>
    make(id, note, place, undefined, kept(mask));
  const right = make("", "", place);
  return [
    right,
    emptied(right),
    make("pack-inverted", "every angle's code is complemented", place, (c, i) => top(i) - c),
    make(
      "pack-msb-first",
      "bits of every byte reversed",
      (g, i, b) => place(g, i, b) ^ 7,
      undefined,
      {},
      (g, b) => radiusBit(g, b) ^ 7,
    ),
    make(
      "pack-msb-first",
      "one stream, most significant bit first",
      (g, i, b) => backwards(g, i, b) ^ 7,
      undefined,
      {},
      (g, b) => radiusBit(g, 15 - b) ^ 7,
    ),
    make("pack-bitplane-order", "bits of every code reversed", backwards),
    make(
      "pack-nibble-order",
      "nibbles of every byte exchanged",
      (g, i, b) => place(g, i, b) ^ 4,
      undefined,
      {},
      (g, b) => radiusBit(g, b) ^ 4,
    ),
    make(
      "pack-bitplane-order",
      "the last level first",
      (g, i, b) => g * POLAR_GROUP_BITS + RADIUS_AT - AT[i]! - WIDTH[i]! + b,
    ),
    make("endian-norm", "the radius' bytes are exchanged", place, undefined, {}, (g, b) =>
      radiusBit(g, b ^ 8),
    ),
    masked("codebook-truncated", "the highest bit of every code is lost", (i) => top(i) >> 1),
    masked("codebook-truncated", "codes masked to two bits", (i) => Math.min(3, top(i))),
    masked("codebook-truncated", "codes masked to three bits", (i) => Math.min(7, top(i))),
  ];
}

const radiusBit = (g: number, b: number): number => g * POLAR_GROUP_BITS + RADIUS_AT + b;

/** bit: where bit b of it lies. */
function radius(bytes: Uint8Array, at: number, bit: (b: number) => number): number {
  let half = 0;
  for (let b = 0; b < 16; b++) {
    const p = bit(b);
    half |= ((bytes[at + (p >> 3)]! >> (p & 7)) & 1) << b;
  }
  return fromF16(half);
}

export function polarCoder(format: string, dim: number, seed: number | bigint): Coder | undefined {
  if (format !== "polar3.875") return undefined;
  const r = seededRotation(dim, seed);
  const groups = dim / POLAR_GROUP;
  const wire: Wire = {
    name: format,
    bits: 4,
    group: dim,
    groups: 1,
    dim,
    block: r.block,
    before: r.before,
    after: r.after,
    centroids: new Float64Array(0),
    boundaries: new Float64Array(0),
    tieDown: false,
    groupBytes: (groups * POLAR_GROUP_BITS) / 8,
    normAt: [0],
    normBytes: 2,
    rule: "raw",
    layout: new Int32Array(0),
  };
  const right = quantiser(undefined, "", TRUE);
  const turns = turnsOf(wire, false);
  return {
    values: dim,
    bytes: wire.groupBytes,
    part: POLAR_GROUP,
    unit: 1,
    rule: "raw",
    normalised: false,
    turns,
    quantisers: [right, quantiser("codebook-uniform", "angles at equal distances", EVEN)],
    packings: packings(groups),
    views: viewsOf(wire),
    scales: (bytes, at) =>
      Array.from({ length: groups }, (_, g) => radius(bytes, at, (b) => radiusBit(g, b))),
    levels: (codes) => levelsWith(TRUE, codes),
    nearest: (z) => right.code(z, 1).codes,
    flips(x, due, given) {
      const z = turns[0]!.run(x, 1);
      const slack = (FLIP_LIMIT + NOISE) * lengthOf(x);
      let flips = 0;
      for (let g = 0; g < groups; g++)
        descend(z, g * POLAR_GROUP, (i, level, a, b) => {
          const k = g * ANGLES + i;
          if (due[k] === given[k]) return;
          flips += crossed(level, due[k]!, given[k]!, a, b) <= slack ? 1 : Number.NaN;
        });
      return Number.isNaN(flips) ? undefined : flips;
    },
  };
}

/** How far (a, b) is from the boundary between two neighbouring sectors; infinite where they are none. */
function crossed(level: number, from: number, to: number, a: number, b: number): number {
  if (Math.hypot(a, b) === 0) return 0;
  const bounds = TRUE.boundaries[level]!;
  const n = bounds.length / 2;
  const sectors = level === 0 ? 2 * (n + 1) : n + 1;
  const up = level === 0 ? (from + 1) % sectors : from + 1;
  const low =
    to === up ? from : level === 0 && (to + 1) % sectors === from ? to : to + 1 === from ? to : undefined;
  // A pair that is next to nothing has no direction.
  if (low === undefined) return Math.hypot(a, b);
  const k = low % (n + 1);
  return k === n ? Math.abs(b) : Math.abs(past(bounds, k, a, b));
}
