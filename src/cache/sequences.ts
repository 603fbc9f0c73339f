/**
 * Sequences by handle. A handle is a slot and the slot's generation in one number, so the handle of a freed
 * sequence is never mistaken for its successor's. Slots are reused last freed first: the same calls give the same
 * handles anywhere.
 */
import { CacheError } from "./cache-error.js";

/** A sequence's name. Opaque; valid until `free`. */
export type SequenceHandle = number;

/** Stands in a page table where a page was released. */
export const RELEASED = -1;

export interface Sequence {
  readonly handle: SequenceHandle;
  /** Pages in order of position, reserved ones last; RELEASED where a window has passed. */
  table: number[];
  /** Tokens that each layer holds. */
  readonly fill: Uint32Array;
}

const SLOTS = 1 << 20;

export class Sequences {
  readonly #layers: number;
  readonly #live: (Sequence | undefined)[] = [];
  readonly #generations: number[] = [];
  readonly #free: number[] = [];
  #count = 0;

  constructor(layers: number) {
    this.#layers = layers;
  }

  get count(): number {
    return this.#count;
  }

  create(): Sequence {
    if (this.#free.length === 0) {
      if (this.#live.length === SLOTS) throw new RangeError(`at most ${SLOTS} sequences at a time`);
      this.#free.push(this.#live.push(undefined) - 1);
      this.#generations.push(0);
    }
    const slot = this.#free.pop()!;
    const sequence: Sequence = {
      handle: this.#generations[slot]! * SLOTS + slot,
      table: [],
      fill: new Uint32Array(this.#layers),
    };
    this.#live[slot] = sequence;
    this.#count++;
    return sequence;
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

  restore(generations: readonly number[], free: readonly number[], live: readonly Sequence[]): void {
    this.#generations.push(...generations);
    this.#free.push(...free);
    this.#live.length = generations.length;
    this.#live.fill(undefined);
    for (const sequence of live) this.#live[sequence.handle % SLOTS] = sequence;
    this.#count = live.length;
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
