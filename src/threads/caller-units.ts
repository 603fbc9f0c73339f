/** The units of a published step that the caller does: those that it takes, and, where a worker does not come back, what is left. */
import type { Share } from "../attention/share.js";
import { MOST_UNITS, takeUnit, UNITS } from "./control.js";

class Units implements Share {
  parts = 1;
  readonly next: () => number;
  constructor(next: () => number) {
    this.next = next;
  }
}

export class CallerUnits {
  readonly own: Share;
  readonly rest: Share;
  /** How many the caller took, not counting the rest. */
  taken = 0;
  readonly #words: Int32Array;
  readonly #mine = new Uint8Array(MOST_UNITS);
  readonly #shares: readonly Units[];
  #units = 0;

  constructor(words: Int32Array) {
    this.#words = words;
    this.#shares = [new Units(() => this.#take()), new Units(() => this.#takeLeft())];
    [this.own, this.rest] = this.#shares as [Share, Share];
  }

  open(units: number, parts: number): void {
    this.taken = 0;
    this.#units = units;
    this.#mine.fill(0, 0, units);
    this.#words.fill(0, UNITS, UNITS + units);
    for (const share of this.#shares) share.parts = parts;
  }

  #take(): number {
    const unit = takeUnit(this.#words);
    if (unit < 0) return -1;
    this.#mine[unit] = 1;
    this.taken++;
    return unit;
  }

  /** One that the caller did not take and that is not done, whoever has it. */
  #takeLeft(): number {
    for (let unit = 0; unit < this.#units; unit++) {
      if (this.#mine[unit] === 1 || Atomics.load(this.#words, UNITS + unit) === 1) continue;
      this.#mine[unit] = 1;
      return unit;
    }
    return -1;
  }
}
