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
  const { tables, encoder, config, codecs, sinks, center } = parts;
  const tokens = keys.length / (config.kvHeads * config.headDim);
  if (tokens === 0) return;
  tables.assertAvailable(tables.needed(sequence, tokens, layer));
  const key = codecs.key[layer]!;
  const value = codecs.value[layer]!;
  const vectors = tokens * config.kvHeads;
  const valuesAt = Math.ceil((vectors * key.stride) / 16) * 16;
  const first = sequence.fill[layer]!;
  // Tokens that are kept in halves: their codes are zeros.
  const halves = config.kvHeads * Math.max(0, Math.min(tokens, sinks.tokens - first));
  const halvesAt = valuesAt + Math.ceil((vectors * value.stride) / 16) * 16;
  const halfBytes = halves * 2 * config.headDim;
  const staged = encoder.begin(halvesAt + 2 * halfBytes);
  const shifted = center ? center.centred(layer, first, keys) : keys;
  encoder.encode(key, "key", shifted, staged, halves, staged + halvesAt);
  encoder.encode(value, "value", values, staged + valuesAt, halves, staged + halvesAt + halfBytes);
  sinks.prepare();
  tables.makeRoom(sequence, tokens, layer);
  encoder.commit();
  writeCodes(parts, sequence, layer, tokens, staged, staged + valuesAt);
  if (halves > 0) writeHalves(parts, sequence, layer, first, staged + halvesAt, halfBytes);
}

/** Halves (tokens, kvHeads, headDim) of keys, and of values behind them, to the block of the sequence's first page. */
function writeHalves(
  { sinks, kernels, config }: CacheParts,
  sequence: Sequence,
  layer: number,
  first: number,
  from: number,
  sideBytes: number,
): void {
  const page = sequence.table.get(0);
  const row = 2 * config.headDim;
  const tokens = sideBytes / (row * config.kvHeads);
  sinks.open(page);
  for (const [n, side] of (["key", "value"] as const).entries())
    for (let head = 0; head < config.kvHeads; head++) {
      const to = sinks.pointer(page, layer, side, head) + first * row;
      for (let t = 0; t < tokens; t++) {
        const source = from + n * sideBytes + (t * config.kvHeads + head) * row;
        kernels.arena.u8.copyWithin(to + t * row, source, source + row);
      }
    }
}

/** Codes (tokens, kvHeads, stride) to their places. */
function writeCodes(
  { tables, vectors, config }: CacheParts,
  sequence: Sequence,
  layer: number,
  tokens: number,
  keys: number,
  values: number,
): void {
  const { pageTokens, kvHeads } = config;
  const first = sequence.fill[layer]!;
  for (let t = 0; t < tokens; ) {
    const page = sequence.table.get(Math.floor((first + t) / pageTokens));
    const at = (first + t) % pageTokens;
    const count = Math.min(tokens - t, pageTokens - at);
    tables.claim(page, layer, at, at + count);
    for (const side of ["key", "value"] as const) {
      const { stride } = vectors.layout.region(layer, side);
      const rows = (side === "key" ? keys : values) + t * kvHeads * stride;
      vectors.put(tables.pages.pointer(page), layer, side, rows, at, count);
    }
    t += count;
  }
  sequence.fill[layer] = first + tokens;
}
