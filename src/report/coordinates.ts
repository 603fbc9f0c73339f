/**
 * Coordinates of vectors before and after a format's rotation, in units of N(0,1): x·√d/‖x‖ and z. What a rotation is
 * for, as two histograms and two profiles; the format's cells are in the same units.
 */
import { openRotation, type RotationOptions, type RotationView } from "./rotation-view.js";

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
  /** null: the format does not rotate. */
  readonly rotated: {
    readonly after: Histogram;
    readonly rmsAfter: readonly number[];
    /** Reconstruction and decision levels, ascending; none where codes are not of single coordinates. */
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
    return { low: LOW, high: HIGH, counts: [...counts], below, above };
  }

  rms(vectors: number): number[] {
    return Array.from(this.squares, (sum) => Math.sqrt(sum / Math.max(1, vectors)));
  }
}

/** x: (n, dim), finite; vectors of zeros are left out. */
export function viewCoordinates(x: Float32Array, options: RotationOptions): Coordinates {
  const counts = new CoordinateCounts(options);
  counts.add(x);
  return counts.view();
}

/** Counts that grow with every part of the data. */
export class CoordinateCounts {
  readonly #options: RotationOptions;
  readonly #rotation: RotationView | undefined;
  readonly #before: Counter;
  readonly #after: Counter;
  #vectors = 0;
  #groups = 0;

  constructor(options: RotationOptions) {
    this.#options = options;
    this.#rotation = openRotation(options);
    this.#before = new Counter(options.dim);
    this.#after = new Counter(this.#rotation?.group ?? 0);
  }

  /** x: (n, dim), finite; vectors of zeros are left out. */
  add(x: Float32Array): void {
    const { dim } = this.#options;
    for (let at = 0; at < x.length; at += dim) {
      const row = x.subarray(at, at + dim);
      const norm = Math.sqrt(row.reduce((sum, v) => sum + v * v, 0));
      if (!(norm > 0)) continue;
      this.#vectors++;
      for (let i = 0; i < dim; i++) this.#before.add(i, (row[i]! * Math.sqrt(dim)) / norm);
    }
    this.#rotation?.each(x, (z) => {
      if (!z) return;
      this.#groups++;
      for (let i = 0; i < z.length; i++) this.#after.add(i, z[i]!);
    });
  }

  view(): Coordinates {
    const { format, dim } = this.#options;
    return {
      format,
      dim,
      vectors: this.#vectors,
      before: this.#before.histogram,
      rmsBefore: this.#before.rms(this.#vectors),
      rotated: this.#rotation
        ? {
            after: this.#after.histogram,
            rmsAfter: this.#after.rms(this.#groups),
            centroids: this.#rotation.centroids,
            boundaries: this.#rotation.boundaries,
          }
        : null,
    };
  }
}
