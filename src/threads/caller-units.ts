/** The units of a published step that the caller does: those that it takes, and, where a worker does not come back, what is left. */
import type { Share } from "../attention/share.js";
import { MOST_UNITS, takeUnit, UNITS } from "./control.js";

class Units implements Share {
  parts = 1;
  /** Units that `next` gave. */
  given = 0;
  readonly #take: () => number;

  constructor(take: () => number) {
    this.#take = take;
  }

  open(parts: number): void {
    this.parts = parts;
    this.given = 0;
  }

  next(): number {
    const unit = this.#take();
    if (unit >= 0) this.given++;
    return unit;
  }
}

export class CallerUnits {
  /** Those that it takes. */
  readonly own = new Units(() => this.#take());
  /** Those that it did not take and that are not done, whoever has them. */
  readonly rest = new Units(() => this.#takeLeft());
  readonly #words: Int32Array;
  readonly #mine = new Uint8Array(MOST_UNITS);
  #units = 0;

  constructor(words: Int32Array) {
    this.#words = words;
  }

  open(units: number, parts: number): void {
    this.own.open(parts);
    this.rest.open(parts);
    this.#units = units;
    this.#mine.fill(0, 0, units);
    this.#words.fill(0, UNITS, UNITS + units);
  }

  #take(): number {
    const unit = takeUnit(this.#words);
    if (unit >= 0) this.#mine[unit] = 1;
    return unit;
  }

  #takeLeft(): number {
    for (let unit = 0; unit < this.#units; unit++) {
      if (this.#mine[unit] === 1 || Atomics.load(this.#words, UNITS + unit) === 1) continue;
      this.#mine[unit] = 1;
      return unit;
    }
    return -1;
  }
}
