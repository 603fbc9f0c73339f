/** Memory of one model under several cache formats: per token, per context, saving against f16. */
import { KV_PRESETS, type KvPreset } from "../cache/presets.js";
import { allFormats } from "../formats/registry.js";
import { registryBytes } from "./engine-bytes.js";
import {
  bitsPerValue,
  bytesPerToken,
  kvBytes,
  type LayerTypes,
  uniformTypes,
  type VectorBytes,
} from "./kv-bytes.js";
import type { ModelShape } from "./model-shape.js";

/** Formats of keys and values. */
export interface CachePair {
  /** As written: "q8_0/turbo3". */
  readonly name: string;
  readonly keys: string;
  readonly values: string;
  /** What a choice by name (best4, best3, best2) has besides formats. */
  readonly preset?: KvPreset;
}

/** One row of the memory table. */
export interface MemoryRow extends CachePair {
  readonly bitsPerValue: number;
  readonly tokenBytes: number;
  /** What does not grow: first tokens in halves beside their codes, and a mean key in f32 per layer and head. */
  readonly fixedBytes: number;
  readonly contexts: readonly { tokens: number; bytes: number; f16Bytes: number; saved: number }[];
}

const names = (): Set<string> => new Set(allFormats().map((format) => format.name));

/** "q8_0" and "f16" without a family are ggml's. */
function registryName(name: string, known: ReadonlySet<string>): string | null {
  if (known.has(`ggml/${name}`)) return `ggml/${name}`;
  return known.has(name) ? name : null;
}

/**
 * Formats as people write them, separated by commas: a name, a pair "keys/values", or a choice by name (best4). A plain turbo2, turbo3 or
 * turbo4 names this library's format; llama-server's type of the same name has other bytes, so its row comes too.
 * @throws RangeError for a name that no format has.
 */
export function parseFormats(list: string): CachePair[] {
  const known = names();
  const pairs: CachePair[] = [];
  for (const word of list.split(",").map((part) => part.trim())) {
    const preset = Object.hasOwn(KV_PRESETS, word) ? KV_PRESETS[word as keyof typeof KV_PRESETS] : undefined;
    if (preset) {
      pairs.push({ name: word, keys: preset.key, values: preset.value, preset });
      continue;
    }
    const pair = splitPair(word, known);
    if (!pair) throw new RangeError(`"formats" expected known formats or pairs keys/values, got "${word}"`);
    pairs.push({ name: word, ...pair });
    const engine = splitPair(word, known, (name) => (/^turbo[234]$/.test(name) ? `llama/${name}` : null));
    if (engine && (engine.keys !== pair.keys || engine.values !== pair.values)) {
      const name = engine.keys === engine.values ? engine.keys : `${engine.keys}/${engine.values}`;
      pairs.push({ name: name.replaceAll("ggml/", ""), ...engine });
    }
  }
  const seen = new Set<string>();
  return pairs.filter(({ keys, values, preset, name }) => {
    const what = preset ? name : `${keys} ${values}`;
    return !seen.has(what) && seen.add(what);
  });
}

function splitPair(
  word: string,
  known: ReadonlySet<string>,
  rename: (name: string) => string | null = () => null,
): { keys: string; values: string } | null {
  const find = (name: string): string | null => rename(name) ?? registryName(name, known);
  const single = find(word);
  if (single) return { keys: single, values: single };
  for (let at = word.indexOf("/"); at >= 0; at = word.indexOf("/", at + 1)) {
    const keys = find(word.slice(0, at));
    const values = find(word.slice(at + 1));
    if (keys && values) return { keys, values };
  }
  return null;
}

/** A row from the types of each layer. @throws RangeError when a format does not take the model's head size. */
export function memoryRow(
  model: ModelShape,
  pair: CachePair,
  contexts: readonly number[],
  types: LayerTypes = uniformTypes(model.layers.length, pair.keys, pair.values),
  vectorBytes: VectorBytes = registryBytes,
): MemoryRow {
  const f16 = uniformTypes(model.layers.length, "ggml/f16", "ggml/f16");
  const { sinks, centre } = pair.preset ?? { sinks: 0, centre: false };
  const f32 = uniformTypes(model.layers.length, "f32", "f32");
  const fixedBytes =
    kvBytes(model, f16, sinks, vectorBytes).total +
    (centre ? bytesPerToken(model, f32, vectorBytes).keys : 0);
  return {
    ...pair,
    bitsPerValue: bitsPerValue(model, types, vectorBytes),
    tokenBytes: bytesPerToken(model, types, vectorBytes).total,
    fixedBytes,
    contexts: contexts.map((tokens) => {
      const bytes = kvBytes(model, types, tokens, vectorBytes).total + fixedBytes;
      const f16Bytes = kvBytes(model, f16, tokens, vectorBytes).total;
      return { tokens, bytes, f16Bytes, saved: 1 - bytes / f16Bytes };
    }),
  };
}
