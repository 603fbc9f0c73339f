/**
 * Names of sequences and pages.
 *
 * The crate's ids wrap a u64. Here they wrap a number: ids are counters and indices, which stay far below 2^53; only
 * prefix hashes use all 64 bits and are bigints. In JSON both are a bare number, as serde writes them.
 */
import { assertInteger } from "../../core/check.js";

let nextSequence = 0;

/** A sequence, unique among all caches of the process (QUIRK: the counter is global and starts at 0). */
export class SeqId {
  readonly #value: number;

  /** The next id. With `value`, that id again, as deserialising gives it; the counter stays. */
  constructor(value?: number) {
    if (value !== undefined) assertInteger(value, "value", 0);
    this.#value = value ?? nextSequence++;
  }

  /** The id as a number. */
  value(): number {
    return this.#value;
  }

  /** Whether both are the same id. */
  equals(other: SeqId): boolean {
    return this.#value === other.#value;
  }

  /** The number, as serde writes it. */
  toJSON(): number {
    return this.#value;
  }

  /** From what `toJSON` gives. */
  static fromJSON(value: unknown): SeqId {
    assertInteger(value, "seqId", 0);
    return new SeqId(value);
  }
}

/** A physical page: its index in the cache. */
export class PageId {
  readonly #value: number;

  constructor(value: number) {
    assertInteger(value, "value", 0);
    this.#value = value;
  }

  /** The id as a number. */
  value(): number {
    return this.#value;
  }

  /** Whether both are the same id. */
  equals(other: PageId): boolean {
    return this.#value === other.#value;
  }

  /** The number, as serde writes it. */
  toJSON(): number {
    return this.#value;
  }

  /** From what `toJSON` gives. */
  static fromJSON(value: unknown): PageId {
    assertInteger(value, "pageId", 0);
    return new PageId(value);
  }
}
