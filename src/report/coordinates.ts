/**
 * Coordinates of vectors before and after a format's rotation, in units of N(0,1): x·√d/‖x‖ and z. What a rotation is
 * for, as two histograms and two profiles; the format's cells are in the same units.
 */
import { groupsOf, transformed } from "../oracle/evidence.js";
import { wireOf } from "../oracle/wire.js";

/** Bins of equal width from low to high; what lies beyond is counted apart. */
export interface Histogram {
  readonly low: number;
  readonly high: number;
  readonly counts: readonly number[];
  readonly below: number;
  readonly above: number;
}

export interface Coordinates {
  readonly format: string;
  readonly dim: number;
  readonly vectors: number;
  readonly before: Histogram;
  /** Root mean square of each coordinate, (dim,). */
  readonly rmsBefore: readonly number[];
  /** null: the format does not rotate to a codebook. */
  readonly rotated: {
    readonly after: Histogram;
    readonly rmsAfter: readonly number[];
    /** Reconstruction and decision levels, ascending. */
    readonly centroids: readonly number[];
    readonly boundaries: readonly number[];
  } | null;
}

const LOW = -8;
const HIGH = 8;
const BINS = 160;

class Counter {
  readonly counts = new Array<number>(BINS).fill(0);
  readonly squares: Float64Array;
  below = 0;
  above = 0;

  constructor(readonly width: number) {
    this.squares = new Float64Array(width);
  }

  add(i: number, value: number): void {
    this.squares[i]! += value * value;
    const bin = Math.floor(((value - LOW) / (HIGH - LOW)) * BINS);
    if (bin < 0) this.below++;
    else if (bin >= BINS) this.above++;
    else this.counts[bin]!++;
  }

  get histogram(): Histogram {
    const { counts, below, above } = this;
    return { low: LOW, high: HIGH, counts, below, above };
  }

  rms(vectors: number): number[] {
    return Array.from(this.squares, (sum) => Math.sqrt(sum / Math.max(1, vectors)));
  }
}

export interface CoordinateOptions {
  readonly format: string;
  readonly dim: number;
  readonly seed: number | bigint;
  readonly side: "key" | "value";
}

/** x: (n, dim), finite; vectors of zeros are left out. */
export function viewCoordinates(
  x: Float32Array,
  { format, dim, seed, side }: CoordinateOptions,
): Coordinates {
  const before = new Counter(dim);
  let vectors = 0;
  for (let at = 0; at < x.length; at += dim) {
    const row = x.subarray(at, at + dim);
    const norm = Math.sqrt(row.reduce((sum, v) => sum + v * v, 0));
    if (!(norm > 0)) continue;
    vectors++;
    for (let i = 0; i < dim; i++) before.add(i, (row[i]! * Math.sqrt(dim)) / norm);
  }
  return {
    format,
    dim,
    vectors,
    before: before.histogram,
    rmsBefore: before.rms(vectors),
    rotated: viewRotated(x, { format, dim, seed, side }),
  };
}

function viewRotated(
  x: Float32Array,
  { format, dim, seed, side }: CoordinateOptions,
): Coordinates["rotated"] {
  const wire = wireOf(format, dim, seed, side);
  if (!wire) return null;
  const groups = groupsOf(wire, x);
  const unit = Math.sqrt(wire.group);
  const after = new Counter(wire.group);
  let count = 0;
  for (const [g, z] of transformed(groups).entries()) {
    if (!(groups.norm[g]! > 0)) continue;
    count++;
    for (let i = 0; i < z.length; i++) after.add(i, z[i]! * unit);
  }
  return {
    after: after.histogram,
    rmsAfter: after.rms(count),
    centroids: Array.from(wire.centroids, (c) => c * unit),
    boundaries: Array.from(wire.boundaries, (b) => b * unit),
  };
}
