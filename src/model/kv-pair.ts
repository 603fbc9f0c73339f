/**
 * Names of K/V pairs: `turbo4` for both sides, `q8_0/turbo3` for keys and values. A format goes by its full name
 * (`ggml/q8_0`), ggml's also without the family, as engines write them. What may follow:
 *
 *   +mean      keys less the plain mean of the first ones (mean-kv.ts)
 *   +centre    keys less a mean that turns with their position (core/centring.ts)
 *   +sinksN    the first N tokens in halves
 *   +recentN   the last N tokens in halves
 *
 * `best4`, `best3`, `best2` are presets (cache/presets.ts); `simulated/…` are rivals without a packed form (simulations.ts).
 */

import { KV_PRESETS, type KvPreset } from "../cache/presets.js";
import { FormatError } from "../core/format-error.js";
import { allFormats } from "../formats/registry.js";
import { SIMULATIONS, type Simulation } from "./simulations.js";

/** Formats of both sides, one for all layers or one for each. */
export interface KvChoice {
  readonly name: string;
  readonly key: string | readonly string[];
  readonly value: string | readonly string[];
  /** Whether each head's mean key is subtracted: mean-kv.ts. */
  readonly mean?: boolean;
  /** Whether a mean that turns with the position is: the cache's `center`. */
  readonly centre?: boolean;
  /** First tokens in halves. */
  readonly sinks?: number;
  /** Last tokens in halves. */
  readonly recent?: number;
  /** A rival's round trip instead of a packed cache. */
  readonly simulated?: Simulation;
}

export interface KvPair extends KvChoice {
  readonly key: string;
  readonly value: string;
}

function formatNamed(name: string): string | undefined {
  const known = new Set(allFormats().map((format) => format.name));
  return [name, `ggml/${name}`].find((candidate) => known.has(candidate));
}

const OPTION = /\+(mean|centre|center|sinks\d{1,3}|recent\d{1,3})$/;

/** Splits the options off a name: [what is left, options]. */
function optionsOf(name: string): readonly [string, Omit<KvChoice, "name" | "key" | "value">] {
  const options: { mean?: boolean; centre?: boolean; sinks?: number; recent?: number } = {};
  let rest = name;
  for (let found = OPTION.exec(rest); found; found = OPTION.exec(rest)) {
    const [, word, digits] = /^([a-z]+)(\d*)$/.exec(found[1]!)!;
    const option = (word === "center" ? "centre" : word) as keyof typeof options;
    if (option in options) break; // said twice: no name
    rest = rest.slice(0, found.index);
    if (option === "sinks" || option === "recent") options[option] = Number(digits);
    else options[option] = true;
  }
  return [rest, options];
}

/** @throws FormatError UNKNOWN_FORMAT */
export function kvPair(name: string): KvPair {
  const [formats, options] = optionsOf(name);
  const pair = (key: string, value: string): KvPair => ({ name, key, value, ...options });
  const preset: KvPreset | undefined = Object.hasOwn(KV_PRESETS, formats)
    ? KV_PRESETS[formats as keyof typeof KV_PRESETS]
    : undefined;
  if (preset) return { name, ...preset, ...options };
  const simulated = SIMULATIONS.find((s) => s.name === formats);
  if (simulated) return { ...pair(formats, formats), simulated };
  const both = formatNamed(formats);
  if (both) return pair(both, both);
  for (let slash = formats.indexOf("/"); slash >= 0; slash = formats.indexOf("/", slash + 1)) {
    const key = formatNamed(formats.slice(0, slash));
    const value = formatNamed(formats.slice(slash + 1));
    if (key && value) return pair(key, value);
  }
  throw new FormatError(
    "UNKNOWN_FORMAT",
    `"kv" expected a format, key/value formats, or a preset (${Object.keys(KV_PRESETS).join(", ")}), got "${name}"; see: turboquant formats`,
  );
}
