/** Every format on the same recorded vectors: what it takes and what it loses, to be held against the Shannon limit. */
import { createCodec } from "../formats/codec.js";
import type { Side } from "../formats/format.js";
import { allFormats, bitsPerValue } from "../formats/registry.js";
import type { Kernels } from "../kernels/kernels.js";
import type { Recording } from "./recording.js";

export interface Rate {
  readonly format: string;
  readonly family: string;
  readonly side: Side;
  /** Stored bits per value, every bit counted. */
  readonly bits: number;
  /** Squared error over energy; of keys, over the energy of centred keys. */
  readonly distortion: number;
}

/** Tokens of each head that are coded: distortion needs no more. */
const TOKENS = 256;

/** The least relative squared error that `bits` per value can have, for independent Gaussian values: 2^(−2·bits). */
export const shannonLimit = (bits: number): number => 2 ** (-2 * bits);

/** Formats that take the recording's dimension. progress: called after each. */
export function measureRates(
  { dim, kvHeads, tokens, layers }: Recording,
  kernels: Kernels,
  progress: (done: number, total: number, format: string) => void = () => {},
): Rate[] {
  const formats = allFormats().filter((format) => format.supports(dim));
  const rows = Math.min(TOKENS, tokens) * dim;
  const heads = (side: Side): Float32Array[] =>
    layers.flatMap((layer) =>
      Array.from({ length: kvHeads }, (_, g) =>
        layer[side].subarray(g * tokens * dim, g * tokens * dim + rows),
      ),
    );
  const energies = { key: energy(heads("key"), dim, true), value: energy(heads("value"), dim, false) };
  return formats.flatMap((format, i) => {
    const rates = (["key", "value"] as const).map((side): Rate => {
      const codec = createCodec(format.name, { dim, side, backend: kernels });
      let error = 0;
      for (const x of heads(side)) {
        const y = codec.decode(codec.encode(x));
        for (let j = 0; j < x.length; j++) error += (x[j]! - y[j]!) ** 2;
      }
      const bits = bitsPerValue(format, dim, side);
      return {
        format: format.name,
        family: format.family,
        side,
        bits,
        distortion: error / energies[side],
      };
    });
    progress(i + 1, formats.length, format.name);
    return rates;
  });
}

/** Σ|x|², or Σ|x − m|² with m the mean of each head. heads: (tokens, dim) each. */
function energy(heads: readonly Float32Array[], dim: number, centred: boolean): number {
  let sum = 0;
  for (const x of heads) {
    const mean = new Float64Array(dim);
    if (centred) for (let i = 0; i < x.length; i++) mean[i % dim]! += x[i]! / (x.length / dim);
    for (let i = 0; i < x.length; i++) sum += (x[i]! - mean[i % dim]!) ** 2;
  }
  return sum;
}
