/** The caller's side of threads: publishes units to workers, and never depends on what they do. */
import type { Worker } from "node:worker_threads";
import type { Arena } from "../kernels/arena.js";
import { CallerUnits } from "./caller-units.js";
import { DONE, LEFT, MAIL, QUIT, ring, WAITING, WORDS } from "./control.js";
import { AT, JOB_BYTES, Job } from "./job.js";
import type { Mail } from "./messages.js";

const LINE = 64;
/** Milliseconds that a token · value of a unit takes, until it was found: what turbo formats need below exact. */
const FIRST_PACE = 1.5e-7;
/** Times which a pace grows where it was found slower: other programs may have had the core. */
const SLOWER = 1.25;
/** Longer than this is waited for asleep: waking takes some hundredths. */
const AWAKE = 0.25;
/** Looks at DONE in a millisecond. */
const LOOKS = 140_000;

export class Team {
  /** Units that workers did, and the caller did not. */
  helped = 0;
  /** Where the words are, and the step that is published next. */
  readonly control: number;
  readonly jobAt: number;
  readonly job: Job;
  readonly caller: CallerUnits;
  readonly #words: Int32Array;
  readonly #workers = new Set<Worker>();
  /** Units of the step, and those of them that workers took. */
  #units = 0;
  #theirs = 0;
  /** Tokens · values of a unit, and milliseconds that one of those takes. */
  #work = 0;
  #pace = FIRST_PACE;

  constructor(arena: Arena) {
    this.control = Math.ceil(arena.allocate(4 * WORDS + LINE) / LINE) * LINE;
    this.jobAt = arena.allocate(JOB_BYTES);
    const { buffer } = arena.u8;
    this.#words = new Int32Array(buffer, this.control, WORDS).fill(0);
    this.job = new Job(buffer, this.jobAt);
    this.caller = new CallerUnits(this.#words);
  }

  /** Workers that are there. */
  get workers(): number {
    return this.#workers.size;
  }

  /** No worker has a unit: nobody reads or writes what the last step shared. */
  get isFree(): boolean {
    return Atomics.load(this.#words, DONE) === this.#theirs;
  }

  /** A worker that is ready. It does not keep the process alive, and may end when it likes. */
  add(worker: Worker): void {
    worker.unref();
    if (worker.threadId < 0) return; // it has ended already
    this.#workers.add(worker);
    worker.once("exit", () => {
      this.#workers.delete(worker);
      if (!this.isFree) void this.end(); // it may have had a unit, which now nobody finishes
    });
  }

  /** Tells every worker, now or when it wakes. */
  post(mail: Mail): void {
    for (const worker of this.#workers) worker.postMessage(mail);
    Atomics.add(this.#words, MAIL, 1);
    ring(this.#words);
  }

  /**
   * Publishes units 0 … units − 1, at most MOST_UNITS, of the step that is written down. work: tokens · values of all. The team
   * must be free.
   */
  publish(units: number, parts: number, work: number): void {
    const words = this.#words;
    this.#units = units;
    this.#work = work / units;
    this.job.words[AT.serial]!++;
    this.job.words[AT.parts] = parts;
    this.caller.open(units, parts);
    Atomics.store(words, DONE, 0);
    Atomics.store(words, LEFT, units);
    ring(words);
  }

  /**
   * Waits for what workers took, but no longer than doing it takes: one that lost its core may come back much later. False: the
   * caller has to do the rest as well.
   */
  wait(): boolean {
    const words = this.#words;
    // Where the caller's share ended early, nobody else shall begin.
    this.#theirs = this.#units - this.caller.own.given - Atomics.exchange(words, LEFT, 0);
    const patience = this.#pace * this.#work;
    let looks = Math.ceil(LOOKS * Math.min(patience, AWAKE));
    while (looks > 0 && !this.isFree) looks--;
    if (looks === 0 && patience > AWAKE) this.#sleep(patience);
    const { isFree } = this;
    if (isFree) this.helped += this.#theirs;
    return isFree;
  }

  /** The caller did the rest, in so many milliseconds. */
  learn(milliseconds: number): void {
    const { rest } = this.caller;
    if (rest.given === 0) return;
    const pace = milliseconds / (rest.given * this.#work);
    this.#pace = pace < this.#pace ? pace : this.#pace * SLOWER;
  }

  /** Ends all workers. */
  async end(): Promise<void> {
    const workers = [...this.#workers];
    this.#workers.clear();
    Atomics.store(this.#words, QUIT, 1);
    ring(this.#words);
    await Promise.all(workers.map((worker) => worker.terminate()));
    Atomics.store(this.#words, DONE, this.#theirs); // what they had, nobody has any more
  }

  #sleep(patience: number): void {
    const words = this.#words;
    Atomics.store(words, WAITING, 1);
    let done = Atomics.load(words, DONE);
    while (done < this.#theirs && Atomics.wait(words, DONE, done, patience) !== "timed-out")
      done = Atomics.load(words, DONE);
    Atomics.store(words, WAITING, 0);
  }
}
