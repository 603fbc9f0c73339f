/** A read snapshot becomes a cache, or a sequence of one. */
import { auditCache } from "./audit.js";
import { CacheError } from "./cache-error.js";
import { RELEASED } from "./page-table.js";
import type { CacheParts } from "./parts.js";
import { identityOf } from "./prefix.js";
import type { RecentTokens } from "./recent.js";
import { pagesOf, type SequenceHandle } from "./sequences.js";
import { equal, type SavedCache } from "./snapshot-fields.js";

/** parts: those of a new cache with the saved configuration. @throws CacheError CORRUPT_SNAPSHOT. */
export function restoreInto(parts: CacheParts, saved: SavedCache): void {
  const { tables, prefixes, vectors, config, encoder, sinks, recent } = parts;
  const references = new Uint32Array(config.pages);
  for (const { table } of saved.sequences)
    for (const page of table) if (page !== RELEASED) references[page]!++;
  for (const { page } of saved.prefixes) references[page]!++;
  if (saved.pages.some(({ index }) => references[index] === 0))
    throw new CacheError("CORRUPT_SNAPSHOT", "snapshot: a page that nothing refers to");
  tables.pages.restore(references, saved.freePages);
  for (const { index, fill, bytes, halves } of saved.pages) {
    if (bytes.length > 0) vectors.restore(tables.pages.pointer(index), bytes);
    if (halves.length > 0) sinks.open(index);
    if (halves.length > 0) sinks.bytes(index).set(halves);
    tables.written.set(fill, index * config.layers);
  }
  tables.sequences.restore(saved.generations, saved.freeSlots);
  const blocks = new Map<number, RecentTokens>();
  for (const { handle, fill, table, recentFrom, block } of saved.sequences) {
    const sequence = tables.sequences.revive(handle);
    sequence.fill.set(fill);
    const first = blocks.get(block);
    if (first) recent.share(first, sequence.recent);
    else if (block >= 0) {
      recent.bytes(recent.own(sequence.recent)).set(saved.blocks[block]!);
      blocks.set(block, sequence.recent);
    }
    sequence.recent.from.set(recentFrom);
    tables.place(sequence, table);
  }
  for (const entry of saved.prefixes) prefixes.restore(entry);
  prefixes.clock = saved.clock;
  const [allocations, frees, copies, forks, hits, misses, evictions, nonFinite, overflow] =
    saved.counters as number[];
  Object.assign(tables.pages.counters, { allocations, frees, copies });
  tables.forks = forks!;
  Object.assign(prefixes.counters, { hits, misses, evictions });
  Object.assign(encoder.counts, { nonFinite, overflow });
  try {
    auditCache(parts);
  } catch (error) {
    throw new CacheError("CORRUPT_SNAPSHOT", `snapshot: ${(error as Error).message}`, { cause: error });
  }
}

/** @throws CacheError INVALID_ARGUMENT for a snapshot that does not fit, OUT_OF_PAGES. */
export function adoptSequence(parts: CacheParts, saved: SavedCache): SequenceHandle {
  const { tables, vectors, config, sinks, recent } = parts;
  const [source] = saved.sequences;
  if (!source || saved.sequences.length !== 1)
    throw new CacheError(
      "INVALID_ARGUMENT",
      `the snapshot has ${saved.sequences.length} sequences, one expected`,
    );
  if (!equal(identityOf(config), identityOf(saved.config)))
    throw new CacheError(
      "INVALID_ARGUMENT",
      "the snapshot has other formats, another geometry or another seed",
    );
  if (saved.config.recent !== config.recent)
    throw new CacheError(
      "INVALID_ARGUMENT",
      `the snapshot has ${saved.config.recent} last tokens in halves, the cache ${config.recent}`,
    );
  const pages = new Map(saved.pages.map((page) => [page.index, page]));
  const present = source.table.filter((page) => page !== RELEASED);
  if (new Set(present).size !== present.length)
    throw new CacheError("CORRUPT_SNAPSHOT", "snapshot: a sequence has a page twice");
  for (const [index, page] of source.table.entries())
    for (const [layer, tokens] of source.fill.entries())
      if (
        page === RELEASED
          ? tokens < (index + 1) * config.pageTokens
          : visible(tokens, index, config.pageTokens) > pages.get(page)!.fill[layer]!
      )
        throw new CacheError("CORRUPT_SNAPSHOT", `snapshot: page ${page} lacks tokens of its sequence`);
  sinks.prepare();
  if (source.block >= 0) recent.prepare({ block: undefined, from: source.recentFrom });
  const sequence = tables.adoptBlank(
    source.table.map((page) => page !== RELEASED),
    source.fill,
  );
  const taken = pagesOf(sequence);
  source.table.forEach((page, index) => {
    if (page === RELEASED) return;
    const to = taken[index]!;
    const { bytes, fill, halves } = pages.get(page)!;
    if (bytes.length > 0) vectors.restore(tables.pages.pointer(to), bytes);
    if (halves.length > 0) sinks.open(to);
    if (halves.length > 0) sinks.bytes(to).set(halves);
    tables.written.set(fill, to * config.layers);
  });
  sequence.recent.from.set(source.recentFrom);
  if (source.block >= 0) recent.bytes(recent.own(sequence.recent)).set(saved.blocks[source.block]!);
  return sequence.handle;
}

const visible = (fill: number, index: number, pageTokens: number): number =>
  Math.min(pageTokens, Math.max(0, fill - index * pageTokens));
