/**
 * Our trellis formats (core/trellis.ts): windows of 4 bits in trellis1 … trellis3, of 6 bits in trellis2x … trellis4x.
 * Rotation, scale rule, centring and the policy for what fp16 cannot hold are those of turbo. One vector, dim a
 * multiple of 32:
 *
 *  offset  bytes         field
 *  0       2             scale   fp16
 *  2       dim·bits/8    codes   MSB first, code i at bit i·bits; value i is T of the `window` bits that end with it
 *
 * The bytes are as many as those of turbo with the same bits, and the stream differs (turbo is LSB first).
 */
import { rotates } from "../core/wht.js";
import { vectorLayout } from "../kernels/plan.js";
import type { Format } from "./format.js";
import { OwnCodec } from "./own-codec.js";
import { TRELLIS_SHAPES } from "./own-quantizer.js";

export const trellisFormats: readonly Format[] = TRELLIS_SHAPES.map((shape): Format => {
  const { name, bits, trellis } = shape;
  return {
    name,
    family: "turboquant",
    dims: "multiples of 32",
    supports: rotates,
    vectorBytes: (dim) => vectorLayout(dim, bits, 0).stride,
    rotated: false,
    verified: "defined here; TypeScript and WASM equal bit for bit",
    source: `bitshift trellis (QTIP, arXiv 2406.11235) with windows of ${trellis?.window} bits, tail-biting, signed WHT`,
    open: (options) => new OwnCodec(shape, options),
  };
});
