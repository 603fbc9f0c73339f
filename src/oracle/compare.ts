/** Packed bytes against the format's own, by whichever description of the format there is. */
import type { BlockModel } from "./blocks.js";
import { type Comparison, compareBytes, comparePacked } from "./compare-packed.js";
import type { Wire } from "./wire.js";

/** x: (n, dim), ref and packed: (n, stride). */
export type ComparePacked = (x: Float32Array, ref: Uint8Array, packed: Uint8Array) => Comparison;

/** Of a rotating format, of one of blocks, or byte for byte. */
export function comparisonOf(
  wire: Wire | undefined,
  blocks: BlockModel | undefined,
  { dim, stride }: { readonly dim: number; readonly stride: number },
): ComparePacked {
  if (wire) return (x, ref, packed) => comparePacked(wire, x, ref, packed);
  if (blocks) return (x, ref, packed) => blocks.compare(x, dim, ref, packed);
  return (_x, ref, packed) => compareBytes(ref, packed, stride);
}
