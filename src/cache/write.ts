/** Tokens enter a layer: encoded before anything changes, then copied into pages of the sequence's own. */
import type { Side } from "../formats/format.js";
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
  const sides = [
    { side: "key", codec: codecs.key[layer]!, x: shifted },
    { side: "value", codec: codecs.value[layer]!, x: values },
  ] as const;
  const room = (bytes: number): number => Math.ceil(bytes / 16) * 16;
  const codeBytes = sides.map(({ codec }) => room(tokens * kvHeads * codec.stride)) as [number, number];
  const halfBytes = 2 * kvHeads * headDim;
  const staged = encoder.begin(codeBytes[0] + codeBytes[1] + 2 * (firsts + lasts) * halfBytes);
  const firstAt = staged + codeBytes[0] + codeBytes[1];
  const lastAt = firstAt + 2 * firsts * halfBytes;
  sides.forEach(({ side, codec, x }, i) => {
    encoder.encodeHalves(codec, side, x, 0, firsts * kvHeads, firstAt + i * firsts * halfBytes);
    encoder.encode(codec, side, x, staged + (i === 0 ? 0 : codeBytes[0]), firsts * kvHeads);
    const [from, to] = [(tokens - lasts) * kvHeads, tokens * kvHeads];
    encoder.encodeHalves(codec, side, x, from, to, lastAt + i * lasts * halfBytes);
  });
  sinks.prepare();
  recent.prepare(sequence.recent);
  tables.makeRoom(sequence, tokens, layer);
  encoder.commit();
  writeCodes(parts, sequence, layer, tokens, staged, staged + codeBytes[0]);
  if (firsts > 0) {
    const page = sequence.table.get(0);
    sinks.open(page);
    const row = (side: Side, head: number, t: number): number =>
      sinks.pointer(page, layer, side, head) + 2 * (first + t) * headDim;
    writeHalves(parts, firsts, firstAt, row);
  }
  if (lasts > 0) {
    const block = recent.own(sequence.recent);
    const row = (side: Side, head: number, t: number): number =>
      recent.pointer(block, layer, side, head) + 2 * ((first + tokens - lasts + t) % recent.tokens) * headDim;
    writeHalves(parts, lasts, lastAt, row);
  }
  recent.advance(sequence.recent, layer, first + tokens, sinks.tokens);
}

/** Halves (tokens, kvHeads, headDim) of keys, and of values behind them, to the rows that `row` finds. */
function writeHalves(
  { kernels, config: { kvHeads, headDim } }: CacheParts,
  tokens: number,
  from: number,
  row: (side: Side, head: number, token: number) => number,
): void {
  const bytes = 2 * headDim;
  let source = from;
  for (const side of ["key", "value"] as const)
    for (let t = 0; t < tokens; t++)
      for (let head = 0; head < kvHeads; head++, source += bytes)
        kernels.arena.u8.copyWithin(row(side, head, t), source, source + bytes);
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
