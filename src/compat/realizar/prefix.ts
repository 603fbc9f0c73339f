/**
 * Prefixes by hash: FNV-1a, 64 bits, over whole tokens.
 *
 * QUIRKS: a hit is a hash, never a comparison of tokens, and collisions among small tokens are found in seconds
 * ([17118, 93198, 51246, 7] and [3416, 38942, 119551, 44386]); an entry names pages but does not hold them; and as
 * `removeRef` deletes at zero, eviction only meets entries that were inserted with refCount 0.
 *
 * DEVIATION: among equally old entries the one inserted first is evicted; the crate takes whichever its randomly
 * seeded hash map meets first.
 */
import { assertInteger } from "../../core/check.js";
import { PageId } from "./ids.js";
import { asRecord, countersFromJson } from "./record.js";
import { PrefixCacheStats } from "./stats.js";

const FNV_BASIS = 0xcbf29ce484222325n;
const FNV_PRIME = 0x100000001b3n;
const U32_MAX = 2 ** 32 - 1;
const U64_MAX = 2n ** 64n - 1n;

/** hash ← (hash xor token) · prime mod 2⁶⁴ over the tokens; a token is a whole u32, not its bytes. */
export function computePrefixHash(tokens: ArrayLike<number>): bigint {
  let hash = FNV_BASIS;
  for (let i = 0; i < tokens.length; i++) {
    assertInteger(tokens[i], `tokens[${i}]`, 0, U32_MAX);
    hash = BigInt.asUintN(64, (hash ^ BigInt(tokens[i]!)) * FNV_PRIME);
  }
  return hash;
}

/** An entry of the prefix cache. The fields are the caller's to change, as in the crate. */
export class CachedPrefix {
  hash: bigint;
  numTokens: number;
  pageIds: PageId[];
  refCount = 1;
  /** When it was last looked up, in lookups; 0 for never, so a new entry is the first to go (QUIRK). */
  lastAccess = 0;

  constructor(hash: bigint, numTokens: number, pageIds: readonly PageId[]) {
    this.hash = checkedHash(hash, "hash");
    assertInteger(numTokens, "numTokens", 0);
    this.numTokens = numTokens;
    this.pageIds = [...pageIds];
  }

  /** One more user. */
  addRef(): void {
    this.refCount++;
  }

  /** One reference less, not below 0. True when none is left, also when there was none. */
  removeRef(): boolean {
    this.refCount = Math.max(0, this.refCount - 1);
    return this.refCount === 0;
  }

  /** A deep copy. */
  clone(): CachedPrefix {
    return Object.assign(new CachedPrefix(this.hash, this.numTokens, this.pageIds), {
      refCount: this.refCount,
      lastAccess: this.lastAccess,
    });
  }

  /** JSON text as serde writes it: the hash as a bare integer with all its digits. */
  toSerdeJson(): string {
    return JSON.stringify(this.toJSON()).replace(/"hash":"?\d+"?/, `"hash":${this.hash}`);
  }

  /** Reads what {@link toSerdeJson} or serde wrote, without losing digits of the hash. */
  static fromSerdeJson(text: string): CachedPrefix {
    return CachedPrefix.fromJSON(JSON.parse(text.replace(/"hash"(\s*:\s*)(\d+)/, '"hash"$1"$2"')));
  }

  /** The fields in snake_case; a hash beyond 2^53 is a decimal string, as a JSON number would lose digits here. */
  toJSON(): Record<string, unknown> {
    return {
      hash: this.hash <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(this.hash) : this.hash.toString(),
      num_tokens: this.numTokens,
      page_ids: this.pageIds.map((id) => id.toJSON()),
      ref_count: this.refCount,
      last_access: this.lastAccess,
    };
  }

  /** From what `toJSON` gives. */
  static fromJSON(json: unknown): CachedPrefix {
    const { hash, page_ids: ids } = asRecord(json, "json");
    if (!Array.isArray(ids)) throw new TypeError(`"page_ids" expected an array, got ${typeof ids}`);
    const prefix = new CachedPrefix(hashFromJson(hash), 0, ids.map(PageId.fromJSON));
    return countersFromJson(prefix, json, ["numTokens", "refCount", "lastAccess"]);
  }
}

