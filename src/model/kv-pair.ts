/**
 * Names of K/V pairs: `turbo4` for both sides, `q8_0/turbo3` for keys and values. A format goes by its full name
 * (`ggml/q8_0`), ggml's also without the family, as engines write them.
 */
import { FormatError } from "../core/format-error.js";
import { allFormats } from "../formats/registry.js";

export interface KvPair {
  readonly name: string;
  readonly key: string;
  readonly value: string;
}

/** Formats of both sides, one for all layers or one for each. */
export interface KvChoice {
  readonly name: string;
  readonly key: string | readonly string[];
  readonly value: string | readonly string[];
}

function formatNamed(name: string): string | undefined {
  const known = new Set(allFormats().map((format) => format.name));
  return [name, `ggml/${name}`].find((candidate) => known.has(candidate));
}

/** @throws FormatError UNKNOWN_FORMAT */
export function kvPair(name: string): KvPair {
  const both = formatNamed(name);
  if (both) return { name, key: both, value: both };
  for (let slash = name.indexOf("/"); slash >= 0; slash = name.indexOf("/", slash + 1)) {
    const key = formatNamed(name.slice(0, slash));
    const value = formatNamed(name.slice(slash + 1));
    if (key && value) return { name, key, value };
  }
  throw new FormatError(
    "UNKNOWN_FORMAT",
    `"kv" expected a format, or key/value formats, got "${name}"; see: turboquant formats`,
  );
}
