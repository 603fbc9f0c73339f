/**
 * Sequences by handle. A handle is a slot and the slot's generation in one number, so the handle of a freed
 * sequence is never mistaken for its successor's. Slots are reused last freed first: the same calls give the same
 * handles anywhere.
 */
import { CacheError } from "./cache-error.js";
import { PageTable } from "./page-table.js";
import type { Pages } from "./pages.js";
import type { RecentTokens } from "./recent.js";

/** A sequence's name. Opaque; valid until `free`. */
export type SequenceHandle = number;

export interface Sequence {
  readonly handle: SequenceHandle;
  /** Pages that hold tokens, in order of position; RELEASED where a window has passed. */
  readonly table: PageTable;
  /** Pages of its own without tokens, the next one first. */
  readonly reserved: number[];
  /** Tokens that each layer holds. */
  readonly fill: Uint32Array;
  /** Last tokens in halves. */
  readonly recent: RecentTokens;
}

const SLOTS = 1 << 20;

export class Sequences {
  readonly #pages: Pages;
  readonly #layers: number;
  readonly #live: (Sequence | undefined)[] = [];
  readonly #generations: number[] = [];
  readonly #free: number[] = [];
  #count = 0;

  constructor(pages: Pages, layers: number) {
    this.#pages = pages;
    this.#layers = layers;
  }

  get count(): number {
    return this.#count;
  }

  /** like: the new sequence shares this table's entries. */
  create(like?: PageTable): Sequence {
    if (this.#free.length === 0) {
      if (this.#live.length === SLOTS) throw new RangeError(`at most ${SLOTS} sequences at a time`);
      this.#free.push(this.#live.push(undefined) - 1);
      this.#generations.push(0);
    }
    const slot = this.#free.pop()!;
    return this.#occupy(slot, this.#generations[slot]! * SLOTS + slot, like);
  }

  /** @throws TypeError, CacheError UNKNOWN_SEQUENCE. */
  get(handle: SequenceHandle): Sequence {
    if (typeof handle !== "number")
      throw new TypeError(`"seq" expected a sequence's handle, got ${typeof handle}`);
    const sequence = this.#live[handle % SLOTS];
    if (sequence?.handle === handle) return sequence;
    throw new CacheError(
      "UNKNOWN_SEQUENCE",
      `"seq" expected a live sequence, got ${handle} (freed, or never created)`,
    );
  }

  remove(sequence: Sequence): void {
    const slot = sequence.handle % SLOTS;
    this.#live[slot] = undefined;
    this.#generations[slot]!++;
    this.#free.push(slot);
    this.#count--;
  }

  /** Live sequences in order of slots. */
  *[Symbol.iterator](): Iterator<Sequence> {
    for (const sequence of this.#live) if (sequence) yield sequence;
  }

  /** What a snapshot keeps of the slots. */
  save(): { generations: number[]; free: number[] } {
    return { generations: [...this.#generations], free: [...this.#free] };
  }

  restore(generations: readonly number[], free: readonly number[]): void {
    for (const generation of generations) {
      this.#generations.push(generation);
      this.#live.push(undefined);
    }
    for (const slot of free) this.#free.push(slot);
  }

  /** A restored slot's sequence, empty. */
  revive(handle: SequenceHandle): Sequence {
    return this.#occupy(handle % SLOTS, handle);
  }

  #occupy(slot: number, handle: SequenceHandle, like?: PageTable): Sequence {
    const sequence: Sequence = {
      handle,
      table: like?.fork() ?? new PageTable(this.#pages),
      reserved: [],
      fill: new Uint32Array(this.#layers),
      recent: { block: undefined, from: new Uint32Array(this.#layers) },
    };
    this.#live[slot] = sequence;
    this.#count++;
    return sequence;
  }
}

/** The slot and the generation of a handle. */
export const splitHandle = (handle: number): { slot: number; generation: number } => ({
  slot: handle % SLOTS,
  generation: Math.floor(handle / SLOTS),
});

export const mostFilled = (sequence: Sequence): number => sequence.fill.reduce((a, b) => Math.max(a, b), 0);
/** Tokens that every layer holds. */
export const leastFilled = (sequence: Sequence): number =>
  sequence.fill.reduce((a, b) => Math.min(a, b), sequence.fill[0]!);
/** All pages of a sequence in order of position: those of its table, then the reserved ones. */
export const pagesOf = ({ table, reserved }: Sequence): number[] => [...table.toArray(), ...reserved];
