/** The fields of a decoded snapshot, each checked for its type, its range, and against the others. */
import { sha256 } from "@noble/hashes/sha2.js";
import type { Precision } from "../attention/readers.js";
import type { Center } from "../core/centring.js";
import type { Side } from "../formats/format.js";
import { findFormat } from "../formats/registry.js";
import type { Kernels } from "../kernels/kernels.js";
import { CacheError } from "./cache-error.js";
import { PageLayout } from "./layout.js";
import { type CacheConfig, checkOptions } from "./options.js";
import { RELEASED } from "./page-table.js";
import type { PrefixEntry } from "./prefix.js";
import { type SequenceHandle, splitHandle } from "./sequences.js";

export const MAGIC = "turboquant-kv/cache";
/** The version that snapshots are written with; others are refused. */
export const SNAPSHOT_VERSION = 3;

/** Options of `KvCache.restore`. */
export interface RestoreOptions {
  /** As in KvCacheOptions. */
  readonly backend?: "reference" | "wasm" | Kernels;
  /** As in KvCacheOptions. */
  readonly precision?: Precision;
  /** Largest pool (pages × bytes of a page) that is accepted. Default 4 GiB. */
  readonly maxBytes?: number;
}

export interface SavedPage {
  readonly index: number;
  readonly fill: readonly number[];
  readonly bytes: Uint8Array;
  /** First tokens in halves, behind the page's bytes in the file; empty where the page has none. */
  readonly halves: Uint8Array;
}

export interface SavedSequence {
  readonly handle: SequenceHandle;
  /** Tokens that each layer holds. */
  readonly fill: Uint32Array;
  /** Pages in order of position, reserved ones last; RELEASED where a window has passed. */
  readonly table: readonly number[];
  /** For each layer the first of the last tokens in halves. */
  readonly recentFrom: Uint32Array;
  /** Which block they are in; −1: none. */
  readonly block: number;
}

/** A snapshot's contents, all checked against each other. */
export interface SavedCache {
  readonly config: CacheConfig;
  readonly kind: "cache" | "sequence";
  readonly sequences: readonly SavedSequence[];
  readonly generations: readonly number[];
  readonly freeSlots: readonly number[];
  readonly freePages: Uint32Array;
  readonly prefixes: readonly PrefixEntry[];
  readonly clock: number;
  /** allocations, frees, copies, forks, hits, misses, evictions, nonFinite, overflow */
  readonly counters: readonly number[];
  readonly pages: readonly SavedPage[];
  /** Halves of last tokens. */
  readonly blocks: readonly Uint8Array[];
}

const FIELDS = 13;
const COUNTERS = 9;

function expect(condition: boolean, what: string): asserts condition {
  if (!condition) throw new CacheError("CORRUPT_SNAPSHOT", `snapshot: ${what}`);
}

const isCount = (value: unknown, most = Number.MAX_SAFE_INTEGER): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most;
const isCounts = (value: unknown, length: number, most?: number): value is number[] =>
  Array.isArray(value) && value.length === length && value.every((n) => isCount(n, most));
const isHash = (value: unknown): value is string => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);

