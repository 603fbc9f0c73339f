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
  const { tables, encoder, config, codecs, sinks, recent, center } = parts;
  const { kvHeads, headDim } = config;
  const tokens = keys.length / (kvHeads * headDim);
  if (tokens === 0) return;
  tables.assertAvailable(tables.needed(sequence, tokens, layer));
  const first = sequence.fill[layer]!;
  // Of these tokens, those that are first ones, whose codes are zeros, and those that are last ones then.
  const firsts = Math.max(0, Math.min(tokens, sinks.tokens - first));
  const lasts = Math.min(tokens - firsts, recent.tokens);
  const shifted = center ? center.centred(layer, first, keys) : keys;
  const key = codecs.key[layer]!;
  const value = codecs.value[layer]!;
  const keyBytes = Math.ceil((tokens * kvHeads * key.stride) / 16) * 16;
  const valueBytes = Math.ceil((tokens * kvHeads * value.stride) / 16) * 16;
  const halfBytes = 2 * kvHeads * headDim;
  const staged = encoder.begin(keyBytes + valueBytes + 2 * (firsts + lasts) * halfBytes);
  const firstAt = staged + keyBytes + valueBytes;
  const lastAt = firstAt + 2 * firsts * halfBytes;
  const before = firsts * kvHeads;
  const from = (tokens - lasts) * kvHeads;
  const to = tokens * kvHeads;
  encoder.encodeHalves(key, "key", shifted, 0, before, firstAt);
  encoder.encode(key, "key", shifted, staged, before);
  encoder.encodeHalves(key, "key", shifted, from, to, lastAt);
  encoder.encodeHalves(value, "value", values, 0, before, firstAt + firsts * halfBytes);
  encoder.encode(value, "value", values, staged + keyBytes, before);
  encoder.encodeHalves(value, "value", values, from, to, lastAt + lasts * halfBytes);
  sinks.prepare();
  recent.prepare(sequence.recent);
  tables.makeRoom(sequence, tokens, layer);
  encoder.commit();
  writeCodes(parts, sequence, layer, tokens, staged, staged + keyBytes);
  if (firsts > 0) writeFirsts(parts, sequence, layer, first, firsts, firstAt);
  if (lasts > 0) writeLasts(parts, sequence, layer, first + tokens - lasts, lasts, lastAt);
  recent.advance(sequence.recent, layer, first + tokens, sinks.tokens);
}

/** Tokens first … first + tokens − 1 in halves, to the block of the sequence's first page. */
function writeFirsts(
  parts: CacheParts,
  sequence: Sequence,
  layer: number,
  first: number,
  tokens: number,
  halves: number,
): void {
  const { sinks } = parts;
  const page = sequence.table.get(0);
  sinks.open(page);
  const keys = sinks.pointer(page, layer, "key", 0);
  const values = sinks.pointer(page, layer, "value", 0);
  writeHalves(parts, tokens, halves, keys, values, sinks.headBytes, first, sinks.tokens);
}

/** The same, to the ring of the sequence's last tokens. */
function writeLasts(
  parts: CacheParts,
  sequence: Sequence,
  layer: number,
  first: number,
  tokens: number,
  halves: number,
): void {
  const { recent } = parts;
  const block = recent.own(sequence.recent);
  const keys = recent.pointer(block, layer, "key", 0);
  const values = recent.pointer(block, layer, "value", 0);
  writeHalves(parts, tokens, halves, keys, values, recent.headBytes, first, recent.tokens);
}

/** Halves (tokens, kvHeads, headDim) of keys, and of values behind them, to those of the first head and all others. */
function writeHalves(
  parts: CacheParts,
  tokens: number,
  halves: number,
  keys: number,
  values: number,
  headBytes: number,
  first: number,
  ring: number,
): void {
  const { kvHeads, headDim } = parts.config;
  writeRows(parts, tokens, halves, keys, headBytes, first, ring);
  writeRows(parts, tokens, halves + 2 * tokens * kvHeads * headDim, values, headBytes, first, ring);
}

/** One side: token t of a head to row (first + t) mod ring, heads `headBytes` apart. */
function writeRows(
  { kernels, config: { kvHeads, headDim } }: CacheParts,
  tokens: number,
  halves: number,
  rows: number,
  headBytes: number,
  first: number,
  ring: number,
): void {
  const { u8 } = kernels.arena;
  const bytes = 2 * headDim;
  for (let t = 0; t < tokens; t++)
    for (let head = 0; head < kvHeads; head++) {
      const from = halves + (t * kvHeads + head) * bytes;
      u8.copyWithin(rows + head * headBytes + ((first + t) % ring) * bytes, from, from + bytes);
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
