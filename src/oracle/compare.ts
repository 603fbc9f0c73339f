/** Packed bytes and values against the format's own, by whichever description of the format there is. */
import { findFormat } from "../formats/registry.js";
import { type Comparison, compareBytes, comparePacked } from "./compare-packed.js";
import { compareValues } from "./compare-values.js";
import { type ModelledFormat, modelOf } from "./models.js";
import { wireOf } from "./pipeline/wire.js";
import { blockModel } from "./stock/blocks.js";

/** x: (n, dim), ref and packed: (n, stride). */
export type ComparePacked = (x: Float32Array, ref: Uint8Array, packed: Uint8Array) => Comparison;
/** x: (n, dim), due and decoded: (n, width). */
export type CompareDecoded = (x: Float32Array, due: Float32Array, decoded: Float32Array) => Comparison;

/** Of a format with a model of its own, of a rotating one, of one of blocks, or byte for byte. */
export function comparisonOf(of: ModelledFormat, stride: number): ComparePacked {
  const { format, dim, seed = 0, side = "key" } = of;
  const model = modelOf(of);
  if (model) return (x, ref, packed) => model.compare(x, ref, packed);
  const wire = wireOf(format, dim, seed, side);
  if (wire) return (x, ref, packed) => comparePacked(wire, x, ref, packed);
  const blocks = blockModel(format, side, dim);
  if (blocks) return (x, ref, packed) => blocks.compare(x, dim, ref, packed);
  return (_x, ref, packed) => compareBytes(ref, packed, stride);
}

/** The same for values, each vector `width` wide. */
export function valueComparisonOf(of: ModelledFormat, width: number): CompareDecoded {
  const { format, dim, seed = 0, side = "key" } = of;
  const model = modelOf(of);
  if (model) return (x, due, decoded) => model.compareValues(x, due, decoded);
  const wire = wireOf(format, dim, seed, side);
  const found = findFormat(format);
  return (x, due, decoded) => compareValues(wire, found, x, due, decoded, width);
}
