/** Sequences keep their first pages as prefixes, and begin with kept ones. */
import { RELEASED } from "./page-table.js";
import type { CacheParts } from "./parts.js";
import { identityOf, type PrefixOptions, tokenArray } from "./prefix.js";
import { leastFilled, type Sequence, type SequenceHandle } from "./sequences.js";

export interface MatchOptions extends PrefixOptions {
  /** Leave at least one token to compute. */
  readonly leaveOne?: boolean;
}

/** Keeps the full pages of a sequence's first tokens, up to a released one. Tokens now kept. */
export function storePrefix(
  { config, prefixes }: CacheParts,
  sequence: Sequence,
  tokens: ArrayLike<number>,
  options: PrefixOptions,
): number {
  const ids = tokenArray(tokens);
  const identity = identityOf(config, options.salt);
  const full = Math.floor(Math.min(ids.length, leastFilled(sequence)) / config.pageTokens);
  const pages = sequence.table.toArray(0, full);
  const released = pages.indexOf(RELEASED);
  const there = released < 0 ? pages : pages.slice(0, released);
  return prefixes.store(identity, ids, there) * config.pageTokens;
}

/** A new sequence of the longest kept prefix. */
export function matchPrefix(
  { config, tables, prefixes }: CacheParts,
  tokens: ArrayLike<number>,
  options: MatchOptions,
): { seq: SequenceHandle; tokens: number } {
  const ids = tokenArray(tokens);
  const identity = identityOf(config, options.salt);
  const countable = options.leaveOne ? Math.max(0, ids.length - 1) : ids.length;
  const pages = prefixes.match(identity, ids, Math.floor(countable / config.pageTokens));
  const found = pages.length * config.pageTokens;
  return { seq: tables.adopt(pages, found).handle, tokens: found };
}
