/** A profile of formats layer by layer, as `turboquant profile --sensitivity … --json` prints it, for a cache. */
import { FormatError } from "../core/format-error.js";
import { type KvChoice, kvPair } from "./kv-pair.js";

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;

/**
 * The choice that `{ layers: [{ layer, k, v }, …] }` names: one entry a layer, in order.
 * @throws FormatError BAD_FILE for anything else, or another number of layers; UNKNOWN_FORMAT for a format.
 */
export function profileChoice(name: string, json: unknown, layers: number): KvChoice {
  const bad = (what: string) => new FormatError("BAD_FILE", `${name}: not a profile: ${what}`);
  const entries = isRecord(json) ? json.layers : undefined;
  if (!Array.isArray(entries) || entries.length !== layers)
    throw bad(
      `expected "layers" with ${layers} entries, got ${Array.isArray(entries) ? entries.length : typeof entries}`,
    );
  const side = (field: "k" | "v") =>
    entries.map((entry: unknown, layer) => {
      const format = isRecord(entry) && entry.layer === layer ? entry[field] : undefined;
      if (typeof format !== "string") throw bad(`entry ${layer} expected layer ${layer} with "${field}"`);
      return kvPair(format).key;
    });
  return { name, key: side("k"), value: side("v") };
}
