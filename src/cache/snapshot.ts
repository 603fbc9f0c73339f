/**
 * A cache, or one sequence, as bytes: one msgpack array and behind it the SHA-256 of that array as a msgpack bin.
 *
 *   0 "turboquant-kv/cache"          6 free slots, a stack
 *   1 version                        7 free pages, a stack: u32 little-endian, bin
 *   2 configuration                  8 kept prefixes: [hash, parent, page, tokens (u32, bin), used]
 *   3 "cache" or "sequence"          9 clock
 *   4 sequences: [handle, fill       10 counters
 *     per layer, table, first of     11 pages: [index, tokens per layer, SHA-256, bytes], by index
 *     the last tokens in halves      12 blocks of last tokens' halves: bytes
 *     per layer, block or −1]
 *   5 generation of each slot
 *
 * The configuration ends with the first tokens in halves, the means (f32, bin, empty without), their rope (JSON), and the last
 * tokens in halves. A page that has a block of first tokens' halves has it behind its bytes.
 *
 * Equal caches give equal bytes: tokens that were forgotten are saved as zeros. One sequence is saved as the only one
 * of a cache of the same size, its pages numbered in its own order.
 *
 * Reading checks the checksum of the whole, which covers every byte, then every number against every other; only then
 * is memory taken, and for no more pages than the file has.
 */
import { decode, encode } from "@msgpack/msgpack";
import { sha256 } from "@noble/hashes/sha2.js";
import { CacheError } from "./cache-error.js";
import type { CacheConfig } from "./options.js";
import { RELEASED } from "./page-table.js";
import type { CacheParts } from "./parts.js";
import type { RecentBlock } from "./recent.js";
import { pagesOf, type Sequence } from "./sequences.js";
import {
  equal,
  MAGIC,
  parseSnapshot,
  type RestoreOptions,
  type SavedCache,
  SNAPSHOT_VERSION,
} from "./snapshot-fields.js";

/** bin 8 of 32 bytes. */
const TRAILER = [0xc4, 32] as const;

export function saveSnapshot(parts: CacheParts, only?: Sequence): Uint8Array {
  const { config, tables, prefixes, encoder } = parts;
  const { pages, sequences } = tables;
  const body = only ? oneSequence(parts, only) : wholeCache(parts);
  const { heads, layers, kvHeads, headDim, pageTokens, key, value, seed, nonFinite, keyScale, valueScale } =
    config;
  const geometry = [layers, kvHeads, heads ?? 0, headDim, pageTokens, config.pages];
  const counters = only
    ? [body.pages.length, 0, 0, 0, 0, 0, 0, 0, 0]
    : [
        pages.counters.allocations,
        pages.counters.frees,
        pages.counters.copies,
        tables.forks,
        prefixes.counters.hits,
        prefixes.counters.misses,
        prefixes.counters.evictions,
        encoder.counts.nonFinite,
        encoder.counts.overflow,
      ];
  const slots = only ? { generations: [0], free: [] } : sequences.save();
  const payload = encode([
    MAGIC,
    SNAPSHOT_VERSION,
    [
      ...geometry,
      key,
      value,
      String(seed),
      nonFinite,
      keyScale ?? "",
      valueScale ?? "",
      config.sinks,
      ...savedCenter(config.center),
      config.recent,
    ],
    only ? "sequence" : "cache",
    body.sequences,
    slots.generations,
    slots.free,
    words(body.free),
    only ? [] : prefixes.entries().map((e) => [e.hash, e.parent, e.page, words(e.tokens), e.used]),
    only ? 0 : prefixes.clock,
    counters,
    body.pages.map(([index, page, fill]) => {
      const bytes = visibleBytes(parts, page, fill);
      return [index, fill, sha256(bytes), bytes];
    }),
    body.blocks,
  ]);
  const out = new Uint8Array(payload.length + 34);
  out.set(payload);
  out.set(TRAILER, payload.length);
  out.set(sha256(payload), payload.length + 2);
  return out;
}

/** Handle, tokens per layer, pages, first of the last tokens in halves per layer, block or −1. */
type SavedTable = [number, number[], number[], number[], number];

type SavedTables = {
  sequences: SavedTable[];
  /** Halves of last tokens, as sequences refer to them. */
  blocks: Uint8Array[];
  free: Uint32Array;
  /** Index in the snapshot, page of the cache, tokens per layer that anyone can see. */
  pages: [number, number, number[]][];
};

function wholeCache(parts: CacheParts): SavedTables {
  const { config, tables, prefixes } = parts;
  const halves = savedRecent(parts, [...tables.sequences]);
  const fills = new Map<number, number[]>();
  const see = (page: number, tokens: (layer: number) => number): void => {
    const fill = fills.get(page) ?? Array.from({ length: config.layers }, () => 0);
    for (let layer = 0; layer < fill.length; layer++) fill[layer] = Math.max(fill[layer]!, tokens(layer));
    fills.set(page, fill);
  };
  const sequences: SavedTables["sequences"] = [];
  for (const sequence of tables.sequences) {
    const { handle, fill } = sequence;
    const table = pagesOf(sequence);
    sequences.push([handle, [...fill], table, ...halves.of(sequence)]);
    table.forEach((page, index) => {
      if (page !== RELEASED) see(page, (layer) => tokensOn(fill[layer]!, index, config.pageTokens));
    });
  }
  for (const { page } of prefixes.entries()) see(page, () => config.pageTokens);
  const pages = [...fills]
    .sort(([a], [b]) => a - b)
    .map(([page, fill]) => [page, page, fill] as [number, number, number[]]);
  return { sequences, blocks: halves.blocks, free: tables.pages.freeList, pages };
}

