/** Every format by name. Sizes and ratios anywhere come from `vectorBytes` of these entries. */
import { FormatError } from "../core/format-error.js";
import type { Format, Side } from "./format.js";
import { ggmlFormats } from "./ggml.js";
import { llamaLegacyFormats } from "./llama-qjl.js";
import { llamaTurboFormats } from "./llama-turbo.js";
import { llamaWeightFormats } from "./llama-weights.js";
import { onnxruntimeFormats } from "./onnxruntime.js";
import { outlierFormats } from "./outliers.js";
import { plainFormats } from "./plain.js";
import { polarFormats } from "./polar.js";
import { realizarFormats } from "./realizar.js";
import { trellisFormats } from "./trellis.js";
import { turboFormats } from "./turbo.js";
import { vllmFormats } from "./vllm.js";

const FORMATS: readonly Format[] = [
  ...turboFormats,
  ...trellisFormats,
  ...outlierFormats,
  ...polarFormats,
  ...plainFormats,
  ...ggmlFormats,
  ...llamaTurboFormats,
  ...llamaLegacyFormats,
  ...llamaWeightFormats,
  ...realizarFormats,
  ...vllmFormats,
  ...onnxruntimeFormats,
];

const byName = new Map(FORMATS.map((format) => [format.name, format]));

/** All formats, ours first. */
export const allFormats = (): readonly Format[] => FORMATS;

/** @throws TypeError for a name that is no string, FormatError UNKNOWN_FORMAT that lists close names. */
export function findFormat(name: string): Format {
  if (typeof name !== "string") throw new TypeError(`"format" expected a string, got ${typeof name}`);
  const format = byName.get(name);
  if (format) return format;
  const bare = name.split("/").at(-1)!.slice(0, 4);
  const close = FORMATS.filter((f) => bare !== "" && f.name.includes(bare)).map((f) => f.name);
  const hint = close.length > 0 ? `close: ${close.join(", ")}` : `known: ${[...byName.keys()].join(", ")}`;
  throw new FormatError("UNKNOWN_FORMAT", `"format" expected a known format, got "${name}"; ${hint}`);
}

/** Every stored bit of a vector over its values; dim: one that the format supports. */
export const bitsPerValue = (format: Format, dim: number, side?: Side): number =>
  (8 * format.vectorBytes(dim, side)) / dim;
