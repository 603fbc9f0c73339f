/** The side of a format by its name. */
import { ownShape } from "../formats/own-quantizer.js";
import { findFormat } from "../formats/registry.js";
import type { Kernels } from "../kernels/kernels.js";
import { DecodedSide } from "./decoded-side.js";
import { FloatSide, HalfSide } from "./float-side.js";
import { OwnSide } from "./own-side.js";
import type { SideCodec, SideOptions } from "./side-codec.js";

/** @throws FormatError UNKNOWN_FORMAT; RangeError for a dimension the format does not take. */
export function openSide(name: string, kernels: Kernels, options: SideOptions): SideCodec {
  const format = findFormat(name);
  const { dim, side, seed, scale } = options;
  if (!format.supports(dim))
    throw new RangeError(`"headDim" expected ${format.dims} for ${name}, got ${dim}`);
  const own = ownShape(name);
  if (own) return new OwnSide(own, kernels, options);
  if (name === "f32") return new FloatSide(name, kernels, dim);
  if (name === "f16" || name === "ggml/f16") return new HalfSide(name, kernels, dim);
  const codec = format.open({ dim, seed, side, kernels, ...(scale ? { scale } : {}) });
  return new DecodedSide(name, kernels, codec);
}
