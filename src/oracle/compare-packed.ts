/** Packed bytes against the format's own: exact, within the tolerance between real backends, or not. */
import { findFormat } from "../formats/registry.js";
import {
  distance,
  FLIP_LIMIT,
  groupsOf,
  halfSteps,
  lengthOf,
  NOISE,
  readNorm,
  transformed,
} from "./pipeline/evidence.js";
import { readCodes } from "./pipeline/layouts.js";
import type { Wire } from "./pipeline/wire.js";
import { sketchTolerated } from "./sketch/parts.js";
import type { FirstDifference } from "./verdict.js";

export interface Comparison {
  readonly first: FirstDifference | null;
  readonly faulty: boolean;
  readonly normUlps: number;
  readonly boundaryFlips: number;
  /** Vectors that differ by more than the tolerance. */
  readonly wrong: readonly number[];
  /** Of the flips within the tolerance: at an exact tie, all of them down; and ties that were not flipped. */
  readonly ties: {
    readonly flipped: number;
    readonly kept: number;
    readonly others: number;
    /** The fault that it is. Default: "boundary-tie". */
    readonly id?: string;
  };
}

/** The format's own bytes of x; what it cannot hold is mended, not refused. */
export function referenceBytes(
  name: string,
  dim: number,
  x: Float32Array,
  options: { side: "key" | "value"; seed: number | bigint },
): Uint8Array {
  const codec = findFormat(name).open({ dim, ...options, nonFinite: "sanitize" });
  const out = new Uint8Array((x.length / dim) * codec.bytesPerVector);
  codec.encode(x, out);
  return out;
}

/** Byte for byte; a format without codes and norms has no tolerance. */
export function compareBytes(ref: Uint8Array, packed: Uint8Array, stride: number): Comparison {
  const wrong = new Set<number>();
  let first: FirstDifference | null = null;
  for (let i = 0; i < ref.length; i++) {
    if (ref[i] === packed[i]) continue;
    const vector = Math.floor(i / stride);
    wrong.add(vector);
    first ??= {
      vector,
      field: "bytes",
      coordinate: null,
      byte: i % stride,
      expected: ref[i]!,
      actual: packed[i] ?? null,
    };
  }
  return {
    first,
    faulty: wrong.size > 0,
    normUlps: 0,
    boundaryFlips: 0,
    wrong: [...wrong],
    ties: { flipped: 0, kept: 0, others: 0 },
  };
}

export function comparePacked(wire: Wire, x: Float32Array, ref: Uint8Array, packed: Uint8Array): Comparison {
  const { group, groups, groupBytes, layout, bits, boundaries, centroids } = wire;
  const all = groupsOf(wire, x);
  const z = transformed(all);
  const wrong = new Set<number>();
  const codes = new Uint8Array(group);
  const expected = new Uint8Array(group);
  const ties = { flipped: 0, kept: 0, others: 0 };
  let first: FirstDifference | null = null;
  let normUlps = 0;
  let boundaryFlips = 0;
  const covered = new Uint8Array(groupBytes);
  for (const p of layout) covered[p >> 3] = 1;
  for (const at of wire.normAt) covered.fill(1, at, at + wire.normBytes);
  let tieFirst: FirstDifference | null = null;
  for (let g = 0; g < all.count; g++) {
    const at = g * groupBytes;
    const same = equalRange(ref, packed, at, at + groupBytes);
    const vector = Math.floor(g / groups);
    const base = (g % groups) * groupBytes;
    const fail = (difference: FirstDifference): void => {
      wrong.add(vector);
      first ??= difference;
    };
    readCodes(packed, at, layout, bits, 0, codes);
    readCodes(ref, at, layout, bits, 0, expected);
    for (let i = 0; i < group; i++) {
      const value = z[g]![i]!;
      if (codes[i] === expected[i]) {
        if (all.norm[g] === 0 && boundaries.includes(0)) ties.kept++; // other ties are ties in f32 only
        continue;
      }
      const off = distance(boundaries, value, codes[i]!);
      const difference: FirstDifference = {
        vector,
        field: "code",
        coordinate: (g % groups) * group + i,
        byte: base + (layout[i * bits]! >> 3),
        expected: expected[i]!,
        actual: codes[i]!,
        distance: off,
      };
      if (off <= FLIP_LIMIT + NOISE && Math.abs(codes[i]! - expected[i]!) === 1) {
        boundaryFlips++;
        const exactTie = Math.abs(value - boundaries[Math.min(codes[i]!, expected[i]!)]!) < 1.5e-7;
        const down = codes[i]! < expected[i]!;
        if (exactTie && down !== wire.tieDown) {
          ties.flipped++;
          tieFirst ??= difference;
        } else ties.others++;
      } else fail(difference);
    }
    if (same) continue;
    const chosen = lengthOf(centroids, codes);
    for (const n of wire.normAt) {
      const actual = readNorm(wire, packed, at + n);
      const due = readNorm(wire, ref, at + n);
      if (Object.is(actual, due) || (Number.isNaN(actual) && Number.isNaN(due))) continue;
      const own = wire.rule === "norm-matching" ? all.norm[g]! / chosen : due;
      const steps =
        wire.normBytes === 4
          ? Math.abs(actual - due) <= 1e-6 * Math.abs(due)
            ? 1
            : 9
          : Math.min(halfSteps(actual, due), wrong.has(vector) ? 9 : halfSteps(actual, own));
      if (steps <= 1 && Number.isFinite(actual) === Number.isFinite(due)) normUlps++;
      else fail({ vector, field: "norm", coordinate: null, byte: base + n, expected: due, actual });
    }
    let other = -1;
    for (let b = 0; b < groupBytes && other < 0; b++)
      if (!covered[b] && ref[at + b] !== packed[at + b]) other = b;
    if (other < 0) continue;
    const sketched =
      wire.sketch && !wrong.has(vector) ? sketchTolerated(wire, all.x[g]!, packed, at) : undefined;
    if (sketched) {
      boundaryFlips += sketched.flips;
      normUlps += sketched.steps;
    } else
      fail({
        vector,
        field: wire.sketch ? "sketch" : "reserved",
        coordinate: null,
        byte: base + other,
        expected: ref[at + other]!,
        actual: packed[at + other]!,
      });
  }
  if (wrong.size === 0 && ties.flipped >= 8 && ties.kept === 0 && ties.others === 0) first = tieFirst;
  else if (ties.kept > 0) ties.others += 1;
  return { first, faulty: wrong.size > 0, normUlps, boundaryFlips, wrong: [...wrong], ties };
}

function equalRange(a: Uint8Array, b: Uint8Array, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (a[i] !== b[i]) return false;
  return true;
}
