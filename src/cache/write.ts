/** Tokens enter a layer: encoded before anything changes, then copied into pages of the sequence's own. */
import type { CacheParts } from "./parts.js";
import type { Sequence } from "./sequences.js";

/** keys, values: (tokens, kvHeads, headDim). @throws CacheError OUT_OF_PAGES, NON_FINITE, SCALE_OVERFLOW. */
export function appendTokens(
  parts: CacheParts,
  sequence: Sequence,
  layer: number,
  keys: Float32Array,
  values: Float32Array,
): void {
  const { tables, encoder, config, codecs } = parts;
  const tokens = keys.length / (config.kvHeads * config.headDim);
  if (tokens === 0) return;
  tables.assertAvailable(tables.needed(sequence, tokens, layer));
  const key = codecs.key[layer]!;
  const value = codecs.value[layer]!;
  const vectors = tokens * config.kvHeads;
  const valuesAt = Math.ceil((vectors * key.stride) / 16) * 16;
  const staged = encoder.begin(valuesAt + vectors * value.stride);
  encoder.encode(key, "key", keys, staged);
  encoder.encode(value, "value", values, staged + valuesAt);
  tables.makeRoom(sequence, tokens, layer);
  encoder.commit();
  writeCodes(parts, sequence, layer, tokens, staged, staged + valuesAt);
}

/** Codes (tokens, kvHeads, stride) to their places. */
function writeCodes(
  { tables, layout, kernels, config }: CacheParts,
  sequence: Sequence,
  layer: number,
  tokens: number,
  keys: number,
  values: number,
): void {
  const { pageTokens, kvHeads } = config;
  const { u8 } = kernels.arena;
  const first = sequence.fill[layer]!;
  for (let t = 0; t < tokens; ) {
    const page = sequence.table.get(Math.floor((first + t) / pageTokens));
    const at = (first + t) % pageTokens;
    const count = Math.min(tokens - t, pageTokens - at);
    tables.claim(page, layer, at, at + count);
    for (let side = 0; side < 2; side++) {
      const { offset, stride, headBytes } = layout.region(layer, side === 0 ? "key" : "value");
      const source = side === 0 ? keys : values;
      const base = tables.pages.pointer(page) + offset;
      for (let i = 0; i < count; i++) {
        for (let head = 0; head < kvHeads; head++) {
          const from = source + ((t + i) * kvHeads + head) * stride;
          u8.copyWithin(base + head * headBytes + (at + i) * stride, from, from + stride);
        }
      }
    }
    t += count;
  }
  sequence.fill[layer] = first + tokens;
}
