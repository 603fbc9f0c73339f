/**
 * Formats that are neither one rotating wire format nor blocks of a stock quantiser: each brings its own comparison and
 * its own diagnosis.
 */
import type { Model } from "./model.js";
import { partsModel } from "./parts.js";

export interface ModelledFormat {
  readonly format: string;
  readonly dim: number;
  readonly seed?: number | bigint;
  readonly side?: "key" | "value";
}

/** Undefined for formats that wire.ts or blocks.ts describe, and for those without codes. */
export function modelOf({ format, dim, seed = 0, side = "key" }: ModelledFormat): Model | undefined {
  return partsModel(format, dim, seed, side);
}
