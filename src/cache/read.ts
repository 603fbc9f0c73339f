/** Tokens of a layer, decoded in the original basis. */
import type { Side } from "../formats/format.js";
import type { CacheParts } from "./parts.js";
import type { Sequence } from "./sequences.js";

/** out ← tokens from … to of one side: (to − from, kvHeads, headDim). They are there. */
export function readTokens(
  { tables, vectors, config, encoder, kernels, codecs, sinks, recent, center }: CacheParts,
  sequence: Sequence,
  layer: number,
  side: Side,
  from: number,
  to: number,
  out: Float32Array,
): void {
  const { kvHeads, headDim: dim, pageTokens } = config;
  const codec = codecs[side][layer]!;
  const { pointer: space, rows } = encoder.space;
  const { block } = sequence.recent;
  const recentFrom = block ? sequence.recent.from[layer]! : Number.POSITIVE_INFINITY;
  for (let position = from; position < to; ) {
    const at = position % pageTokens;
    const isSink = position < sinks.tokens;
    const isRecent = !isSink && block !== undefined && position >= recentFrom;
    const slot = isRecent ? position % recent.tokens : 0;
    const end = isSink ? Math.min(to, sinks.tokens) : isRecent ? to : Math.min(to, recentFrom);
    const count = Math.min(end - position, pageTokens - at, rows, isRecent ? recent.tokens - slot : rows);
    const page = sequence.table.get(Math.floor(position / pageTokens));
    for (let head = 0; head < kvHeads; head++) {
      if (isSink) codec.decodeHalves(sinks.pointer(page, layer, side, head) + 2 * at * dim, count, space);
      else if (isRecent)
        codec.decodeHalves(recent.pointer(block, layer, side, head) + 2 * slot * dim, count, space);
      else codec.decode(vectors.rows(tables.pages.pointer(page), layer, side, head, at, count), count, space);
      const { f32 } = kernels.arena;
      for (let t = 0; t < count; t++) {
        const target = ((position - from + t) * kvHeads + head) * dim;
        for (let i = 0; i < dim; i++) out[target + i] = f32[(space >>> 2) + t * dim + i]!;
      }
    }
    position += count;
  }
  if (side === "key") center?.restore(layer, from, out);
}