/** @throws CacheError CORRUPT_SNAPSHOT, SNAPSHOT_VERSION; RangeError above `maxBytes`. */
export function parseSnapshot(fields: unknown, options: RestoreOptions): SavedCache {
  expect(Array.isArray(fields) && fields[0] === MAGIC, `expected an array that begins with "${MAGIC}"`);
  if (fields[1] !== SNAPSHOT_VERSION)
    throw new CacheError(
      "SNAPSHOT_VERSION",
      `snapshot: version ${fields[1]}, this library reads ${SNAPSHOT_VERSION}`,
    );
  expect(fields.length === FIELDS, `expected ${FIELDS} fields, got ${fields.length}`);
  const config = parseConfig(fields[2]);
  const stride = (layer: number, side: Side): number =>
    findFormat(config[side][layer]!).vectorBytes(config.headDim, side);
  const { pageBytes } = new PageLayout(config, stride);
  const { maxBytes = 2 ** 32 } = options;
  if (pageBytes * config.pages > maxBytes)
    throw new RangeError(
      `"maxBytes" allows ${maxBytes} bytes, the snapshot's pool has ${pageBytes * config.pages}`,
    );

  const kind = fields[3];
  expect(kind === "cache" || kind === "sequence", "kind of snapshot");
  const pages = parsePages(fields[11], config, pageBytes);
  const blocks = parseBlocks(fields[12], config);
  const sequences = parseSequences(fields[4], config, blocks.length);
  const generations = fields[5];
  expect(Array.isArray(generations) && generations.every((n) => isCount(n, 2 ** 32)), "generations of slots");
  const freeSlots = fields[6];
  expect(
    Array.isArray(freeSlots) && freeSlots.every((n) => isCount(n, generations.length - 1)),
    "free slots",
  );
  const slots = sequences.map(({ handle }) => splitHandle(handle));
  expect(
    slots.every(({ slot, generation }) => generations[slot] === generation),
    "a handle without its slot",
  );
  expect(
    slots.every(({ slot }, i) => i === 0 || slot > slots[i - 1]!.slot),
    "order of sequences",
  );
  const taken = new Set([...freeSlots, ...slots.map(({ slot }) => slot)]);
  expect(
    taken.size === generations.length && freeSlots.length + slots.length === taken.size,
    "slots free and live",
  );
  expect(kind === "cache" || sequences.length === 1, "one sequence expected");

  const freePages = parseWords(fields[7], "free pages");
  const known = new Set(pages.map(({ index }) => index));
  const everyPage = new Set([...known, ...freePages]);
  expect(
    freePages.every((page) => page < config.pages),
    "a free page beyond the pool",
  );
  expect(
    everyPage.size === config.pages && known.size + freePages.length === config.pages,
    "pages free and used",
  );
  const withHalves = new Set(pages.filter(({ halves }) => halves.length > 0).map(({ index }) => index));
  for (const { table, fill } of sequences)
    expect(
      config.sinks === 0 || fill.every((n) => n === 0) || table[0] === RELEASED || withHalves.has(table[0]!),
      "a first page without its halves",
    );
  const prefixes = parsePrefixes(fields[8], config, known);
  for (const { table } of sequences)
    expect(
      table.every((page) => page === RELEASED || known.has(page)),
      "a table with a page that is not saved",
    );
  const clock = fields[9];
  expect(isCount(clock) && prefixes.every(({ used }) => used <= clock), "clock");
  const counters = fields[10];
  expect(isCounts(counters, COUNTERS), "counters");
  return {
    config,
    kind,
    sequences,
    generations,
    freeSlots,
    freePages,
    prefixes,
    clock,
    counters,
    pages,
    blocks,
  };
}

