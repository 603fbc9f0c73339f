/** A K/V pair to compare: formats of both sides, and whether keys are centred. Written `K/V`, `K` for both, `+mean`. */
import { findFormat } from "../formats/registry.js";

export interface Configuration {
  readonly name: string;
  readonly key: string;
  readonly value: string;
  /** Subtract each head's mean key before encoding (a given mean: 1-per-head, f32, counted as fixed bytes). */
  readonly center: boolean;
}

/** What the report compares when nothing is asked for. */
export const DEFAULT_CONFIGURATIONS = [
  "f16",
  "ggml/q8_0",
  "ggml/q4_0",
  "turbo4",
  "turbo4+mean",
  "turbo3",
  "turbo3+mean",
  "turbo3+qjl/turbo3",
  "turbo2",
  "turbo2+mean",
  "turbo2+qjl/turbo2",
  "trellis4x+mean",
  "trellis3x+mean",
  "trellis2x+mean",
  "ggml/q8_0/turbo4",
  "ggml/q8_0/turbo3",
  "turbo4/turbo2",
] as const;

/**
 * Parses "turbo4", "turbo4/turbo2", "ggml/q8_0/turbo3", "turbo3+mean". A bare q8_0 is ggml's.
 * @throws FormatError UNKNOWN_FORMAT.
 */
export function parseConfiguration(text: string): Configuration {
  const center = text.endsWith("+mean");
  const body = center ? text.slice(0, -"+mean".length) : text;
  const known = (name: string): string | undefined => {
    for (const candidate of [name, `ggml/${name}`]) {
      try {
        return findFormat(candidate).name;
      } catch {}
    }
    return undefined;
  };
  const whole = known(body);
  if (whole) return { name: text, key: whole, value: whole, center };
  for (let at = body.indexOf("/"); at >= 0; at = body.indexOf("/", at + 1)) {
    const key = known(body.slice(0, at));
    const value = known(body.slice(at + 1));
    if (key && value) return { name: text, key, value, center };
  }
  findFormat(body); // throws, with close names
  throw new Error("unreachable");
}
