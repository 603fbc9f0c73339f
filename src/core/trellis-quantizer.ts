/**
 * The quantiser of quantizer.ts with a trellis in place of the scalar codebook: rotation, normalisation, scale rule
 * and centre are the same.
 *
 *   codes = path of least squared error through z, c = its values T[w_j]
 *   x̂ = R⁻¹ (scale · c/√dim) + μ
 *
 * Decoding is that of quantizer.ts with windows for codes.
 */
import { createFrame, type Frame, fitScale, normalise } from "./quantizer.js";
import type { ScaleRule } from "./scale.js";
import {
  createTrellisScratch,
  searchTrellis,
  type Trellis,
  type TrellisScratch,
  traceTrellis,
} from "./trellis.js";
import type { Rotation } from "./wht.js";

export interface TrellisQuantizer extends Frame {
  readonly trellis: Trellis;
}

export function createTrellisQuantizer(
  rotation: Rotation,
  trellis: Trellis,
  rule: ScaleRule,
  center?: Float32Array,
): TrellisQuantizer {
  return { ...createFrame(rotation, rule, center), trellis };
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
