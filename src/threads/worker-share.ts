/** The units of steps that a worker takes. */
import type { Share } from "../attention/share.js";
import { DONE, takeUnit, UNITS, WAITING } from "./control.js";
import { AT, type Job } from "./job.js";

export class WorkerShare implements Share {
  parts = 1;
  readonly #control: Int32Array;
  readonly #words: Uint32Array;
  #serial = -1;
  /** Taken and not yet given to `next`; −1: none. */
  #taken = -1;
  /** Given to `next` and not yet done; −1: none. */
  #working = -1;

  constructor(control: Int32Array, { words }: Job) {
    this.#control = control;
    this.#words = words;
  }

  /** Takes a unit of whatever step is there. False: there is none. From then on, and while `next` gives units, the job stays. */
  open(): boolean {
    if (this.#taken < 0) this.#taken = takeUnit(this.#control);
    if (this.#taken < 0) return false;
    this.#serial = this.#words[AT.serial]!;
    this.parts = this.#words[AT.parts]!;
    return true;
  }

  /** The unit before is done. One of another step than that which was opened is kept for the next `open`. */
  next(): number {
    if (this.#working >= 0) this.#finish();
    if (this.#taken < 0) this.#taken = takeUnit(this.#control);
    if (this.#taken < 0 || this.#words[AT.serial] !== this.#serial) return -1;
    const unit = this.#taken;
    this.#taken = -1;
    this.#working = unit;
    return unit;
  }

  #finish(): void {
    Atomics.store(this.#control, UNITS + this.#working, 1);
    this.#working = -1;
    Atomics.add(this.#control, DONE, 1);
    if (Atomics.load(this.#control, WAITING) === 1) Atomics.notify(this.#control, DONE);
  }
}
