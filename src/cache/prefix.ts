/**
 * Prefixes that sequences share: full pages by a chained SHA-256 over what the pages are (formats, geometry, seed),
 * a salt and the tokens. The tokens are kept and compared, so a hit is right even if the hash were broken.
 *
 * An entry holds one reference to its page. A page that nothing else refers to is idle and may be evicted, least
 * recently used first by a logical clock. A match touches its pages from the last to the first, so that a page is
 * never evicted before its successors; where it must be (its successors are in use), they are forgotten with it.
 */
import { encode } from "@msgpack/msgpack";
import { sha256 } from "@noble/hashes/sha2.js";
import { assertInteger } from "../core/check.js";
import type { CacheConfig } from "./options.js";
import type { Pages } from "./pages.js";

export interface PrefixEntry {
  /** Hex; `parent` is that of the page before, or the root's. */
  readonly hash: string;
  readonly parent: string;
  readonly page: number;
  readonly tokens: Uint32Array;
  used: number;
}

export interface PrefixCounters {
  hits: number;
  misses: number;
  evictions: number;
}

/** Options of `storePrefix` and `matchPrefix`. */
export interface PrefixOptions {
  /** Sequences with different salts share nothing: a tenant, a LoRA adapter, anything the keys depend on. */
  readonly salt?: string;
}

/** What the pages of a prefix are, besides their tokens: everything that their bytes depend on. */
export function identityOf(config: CacheConfig, salt = ""): Uint8Array {
  if (typeof salt !== "string") throw new TypeError(`"salt" expected a string, got ${typeof salt}`);
  const { layers, kvHeads, headDim, pageTokens, key, value, seed, keyScale, valueScale, nonFinite } = config;
  const scales = [keyScale ?? "", valueScale ?? "", nonFinite, config.centerDigest, config.sinks];
  return encode([layers, kvHeads, headDim, pageTokens, key, value, String(seed), ...scales, salt]);
}

/** Token ids as u32. @throws TypeError, RangeError. */
export function tokenArray(tokens: ArrayLike<number>): Uint32Array {
  if (typeof tokens !== "object" || tokens === null || typeof tokens.length !== "number")
    throw new TypeError(`"tokens" expected an array of token ids, got ${typeof tokens}`);
  const ids = new Uint32Array(tokens.length);
  for (let i = 0; i < ids.length; i++) {
    assertInteger(tokens[i], "tokens", 0, 2 ** 32 - 1);
    ids[i] = tokens[i]!;
  }
  return ids;
}

export type Digest = (bytes: Uint8Array) => Uint8Array;

const hex = (bytes: Uint8Array): string => Array.from(bytes, (b) => b.toString(16).padStart(2, "0")).join("");

export class PrefixIndex {
  readonly counters: PrefixCounters = { hits: 0, misses: 0, evictions: 0 };
  clock = 0;
  readonly #entries = new Map<string, PrefixEntry>();
  readonly #children = new Map<string, Set<string>>();
  readonly #pageTokens: number;
  readonly #digest: Digest;
  #pages: Pages | undefined;

  constructor(pageTokens: number, digest: Digest = sha256) {
    this.#pageTokens = pageTokens;
    this.#digest = digest;
  }

  /** The pages that entries refer to. Once, before anything else. */
  bind(pages: Pages): void {
    this.#pages = pages;
  }

  get size(): number {
    return this.#entries.size;
  }
  entries(): PrefixEntry[] {
    return [...this.#entries.values()];
  }

  /** Stores pages of a sequence under its first tokens. pages: full ones, in order. How many are now kept. */
  store(identity: Uint8Array, tokens: Uint32Array, pages: readonly number[]): number {
    const path: PrefixEntry[] = [];
    let parent = hex(this.#digest(identity));
    for (const [i, page] of pages.entries()) {
      const own = tokens.slice(i * this.#pageTokens, (i + 1) * this.#pageTokens);
      const hash = this.#hash(parent, own);
      let entry = this.#entries.get(hash);
      if (entry && !matches(entry, parent, own)) break; // a collision: what is there stays
      if (!entry) {
        entry = { hash, parent, page, tokens: own, used: 0 };
        this.#insert(entry);
        this.#pages!.retain(page);
      }
      path.push(entry);
      parent = hash;
    }
    this.#touch(path);
    return path.length;
  }

  /** The pages of the longest stored prefix, at most `most` of them. */
  match(identity: Uint8Array, tokens: Uint32Array, most: number): number[] {
    const path: PrefixEntry[] = [];
    let parent = hex(this.#digest(identity));
    for (let i = 0; i < most; i++) {
      const own = tokens.subarray(i * this.#pageTokens, (i + 1) * this.#pageTokens);
      const entry = this.#entries.get(this.#hash(parent, own));
      if (!entry || !matches(entry, parent, own)) break;
      path.push(entry);
      parent = entry.hash;
    }
    if (path.length > 0) this.counters.hits++;
    else this.counters.misses++;
    this.#touch(path);
    return path.map((entry) => entry.page);
  }

  /** Pages that only this index refers to. */
  idle(): number {
    let n = 0;
    for (const { page } of this.#entries.values()) if (this.#pages!.references[page] === 1) n++;
    return n;
  }

  /** Frees the idle page that was used longest ago. */
  evictOne(): void {
    let oldest: PrefixEntry | undefined;
    for (const entry of this.#entries.values())
      if (this.#pages!.references[entry.page] === 1 && (!oldest || entry.used < oldest.used)) oldest = entry;
    this.counters.evictions++;
    this.#forget(oldest!);
  }

  /** Forgets everything; pages that no sequence has become free. */
  clear(): void {
    for (const { page } of this.#entries.values()) this.#pages!.release(page);
    this.#entries.clear();
    this.#children.clear();
  }

  /** An entry of a snapshot; its reference is counted already. */
  restore(entry: PrefixEntry): void {
    this.#insert(entry);
  }

  #forget(entry: PrefixEntry): void {
    for (const child of this.#children.get(entry.hash) ?? []) this.#forget(this.#entries.get(child)!);
    this.#children.delete(entry.hash);
    this.#entries.delete(entry.hash);
    const siblings = this.#children.get(entry.parent);
    siblings?.delete(entry.hash);
    if (siblings?.size === 0) this.#children.delete(entry.parent);
    this.#pages!.release(entry.page);
  }

  #insert(entry: PrefixEntry): void {
    this.#entries.set(entry.hash, entry);
    const siblings = this.#children.get(entry.parent);
    if (siblings) siblings.add(entry.hash);
    else this.#children.set(entry.parent, new Set([entry.hash]));
  }

  #touch(path: readonly PrefixEntry[]): void {
    for (let i = path.length - 1; i >= 0; i--) path[i]!.used = ++this.clock;
  }

  #hash(parent: string, tokens: Uint32Array): string {
    const bytes = new Uint8Array(parent.length + 4 * tokens.length);
    for (let i = 0; i < parent.length; i++) bytes[i] = parent.charCodeAt(i);
    const view = new DataView(bytes.buffer);
    for (const [i, token] of tokens.entries()) view.setUint32(parent.length + 4 * i, token, true);
    return hex(this.#digest(bytes));
  }
}

const matches = (entry: PrefixEntry, parent: string, tokens: Uint32Array): boolean =>
  entry.parent === parent &&
  entry.tokens.length === tokens.length &&
  entry.tokens.every((token, i) => token === tokens[i]);
