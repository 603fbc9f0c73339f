/**
 * What of a step one thread does. A step falls into units: each head of keys, or, where there are fewer of those than would
 * keep all threads busy, each part of its rows (query, head). Units do not depend on one another, so whoever does which
 * of them, the result is the same to the bit.
 */
export interface Share {
  /** Parts that the rows of a head are cut into. */
  readonly parts: number;
  /** The next unit: head · parts + part; negative: none is left. */
  next(): number;
}

/** All heads, one after the other. */
export class WholeStep implements Share {
  readonly parts = 1;
  #heads = 0;
  #next = 0;

  /** heads: of keys. */
  open(heads: number): this {
    this.#heads = heads;
    this.#next = 0;
    return this;
  }

  next(): number {
    return this.#next < this.#heads ? this.#next++ : -1;
  }
}
