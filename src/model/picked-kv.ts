/** What the name of a K/V pair stands for, all of it said: formats, scale rules, centring, tokens in halves. */
import { defaultScaleRule, type ScaleRule } from "../core/scale.js";
import { ownShape } from "../formats/own-quantizer.js";
import type { KvChoice } from "./kv-pair.js";

export interface PickedKv {
  readonly key: string | readonly string[];
  readonly value: string | readonly string[];
  /** Scale rules of our own formats; null for those of others, and where layers differ. */
  readonly keyScale: ScaleRule | null;
  readonly valueScale: ScaleRule | null;
  /** Keys less a mean that turns with their position. */
  readonly centre: boolean;
  /** First and last tokens in halves. */
  readonly sinks: number;
  readonly recent: number;
}

function scaleOf(format: string | readonly string[], side: "key" | "value"): ScaleRule | null {
  const shape = typeof format === "string" ? ownShape(format) : undefined;
  if (!shape) return null;
  return shape.sketch ? "least-squares" : defaultScaleRule(side);
}

export const pickedBy = ({ key, value, centre = false, sinks = 0, recent = 0 }: KvChoice): PickedKv => ({
  key,
  value,
  keyScale: scaleOf(key, "key"),
  valueScale: scaleOf(value, "value"),
  centre,
  sinks,
  recent,
});

/** The same in words: "keys trellis3x (norm-matching, centred by position), values trellis3x (unbiased), 4 sinks in f16". */
export function inWords({ key, value, keyScale, valueScale, centre, sinks, recent }: PickedKv): string {
  const names = (format: string | readonly string[]): string =>
    typeof format === "string" ? format : [...new Set(format)].join("|");
  const side = (format: string | readonly string[], notes: readonly (string | null)[]): string => {
    const said = notes.filter((note) => note !== null);
    return said.length > 0 ? `${names(format)} (${said.join(", ")})` : names(format);
  };
  const parts = [
    `keys ${side(key, [keyScale, centre ? "centred by position" : null])}`,
    `values ${side(value, [valueScale])}`,
    ...(sinks > 0 ? [`${sinks} first tokens in f16`] : []),
    ...(recent > 0 ? [`${recent} last tokens in f16`] : []),
  ];
  return parts.join(", ");
}
