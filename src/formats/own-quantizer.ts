/** What the names of our own formats say, and the quantiser that they name. */
import { type Codebook, gaussianCodebook } from "../core/codebook.js";
import { createQuantizer, type Quantizer } from "../core/quantizer.js";
import type { Seed } from "../core/random.js";
import { defaultScaleRule, type ScaleRule } from "../core/scale.js";
import { seededRotation } from "../core/seeded-rotation.js";
import type { Trellis } from "../core/trellis.js";
import { TRELLIS_NAMES, trellisByName } from "../core/trellis-tables.js";
import type { Side } from "./format.js";

/** A format of ours as its codec sees it: bits of a code, what a code means, and whether a sketch follows. */
export interface OwnShape {
  readonly name: string;
  readonly bits: number;
  readonly sketch: boolean;
  /** Undefined: scalar codes of the Gaussian codebook. */
  readonly trellis: Trellis | undefined;
}

/** turbo1 … turbo8, turbo1+qjl … turbo4+qjl. */
export const TURBO_SHAPES: readonly OwnShape[] = [1, 2, 3, 4, 5, 6, 7, 8].flatMap((bits) => {
  const plain = { name: `turbo${bits}`, bits, sketch: false, trellis: undefined };
  return bits <= 4 ? [plain, { ...plain, name: `turbo${bits}+qjl`, sketch: true }] : [plain];
});

export const TRELLIS_SHAPES: readonly OwnShape[] = TRELLIS_NAMES.map((name) => {
  const trellis = trellisByName(name);
  return { name, bits: trellis.bits, sketch: false, trellis };
});

/** The shape of a format of ours; undefined for formats of others. */
export const ownShape = (name: string): OwnShape | undefined =>
  [...TURBO_SHAPES, ...TRELLIS_SHAPES].find((shape) => shape.name === name);

export interface OwnQuantizerOptions {
  readonly dim: number;
  readonly seed: Seed;
  readonly side: Side;
  /** Default by side; with a sketch, which removes the bias, that of least error. */
  readonly scale?: ScaleRule | undefined;
  readonly center?: Float32Array | undefined;
  /** Of the rotation's random stream. */
  readonly label?: string;
}

/** With a trellis the codebook's centroids are the values of its windows, and it has no boundaries. */
export function ownQuantizer(shape: OwnShape, options: OwnQuantizerOptions): Quantizer {
  const { dim, seed, side, center, label = "rotation" } = options;
  const scale = options.scale ?? (shape.sketch ? "least-squares" : defaultScaleRule(side));
  const { bits, trellis } = shape;
  const codebook: Codebook = trellis
    ? { bits, centroids: trellis.table, boundaries: new Float32Array(0) }
    : gaussianCodebook(bits);
  const rotation = seededRotation(dim, seed, trellis ? { label } : { label, codebook });
  return createQuantizer(rotation, bits, scale, center, codebook);
}
