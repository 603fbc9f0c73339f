/** Exact bytes, pages and counters of a cache. Nothing that is stored goes uncounted. */

import { NODE_BYTES, type TableNode } from "./page-table.js";
import type { CacheParts } from "./parts.js";
import { leastFilled } from "./sequences.js";

/** Exact counts and bytes of a cache. */
export interface CacheStats {
  readonly sequences: number;
  /** Tokens of all sequences, counted once per sequence. */
  readonly tokens: number;
  readonly pages: {
    readonly total: number;
    readonly free: number;
    readonly used: number;
    /** Used by kept prefixes alone: free to take where needed. */
    readonly idle: number;
    /** Used, with more than one reference. */
    readonly shared: number;
    /** Of sequences, without tokens yet. */
    readonly reserved: number;
  };
  readonly bytes: {
    readonly page: number;
    /** One token in all layers, without a page's padding. */
    readonly token: number;
    /** First tokens in halves: of each page that begins a sequence, besides its own bytes. */
    readonly sinks: number;
    /** Last tokens in halves: of each sequence that has any, unless it shares them with a fork. */
    readonly recent: number;
    /** Means of centred keys. */
    readonly means: number;
    /** Pages in use, with the blocks of first and last tokens. */
    readonly physical: number;
    /** Pages that have memory, in use or free again. */
    readonly resident: number;
    /** What sequences would hold without sharing: the pages of their tables. */
    readonly logical: number;
    readonly reserved: number;
    /** Tables, references, prefixes, and the working space of codecs and attention. */
    readonly metadata: number;
  };
  /** Bytes of the same tokens as f16 and f32 over bytes of a token. */
  readonly compression: { readonly f16: number; readonly f32: number };
  readonly counters: {
    readonly allocations: number;
    readonly frees: number;
    readonly copies: number;
    readonly forks: number;
    readonly evictions: number;
    readonly prefixHits: number;
    readonly prefixMisses: number;
    readonly prefixes: number;
  };
}

/** Bytes of a reserved page's entry (a JavaScript number), of a kept prefix (hashes as text, object) per page. */
const ENTRY_BYTES = 8;
const PREFIX_BYTES = 400;

export function cacheStats({
  config,
  layout,
  tables,
  prefixes,
  kernels,
  sinks,
  recent,
  center,
}: CacheParts): CacheStats {
  const { pages, sequences } = tables;
  const { layers, kvHeads, headDim, pageTokens } = config;
  let tokens = 0;
  let entries = 0;
  let reserved = 0;
  let count = 0;
  const nodes = new Map<TableNode, number>();
  const shared = new Set<number>();
  for (const sequence of sequences) {
    count++;
    tokens += leastFilled(sequence);
    entries += sequence.table.present + sequence.reserved.length;
    reserved += sequence.reserved.length;
    sequence.table.survey(nodes, (page, isShared) => void (isShared && shared.add(page)));
  }
  let blocks = 0;
  for (let page = 0; page < pages.count; page++) if (pages.references[page]! > 0 && sinks.has(page)) blocks++;
  const recentBytes = recent.count * recent.blockBytes;
  const resident = pages.residentCount * layout.pageBytes;
  const arena = kernels.arena.usedBytes - pages.residentCount * Math.ceil(layout.pageBytes / 16) * 16;
  const perPage = 12 + 4 * layers;
  const values = 2 * layers * kvHeads * headDim;
  return {
    sequences: count,
    tokens,
    pages: {
      total: pages.count,
      free: pages.freeCount,
      used: pages.usedCount,
      idle: prefixes.idle(),
      shared: shared.size,
      reserved,
    },
    bytes: {
      page: layout.pageBytes,
      token: layout.tokenBytes,
      sinks: sinks.blockBytes,
      recent: recent.blockBytes,
      means: center?.bytes ?? 0,
      physical: pages.usedCount * layout.pageBytes + blocks * sinks.blockBytes + recentBytes,
      resident: resident + sinks.count * sinks.blockBytes + recentBytes,
      logical: entries * layout.pageBytes,
      reserved: reserved * layout.pageBytes,
      metadata:
        arena -
        sinks.count * Math.ceil(sinks.blockBytes / 16) * 16 -
        recent.count * Math.ceil(recent.blockBytes / 16) * 16 +
        pages.count * perPage +
        NODE_BYTES * nodes.size +
        ENTRY_BYTES * reserved +
        count * (recent.tokens > 0 ? 8 : 4) * layers +
        prefixes.size * (PREFIX_BYTES + 4 * pageTokens),
    },
    compression: { f16: (2 * values) / layout.tokenBytes, f32: (4 * values) / layout.tokenBytes },
    counters: {
      ...pages.counters,
      forks: tables.forks,
      evictions: prefixes.counters.evictions,
      prefixHits: prefixes.counters.hits,
      prefixMisses: prefixes.counters.misses,
      prefixes: prefixes.size,
    },
  };
}
