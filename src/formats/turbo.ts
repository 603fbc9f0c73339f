/**
 * Our own formats turbo1 … turbo8: signed WHT, Lloyd–Max codes of N(0,1), one fp16 scale; and turboN+qjl, the same
 * with a sketch of the residual (TurboQuant's Algorithms 1 and 2). One vector:
 *
 *  offset  bytes         field
 *  0       2             scale   fp16
 *  2       2             residual norm, fp16 (only with +qjl)
 *  2 | 4   dim·bits/8    codes   LSB first, code i at bit i·bits
 *  …       dim/8         sketch  bit j is 1 where projection j ≥ 0 (only with +qjl)
 *
 * 34 / 50 / 66 bytes for 2 / 3 / 4 bits at dim 128.
 */
import { rotates } from "../core/wht.js";
import { vectorLayout } from "../kernels/plan.js";
import type { Format } from "./format.js";
import { MAX_SKETCH_DIM, OwnCodec } from "./own-codec.js";
import { TURBO_SHAPES } from "./own-quantizer.js";

export const turboFormats: readonly Format[] = TURBO_SHAPES.map((shape): Format => {
  const { name, bits, sketch } = shape;
  return {
    name,
    family: "turboquant",
    dims: sketch ? `multiples of 32 up to ${MAX_SKETCH_DIM}` : "multiples of 32",
    supports: (dim) => rotates(dim) && !(sketch && dim > MAX_SKETCH_DIM),
    vectorBytes: (dim) => vectorLayout(dim, bits, sketch ? dim : 0).stride,
    rotated: false,
    verified: "defined here; TypeScript and WASM equal bit for bit",
    source: sketch
      ? "TurboQuant (arXiv 2504.19874) Algorithm 2, signed WHT, orthogonal sketch"
      : "TurboQuant (arXiv 2504.19874) Algorithm 1, signed WHT",
    open: (options) => new OwnCodec(shape, options),
  };
});
