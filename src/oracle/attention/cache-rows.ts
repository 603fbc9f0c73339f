/**
 * What lies in a cache: rows in the basis that an engine works in (rotated and padded, where the format rotates), and
 * the way into that basis and out of it.
 */

import type { Side } from "../../formats/format.js";
import { findFormat } from "../../formats/registry.js";
import { trueRotation, trueUnrotation } from "../pipeline/transforms.js";
import { type Wire, wireOf } from "../pipeline/wire.js";

/** One side of a cache. */
export interface CacheRows {
  /** Values per head in the engine's basis. */
  readonly width: number;
  /** (tokens·kvHeads, width), engine's basis. */
  readonly rows: Float32Array;
  /** (tokens·kvHeads, dim), original basis, padding cropped. */
  readonly plain: Float32Array;
  /** Absent where nothing rotates. */
  readonly wire: Wire | undefined;
}

/** x: (tokens·kvHeads, dim) → what the format makes of it. */
export function cacheRows(name: string, x: Float32Array, dim: number, side: Side): CacheRows {
  const format = findFormat(name);
  const codec = format.open({ dim, side, nonFinite: "sanitize" });
  const n = x.length / dim;
  const bytes = new Uint8Array(n * codec.bytesPerVector);
  codec.encode(x, bytes);
  const plain = new Float32Array(x.length);
  codec.decode(bytes, plain);
  const known = wireOf(name, dim, 0, side);
  const wire = known?.dense ? undefined : known; // those decode to the original basis by themselves
  if (!wire || !format.rotated) return rowsOf(plain, dim, wire);
  const width = wire.group * wire.groups;
  const rows = new Float32Array(n * width);
  codec.decodeNative(bytes, rows);
  return { width, rows, plain, wire };
}

/** plain: (tokens·kvHeads, dim), original basis, turned row by row where there is a rotation. */
export function rowsOf(plain: Float32Array, dim: number, wire: Wire | undefined): CacheRows {
  if (!wire) return { width: dim, rows: plain, plain, wire };
  const width = wire.group * wire.groups;
  const n = plain.length / dim;
  const rows = new Float32Array(n * width);
  for (let v = 0; v < n; v++) rows.set(turned(wire, plain.subarray(v * dim, (v + 1) * dim)), v * width);
  return { width, rows, plain, wire };
}

/** x: (≤ width,) → R x, padded: (width,). */
export function turned(wire: Wire, x: ArrayLike<number>, back = false): Float64Array {
  const out = new Float64Array(wire.group * wire.groups);
  for (let i = 0; i < x.length; i++) out[i] = x[i]!;
  for (let g = 0; g < wire.groups; g++) {
    const part = out.subarray(g * wire.group, (g + 1) * wire.group);
    if (back) trueUnrotation(wire, part);
    else trueRotation(wire, part);
  }
  return out;
}

/** x: (width,) → R⁻¹ x. */
export const turnedBack = (wire: Wire, x: ArrayLike<number>): Float64Array => turned(wire, x, true);