function checkedHash(hash: unknown, name: string): bigint {
  if (typeof hash !== "bigint") throw new TypeError(`"${name}" expected a bigint, got ${typeof hash}`);
  if (hash < 0n || hash > U64_MAX) throw new RangeError(`"${name}" expected 64 bits, got ${hash}`);
  return hash;
}

function hashFromJson(hash: unknown): bigint {
  if (typeof hash === "string" && /^\d+$/.test(hash)) return checkedHash(BigInt(hash), "hash");
  assertInteger(hash, "hash", 0);
  return BigInt(hash);
}

/** Entries by hash, up to a number of them. It is connected to no page cache. */
export class PrefixCache {
  readonly #entries = new Map<bigint, CachedPrefix>();
  readonly #maxEntries: number;
  readonly #stats = new PrefixCacheStats();
  #clock = 0;

  constructor(maxEntries = 100) {
    assertInteger(maxEntries, "maxEntries", 0);
    this.#maxEntries = maxEntries;
  }

  /** The entry, now the latest used; counts a hit or a miss. It is not pinned (QUIRK). */
  lookup(hash: bigint): Readonly<CachedPrefix> | undefined {
    const entry = this.#entries.get(checkedHash(hash, "hash"));
    if (entry === undefined) {
      this.#stats.misses++;
      return undefined;
    }
    entry.lastAccess = ++this.#clock;
    this.#stats.hits++;
    return entry;
  }

  /** As `lookup`, by the hash of these tokens. */
  lookupTokens(tokens: ArrayLike<number>): Readonly<CachedPrefix> | undefined {
    return this.lookup(computePrefixHash(tokens));
  }

  /** Whether there is an entry; counts nothing. */
  contains(hash: bigint): boolean {
    return this.#entries.has(checkedHash(hash, "hash"));
  }

  /**
   * Stores a copy of the entry; evicts the least recently used unreferenced one when full and the hash is new. False
   * when there is no room: everything is referenced, or (QUIRK) the hash is there already and the cache is full.
   */
  insert(prefix: CachedPrefix): boolean {
    if (this.#entries.size >= this.#maxEntries && !this.#entries.has(prefix.hash)) this.#evict();
    if (this.#entries.size >= this.#maxEntries) return false;
    this.#stats.prefixesCached++;
    this.#stats.tokensSaved += prefix.numTokens;
    this.#entries.set(prefix.hash, prefix.clone());
    return true;
  }

  /** One reference more, and the latest used. False when there is no such entry. */
  addRef(hash: bigint): boolean {
    const entry = this.#entries.get(checkedHash(hash, "hash"));
    if (entry === undefined) return false;
    entry.addRef();
    entry.lastAccess = ++this.#clock;
    return true;
  }

  /** One reference less; at zero the entry is deleted, and only then the answer is true. */
  removeRef(hash: bigint): boolean {
    const entry = this.#entries.get(checkedHash(hash, "hash"));
    if (entry === undefined || !entry.removeRef()) return false;
    return this.#entries.delete(hash);
  }

  /** Entries. */
  len(): number {
    return this.#entries.size;
  }

  /** Whether there is none. */
  isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  /** A copy of the counters. */
  stats(): PrefixCacheStats {
    return this.#stats.clone();
  }

  /** Drops all entries and restarts the clock; the counters stay. */
  clear(): void {
    this.#entries.clear();
    this.#clock = 0;
  }

  /** Entries / most entries; 0 for a cache that takes none. */
  utilization(): number {
    return this.#maxEntries === 0 ? 0 : this.#entries.size / this.#maxEntries;
  }

  #evict(): void {
    let oldest: CachedPrefix | undefined;
    for (const entry of this.#entries.values())
      if (entry.refCount === 0 && (oldest === undefined || entry.lastAccess < oldest.lastAccess))
        oldest = entry;
    if (oldest === undefined) return;
    this.#entries.delete(oldest.hash);
    this.#stats.prefixesEvicted++;
  }
}

/**
 * The longest cached prefix of the tokens and its length, any number of tokens. One lookup on a match; no miss is
 * counted without one (QUIRK).
 */
export function findLongestPrefix(
  cache: PrefixCache,
  tokens: ArrayLike<number>,
): { hash: bigint; length: number } | undefined {
  const all = Array.from(tokens);
  for (let length = all.length; length >= 1; length--) {
    const hash = computePrefixHash(all.slice(0, length));
    if (!cache.contains(hash)) continue;
    cache.lookup(hash);
    return { hash, length };
  }
  return undefined;
}
