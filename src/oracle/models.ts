/**
 * Formats that are neither one rotating wire format nor blocks of a stock quantiser: each brings its own comparison and
 * its own diagnosis.
 */
import type { Coder } from "./coded/coded.js";
import { polarCoder } from "./coded/coder-polar.js";
import { trellisCoder } from "./coded/coder-trellis.js";
import { weightCoder } from "./coded/coder-weights.js";
import { compareCoded, compareCodedValues } from "./coded/compare.js";
import { codedFaults, codedValueFaults } from "./coded/search.js";
import { referenceBytes } from "./compare-packed.js";
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
  const key = `${format}/${dim}/${seed}/${side}`;
  if (last?.key !== key) last = { key, model: made(format, dim, seed, side) };
  return last.model;
}

/** The last one: a verdict asks for it more than once. */
let last: { readonly key: string; readonly model: Model | undefined } | undefined;

function made(format: string, dim: number, seed: number | bigint, side: "key" | "value"): Model | undefined {
  const coder = weightCoder(format) ?? polarCoder(format, dim, seed) ?? trellisCoder(format, dim, seed, side);
  if (!coder) return partsModel(format, dim, seed, side);
  return coderModel(coder, dim / coder.values, (x) => referenceBytes(format, dim, x, { seed, side }));
}

/** perVector: units of a vector. */
const coderModel = (coder: Coder, perVector: number, refOf: (x: Float32Array) => Uint8Array): Model => ({
  bytes: coder.bytes,
  values: coder.values,
  compare: (x, ref, packed) => compareCoded(coder, perVector, x, ref, packed),
  compareValues: (x, due, decoded) => compareCodedValues(coder, perVector, x, due, decoded),
  faults: (x, _ref, packed) => codedFaults(coder, x, packed),
  valueFaults: (x, _due, decoded) => codedValueFaults(coder, x, decoded, () => refOf(x)),
});
