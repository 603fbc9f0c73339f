/**
 * The quantiser of quantizer.ts with a trellis in place of the scalar codebook: rotation, normalisation, scale rule
 * and centre are the same.
 *
 *   codes = path of least squared error through z, c = its values T[w_j]
 *   x̂ = R⁻¹ (scale · c/√dim) + μ
 */
import { fromF16 } from "./float.js";
import { createFrame, type Frame, fitScale, leaveFrame, normalise, unitLevels } from "./quantizer.js";
import type { ScaleRule } from "./scale.js";
import {
  createTrellisScratch,
  readTrellis,
  searchTrellis,
  type Trellis,
  type TrellisScratch,
  traceTrellis,
} from "./trellis.js";
import type { Rotation } from "./wht.js";

export interface TrellisQuantizer extends Frame {
  readonly trellis: Trellis;
  /** The table in units of a unit vector's coordinate. */
  readonly levels: Float32Array;
}

export function createTrellisQuantizer(
  rotation: Rotation,
  trellis: Trellis,
  rule: ScaleRule,
  center?: Float32Array,
): TrellisQuantizer {
  const frame = createFrame(rotation, rule, center);
  return { ...frame, trellis, levels: unitLevels(trellis.table, frame.dim) };
}

/** Working space of {@link quantizeTrellis}: z and c of the last vector. */
export interface TrellisQuantizerScratch {
  readonly z: Float32Array;
  readonly c: Float32Array;
  readonly search: TrellisScratch;
}

export const createTrellisQuantizerScratch = (q: TrellisQuantizer): TrellisQuantizerScratch => ({
  z: new Float32Array(q.dim),
  c: new Float32Array(q.dim),
  search: createTrellisScratch(q.trellis, q.dim),
});

/** x: (dim,) → codes: (dim,), and the scale as fp16 bits. Not finite, or overflowing, shows as exponent 31. */
export function quantizeTrellis(
  q: TrellisQuantizer,
  x: Float32Array,
  codes: Uint8Array,
  { z, c, search }: TrellisQuantizerScratch,
): number {
  const norm = normalise(q, x, z);
  searchTrellis(q.trellis, z, codes, search);
  traceTrellis(q.trellis, codes, q.trellis.table, c);
  return fitScale(q, norm, z, c);
}

/** Packed codes and the scale's fp16 bits → out: (dim,), in the rotated basis, without the centre. */
export function dequantizeTrellisRotated(
  q: TrellisQuantizer,
  codes: Uint8Array,
  scale: number,
  out: Float32Array,
): void {
  const s = fromF16(scale);
  readTrellis(q.trellis, codes, q.levels, out);
  for (let i = 0; i < out.length; i++) out[i]! *= s;
}

/** Packed codes and the scale's fp16 bits → out: (dim,), original basis, centre added back. */
export function dequantizeTrellis(
  q: TrellisQuantizer,
  codes: Uint8Array,
  scale: number,
  out: Float32Array,
): void {
  dequantizeTrellisRotated(q, codes, scale, out);
  leaveFrame(q, out);
}
