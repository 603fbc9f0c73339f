/**
 * What a format's rotation makes of vectors, in units of N(0,1), with the cells of its codebook in the same units. The
 * oracle's descriptions know formats with a code for each coordinate; those with other codes rotate as well.
 */
import { seededRotation } from "../core/seeded-rotation.js";
import { rotate } from "../core/wht.js";
import { groupsOf, transformed } from "../oracle/pipeline/evidence.js";
import { type Wire, wireOf } from "../oracle/pipeline/wire.js";

export interface RotationOptions {
  readonly format: string;
  readonly dim: number;
  readonly seed: number | bigint;
  readonly side: "key" | "value";
}

export interface RotationView {
  /** Values that are rotated together. */
  readonly group: number;
  /** Reconstruction and decision levels, ascending; none where codes are not of single coordinates. */
  readonly centroids: readonly number[];
  readonly boundaries: readonly number[];
  /** Absent where a code is not that of one coordinate alone. */
  readonly wire?: Wire;
  /** x: (n, dim) → visit(z), (group,) each, in order; undefined for groups of norm 0. */
  each(x: Float32Array, visit: (z: ArrayLike<number> | undefined) => void): void;
}

/** undefined for formats that do not rotate. */
export function openRotation({ format, dim, seed, side }: RotationOptions): RotationView | undefined {
  // A sketch is of what the codes leave: rotation and codes are those of the format without it.
  const coded = wireOf(format, dim, seed, side);
  const wire = coded ?? wireOf(format.replace(/^(turbo\d)\+qjl$/, "$1"), dim, seed, side);
  if (wire) {
    const unit = Math.sqrt(wire.group);
    return {
      group: wire.group,
      centroids: Array.from(wire.centroids, (c) => c * unit),
      boundaries: Array.from(wire.boundaries, (b) => b * unit),
      ...(coded ? { wire: coded } : {}),
      each(x, visit) {
        const groups = groupsOf(wire, x);
        for (const [g, z] of transformed(groups).entries())
          visit(groups.norm[g]! > 0 ? z.map((v) => v * unit) : undefined);
      },
    };
  }
  if (!/^(trellis|polar)/.test(format)) return undefined;
  const rotation = seededRotation(dim, seed);
  return {
    group: dim,
    centroids: [],
    boundaries: [],
    each(x, visit) {
      for (let at = 0; at < x.length; at += dim) {
        const z = x.slice(at, at + dim);
        const norm = Math.sqrt(z.reduce((sum, v) => sum + v * v, 0));
        rotate(rotation, z);
        visit(norm > 0 ? z.map((v) => (v * Math.sqrt(dim)) / norm) : undefined);
      }
    },
  };
}