function oneSequence(parts: CacheParts, sequence: Sequence): SavedTables {
  const { config } = parts;
  const { fill } = sequence;
  const { blocks, of } = savedRecent(parts, [sequence]);
  const pages: SavedTables["pages"] = [];
  const renumbered = pagesOf(sequence).map((page, index) => {
    if (page === RELEASED) return RELEASED;
    const tokens = Array.from(fill, (n) => tokensOn(n, index, config.pageTokens));
    return pages.push([pages.length, page, tokens]) - 1;
  });
  const free = Uint32Array.from({ length: config.pages - pages.length }, (_, i) => config.pages - 1 - i);
  const saved: SavedTable = [0, [...fill], renumbered, ...of(sequence)];
  return { sequences: [saved], blocks, free, pages };
}

/** Blocks of last tokens' halves that somebody sees, in the order of sequences, with zeros where nobody does. */
function savedRecent({ config, kernels, recent }: CacheParts, sequences: readonly Sequence[]) {
  const bytes = new Map<RecentBlock, Uint8Array>();
  const row = 2 * config.headDim;
  for (const sequence of sequences) {
    const { fill } = sequence;
    const { block, from } = sequence.recent;
    if (!block || !hasRecent(sequence)) continue;
    const saved = bytes.get(block) ?? new Uint8Array(recent.blockBytes);
    bytes.set(block, saved);
    for (const [layer, tokens] of fill.entries())
      for (const side of ["key", "value"] as const)
        for (let head = 0; head < config.kvHeads; head++)
          for (let p = from[layer]!; p < tokens; p++) {
            const at = recent.pointer(block, layer, side, head) + (p % recent.tokens) * row;
            saved.set(kernels.arena.bytes(at, row), at - block.pointer);
          }
  }
  const order = [...bytes.keys()];
  return {
    blocks: [...bytes.values()],
    of: (sequence: Sequence): [number[], number] => {
      const { block, from } = sequence.recent;
      return [[...from], block && hasRecent(sequence) ? order.indexOf(block) : -1];
    },
  };
}

const hasRecent = ({ fill, recent }: Sequence): boolean =>
  fill.some((tokens, layer) => tokens > recent.from[layer]!);

function savedCenter(center: CacheConfig["center"]): [Uint8Array, string] {
  if (!center) return [new Uint8Array(0), ""];
  const { means, rope } = center;
  return [new Uint8Array(means.slice().buffer), JSON.stringify(rope ?? null)];
}

const tokensOn = (fill: number, index: number, pageTokens: number): number =>
  Math.min(pageTokens, Math.max(0, fill - index * pageTokens));

/** A page's wire bytes with zeros where nobody can see tokens; nothing for a page without tokens. */
function visibleBytes(
  { config, vectors, tables, sinks }: CacheParts,
  page: number,
  fill: readonly number[],
): Uint8Array {
  if (fill.every((tokens) => tokens === 0)) return new Uint8Array(0);
  const bytes = vectors.save(tables.pages.pointer(page), fill);
  if (!sinks.has(page)) return bytes;
  const both = new Uint8Array(bytes.length + sinks.blockBytes);
  both.set(bytes);
  const block = both.subarray(bytes.length);
  block.set(sinks.bytes(page));
  const row = 2 * config.headDim;
  fill.forEach((tokens, layer) => {
    for (const side of ["key", "value"] as const)
      for (let head = 0; head < config.kvHeads; head++) {
        const at = sinks.pointer(page, layer, side, head) - sinks.pointer(page, 0, "key", 0);
        block.fill(0, at + Math.min(tokens, sinks.tokens) * row, at + sinks.tokens * row);
      }
  });
  return both;
}

function words(values: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) view.setUint32(4 * i, value, true);
  return bytes;
}

const corrupt = (where: string, cause?: unknown): CacheError =>
  new CacheError("CORRUPT_SNAPSHOT", `snapshot: ${where}`, { cause });

/** @throws CacheError CORRUPT_SNAPSHOT, SNAPSHOT_VERSION; TypeError; RangeError above `maxBytes`. */
export function readSnapshot(bytes: Uint8Array, options: RestoreOptions): SavedCache {
  if (!(bytes instanceof Uint8Array))
    throw new TypeError(`"bytes" expected a Uint8Array, got ${typeof bytes}`);
  const end = bytes.length - 34;
  if (end < 0) throw corrupt(`expected at least 34 bytes, got ${bytes.length}`);
  const payload = bytes.subarray(0, end);
  const sum = bytes.subarray(end + 2);
  const whole = bytes[end] === TRAILER[0] && bytes[end + 1] === TRAILER[1] && equal(sha256(payload), sum);
  if (!whole) throw corrupt(`checksum of the whole differs; ${whereBroken(payload)}`);
  let fields: unknown;
  try {
    fields = unpack(payload);
  } catch (error) {
    throw corrupt("expected one msgpack array", error);
  }
  return parseSnapshot(fields, options);
}

/** No length in the file can ask for more than the file is long. */
const unpack = (payload: Uint8Array): unknown =>
  decode(payload, {
    maxStrLength: payload.length,
    maxBinLength: payload.length,
    maxArrayLength: payload.length,
    maxMapLength: 0,
    maxExtLength: 0,
  });

/** Which page differs from its own checksum, if that is what is broken. */
function whereBroken(payload: Uint8Array): string {
  try {
    const pages = (unpack(payload) as unknown[])[11] as [number, unknown, Uint8Array, Uint8Array][];
    const broken = pages.find(([, , sum, bytes]) => !equal(sha256(bytes), sum));
    return broken
      ? `page ${broken[0]} does not have its checksum`
      : "the pages are whole, the tables are not";
  } catch {
    return `the ${payload.length} bytes are no snapshot any more (cut short, or its structure is broken)`;
  }
}