function parseConfig(value: unknown): CacheConfig {
  expect(Array.isArray(value) && value.length === 16, "configuration");
  const [
    layers,
    kvHeads,
    heads,
    headDim,
    pageTokens,
    pages,
    key,
    value_,
    seed,
    nonFinite,
    keyScale,
    valueScale,
    sinks,
    means,
    rope,
    recent,
  ] = value;
  expect(means instanceof Uint8Array && means.length % 4 === 0 && typeof rope === "string", "centre");
  expect(typeof seed === "string" && /^(0|[1-9]\d{0,19})$/.test(seed), "seed");
  try {
    return checkOptions({
      layers,
      kvHeads,
      headDim,
      pageTokens,
      pages,
      key,
      value: value_,
      seed: BigInt(seed),
      nonFinite,
      ...(heads === 0 ? {} : { heads }),
      ...(keyScale === "" ? {} : { keyScale }),
      ...(valueScale === "" ? {} : { valueScale }),
      sinks,
      recent,
      ...(rope === "" ? {} : { center: parseCenter(means, rope) }),
    });
  } catch (error) {
    throw new CacheError("CORRUPT_SNAPSHOT", `snapshot: configuration: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function parseCenter(means: Uint8Array, rope: string): Center {
  const turns = JSON.parse(rope);
  return {
    means: new Float32Array(means.slice().buffer),
    ...(turns === null ? { rope: undefined } : { rope: turns }),
  };
}

function parsePages(value: unknown, config: CacheConfig, pageBytes: number): SavedPage[] {
  expect(Array.isArray(value), "pages");
  return value.map((entry, i) => {
    expect(Array.isArray(entry) && entry.length === 4, `page entry ${i}`);
    const [index, fill, sum, bytes] = entry;
    expect(
      isCount(index, config.pages - 1) && (i === 0 || index > value[i - 1][0]),
      `index of page entry ${i}`,
    );
    expect(isCounts(fill, config.layers, config.pageTokens), `tokens of page ${index}`);
    expect(bytes instanceof Uint8Array && sum instanceof Uint8Array, `bytes of page ${index}`);
    const blank = fill.every((tokens) => tokens === 0);
    const { layers, kvHeads, headDim, sinks } = config;
    const whole = sinks > 0 && bytes.length === pageBytes + 4 * layers * kvHeads * headDim * sinks;
    expect(
      bytes.length === (blank ? 0 : pageBytes) || (whole && !blank),
      `page ${index} has ${bytes.length} bytes`,
    );
    expect(equal(sha256(bytes), sum), `page ${index} does not have its checksum`);
    return { index, fill, bytes: bytes.subarray(0, pageBytes), halves: bytes.subarray(pageBytes) };
  });
}

function parseBlocks(value: unknown, { layers, kvHeads, headDim, recent }: CacheConfig): Uint8Array[] {
  const bytes = 4 * layers * kvHeads * headDim * recent;
  expect(
    Array.isArray(value) && value.every((b) => b instanceof Uint8Array && bytes > 0 && b.length === bytes),
    "halves of last tokens",
  );
  return value;
}

function parseSequences(
  value: unknown,
  { layers, pageTokens, pages, recent }: CacheConfig,
  blocks: number,
): SavedSequence[] {
  expect(Array.isArray(value), "sequences");
  const used = new Set<number>();
  const sequences = value.map((entry, i) => {
    expect(Array.isArray(entry) && entry.length === 5, `sequence ${i}`);
    const [handle, fill, table, from, block] = entry;
    expect(isCount(handle), `handle of sequence ${i}`);
    expect(
      Array.isArray(table) && isCounts(fill, layers, table.length * pageTokens),
      `tokens of sequence ${i}`,
    );
    expect(
      table.every((page) => page === RELEASED || isCount(page, pages - 1)),
      `table of sequence ${i}`,
    );
    const whole = fill.every((n, layer) => n === from?.[layer]);
    expect(
      isCounts(from, layers) && fill.every((n, layer) => n >= from[layer]! && n - from[layer]! <= recent),
      `last tokens of sequence ${i}`,
    );
    expect(whole ? block === -1 : isCount(block, blocks - 1), `halves of the last tokens of sequence ${i}`);
    if (!whole) used.add(block);
    return { handle, fill: Uint32Array.from(fill), table, recentFrom: Uint32Array.from(from), block };
  });
  expect(used.size === blocks, "halves of last tokens that no sequence has");
  return sequences;
}

function parsePrefixes(value: unknown, config: CacheConfig, known: ReadonlySet<number>): PrefixEntry[] {
  expect(Array.isArray(value), "prefixes");
  const hashes = new Set<string>();
  return value.map((entry, i) => {
    expect(Array.isArray(entry) && entry.length === 5, `prefix ${i}`);
    const [hash, parent, page, tokens, used] = entry;
    expect(isHash(hash) && isHash(parent) && !hashes.has(hash), `hash of prefix ${i}`);
    hashes.add(hash);
    expect(isCount(page) && known.has(page) && isCount(used), `page of prefix ${i}`);
    const ids = parseWords(tokens, `tokens of prefix ${i}`);
    expect(ids.length === config.pageTokens, `tokens of prefix ${i}`);
    return { hash, parent, page, tokens: ids, used };
  });
}

function parseWords(value: unknown, what: string): Uint32Array {
  expect(value instanceof Uint8Array && value.length % 4 === 0, what);
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  return Uint32Array.from({ length: value.length / 4 }, (_, i) => view.getUint32(4 * i, true));
}

export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
