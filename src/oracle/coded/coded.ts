/**
 * Formats whose codes no step function of one rotated value gives (a path of a trellis, recursive angles, scales that are
 * searched for): each brings a coder, which makes codes and scales of a unit with any one stage replaced. The stages are
 * those of every diagnosis: turn → code (with its table or its way to find a scale) → packing, and the rule of the scales.
 */
import type { NormRule } from "../pipeline/wire.js";

/** What a rotation makes of a unit. */
export interface Turn {
  readonly id?: string | undefined;
  readonly note: string;
  /** x: (values,) with its norm, where the coder wants unit vectors, else with one → z: (values,). */
  run(x: Float64Array, norm: number): Float64Array;
}

/** Codes of a unit, and the scale of each of its parts as the encoder finds it. */
export interface Coding {
  readonly codes: Uint8Array;
  readonly scales: readonly number[];
}

export interface Quantiser {
  readonly id?: string | undefined;
  readonly note: string;
  /** norm: of x. */
  code(z: Float64Array, norm: number): Coding;
  /** One of many like it: tried alone, not beside another fault. */
  readonly single?: boolean;
  /** Codes of a scale that is known. */
  codeWith?(z: Float64Array, scales: readonly number[]): Uint8Array;
  /** Where its levels are others than the format's. */
  levels?(codes: Uint8Array): Float64Array;
}

export interface CodePacking {
  readonly id?: string | undefined;
  readonly note: string;
  read(bytes: Uint8Array, at: number): Uint8Array;
  write(codes: Uint8Array, bytes: Uint8Array, at: number): void;
  /** Where the scales lie elsewhere too. */
  scales?(bytes: Uint8Array, at: number): number[];
  /** What is left of codes that are not wholly stored; `read` gives what is there. */
  kept?(codes: Uint8Array): Uint8Array;
}

export interface Coder {
  /** Values and bytes of a unit. */
  readonly values: number;
  readonly bytes: number;
  /** Values of a part, which has a scale of its own, and what its levels are divided by so that a scale is a norm. */
  readonly part: number;
  readonly unit: number;
  readonly rule: NormRule;
  /** Codes are those of unit vectors: z is one. */
  readonly normalised: boolean;
  /** The true one first, each. */
  readonly turns: readonly Turn[];
  readonly quantisers: readonly Quantiser[];
  readonly packings: readonly CodePacking[];
  /** Inverse rotations of a decoder, as what brings its values to levels again; the true one first. */
  readonly views: readonly Turn[];
  /** Scales of the parts, as they are stored. */
  scales(bytes: Uint8Array, at: number): number[];
  /** Values of a scale of one, rotated. */
  levels(codes: Uint8Array): Float64Array;
  /** Quantisers that the evidence suggests: a table of another size, say. given: z, codes and stored scales of units. */
  fitted?(
    given: readonly { readonly z: Float64Array; readonly norm: number; readonly coding: Coding }[],
  ): Quantiser[];
  /** Codes of decoded values, rotated; the true coding helps where values alone do not tell. */
  nearest(z: Float64Array, due: Coding): Uint8Array | undefined;
  /** Whether codes are those of x but for what lies next to a boundary; how many differ. */
  flips(x: Float64Array, due: Uint8Array, given: Uint8Array): number | undefined;
}

/** Units of an input as f64: (n · values) → n. */
export function unitsOf(coder: Coder, x: Float32Array, most = Number.POSITIVE_INFINITY): Float64Array[] {
  const count = x.length / coder.values;
  const step = Math.max(1, Math.floor(count / most));
  const out: Float64Array[] = [];
  for (let u = 0; u < count && out.length < most; u += step)
    out.push(Float64Array.from(x.subarray(u * coder.values, (u + 1) * coder.values)));
  return out;
}

export const lengthOf = (v: ArrayLike<number>, from = 0, to = v.length): number => {
  let sum = 0;
  for (let i = from; i < to; i++) sum += v[i]! * v[i]!;
  return Math.sqrt(sum);
};

/** What a turn makes of a unit of this norm. */
export const turnedBy = (coder: Coder, turn: Turn, x: Float64Array, norm: number): Float64Array =>
  turn.run(x, coder.normalised ? norm : 1);

/** Parts of a unit. */
export const partsIn = (coder: Coder): number => coder.values / coder.part;
