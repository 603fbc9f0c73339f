/**
 * Names of K/V pairs: `turbo4` for both sides, `q8_0/turbo3` for keys and values. A format goes by its full name
 * (`ggml/q8_0`), ggml's also without the family, as engines write them. `+mean` after it: keys less their mean.
 */
import { FormatError } from "../core/format-error.js";
import { allFormats } from "../formats/registry.js";

/** Formats of both sides, one for all layers or one for each. */
export interface KvChoice {
  readonly name: string;
  readonly key: string | readonly string[];
  readonly value: string | readonly string[];
  /** Whether each head's mean key is subtracted: mean-kv.ts. */
  readonly mean?: boolean;
}

export interface KvPair extends KvChoice {
  readonly key: string;
  readonly value: string;
}

const MEAN = "+mean";

function formatNamed(name: string): string | undefined {
  const known = new Set(allFormats().map((format) => format.name));
  return [name, `ggml/${name}`].find((candidate) => known.has(candidate));
}

/** @throws FormatError UNKNOWN_FORMAT */
export function kvPair(name: string): KvPair {
  const mean = name.endsWith(MEAN);
  const formats = mean ? name.slice(0, -MEAN.length) : name;
  const pair = (key: string, value: string) => ({ name, key, value, ...(mean ? { mean } : {}) });
  const both = formatNamed(formats);
  if (both) return pair(both, both);
  for (let slash = formats.indexOf("/"); slash >= 0; slash = formats.indexOf("/", slash + 1)) {
    const key = formatNamed(formats.slice(0, slash));
    const value = formatNamed(formats.slice(slash + 1));
    if (key && value) return pair(key, value);
  }
  throw new FormatError(
    "UNKNOWN_FORMAT",
    `"kv" expected a format, or key/value formats, got "${name}"; see: turboquant formats`,
  );
}
