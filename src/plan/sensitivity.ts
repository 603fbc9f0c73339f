/**
 * A layer profile from measurements: for each layer the KL divergence that each pair of types costs when that
 * layer alone is compressed. Chooses one option a layer so that the summed KL stays within the budget at the
 * smallest number of bytes. That costs of layers add up is an assumption; check the result with a measurement.
 *
 * Exact: a multiple-choice knapsack solved over the front of undominated (bytes, KL) sums.
 */
import { z } from "zod";
import { FormatError } from "../core/format-error.js";

const option = z.object({ k: z.string().min(1), v: z.string().min(1), kl: z.number() });
const file = z.object({
  layers: z.array(z.object({ layer: z.int().nonnegative(), options: z.array(option).min(1) })).min(1),
});

/** A format that a layer could have: bytes and cost. */
export interface Option {
  readonly k: string;
  readonly v: string;
  /** Mean KL divergence with only this layer compressed, in nats; noise may make it slightly negative. */
  readonly kl: number;
}

/** Formats layer by layer, with bytes and the sum of costs. */
export interface SensitivityProfile {
  /** One option a layer, in layer order. */
  readonly layers: readonly Option[];
  readonly bytes: number;
  readonly kl: number;
}

/** Measurements as `{ layers: [{ layer, options: [{ k, v, kl }] }] }`. @throws FormatError("BAD_FILE"). */
export function parseSensitivity(json: unknown): Option[][] {
  const parsed = file.safeParse(json);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw new FormatError("BAD_FILE", `not a sensitivity file: ${path.join(".") || "top level"}: ${message}`);
  }
  const layers = [...parsed.data.layers].sort((a, b) => a.layer - b.layer);
  layers.forEach(({ layer }, index) => {
    if (layer !== index)
      throw new FormatError(
        "BAD_FILE",
        `not a sensitivity file: layers are 0..${layers.length - 1}, got ${layer}`,
      );
  });
  return layers.map((entry) => entry.options);
}

interface Partial {
  readonly bytes: number;
  readonly kl: number;
  readonly last: Option | null;
  readonly before: Partial | null;
}

/**
 * @param optionBytes bytes of one token of layer `il` under an option
 * @throws RangeError for a budget that is not a number ≥ 0, or that no choice keeps.
 */
export function profileWithinBudget(
  layers: readonly (readonly Option[])[],
  budget: number,
  optionBytes: (il: number, option: Option) => number,
): SensitivityProfile {
  if (!(budget >= 0)) throw new RangeError(`"budget" expected a number >= 0, got ${budget}`);
  // What the layers still to come cost at least: a sum that cannot come back under the budget is dropped.
  const least = [...layers].map((options) => Math.min(...options.map((o) => o.kl)));
  let toCome = least.reduce((sum, kl) => sum + kl, 0);
  if (toCome > budget)
    throw new RangeError(
      `"budget" expected at least ${toCome.toPrecision(4)} (every layer at its best), got ${budget}`,
    );
  let front: Partial[] = [{ bytes: 0, kl: 0, last: null, before: null }];
  layers.forEach((options, il) => {
    toCome -= least[il]!;
    const sums: Partial[] = [];
    for (const before of front)
      for (const last of options) {
        const kl = before.kl + last.kl;
        if (kl + toCome <= budget + 1e-12)
          sums.push({ bytes: before.bytes + optionBytes(il, last), kl, last, before });
      }
    sums.sort((a, b) => a.bytes - b.bytes || a.kl - b.kl);
    front = [];
    let best = Number.POSITIVE_INFINITY;
    for (const sum of sums)
      if (sum.kl < best) {
        front.push(sum);
        best = sum.kl;
      }
  });
  const chosen = front[0]!;
  const picked: Option[] = [];
  for (let at: Partial | null = chosen; at?.last; at = at.before) picked.unshift(at.last);
  return { layers: picked, bytes: chosen.bytes, kl: chosen.kl };
}
