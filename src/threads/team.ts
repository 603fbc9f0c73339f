/** The caller's side of threads: publishes work to workers, takes its part of it, and knows whether they are still there. */
import type { Worker } from "node:worker_threads";
import type { Share } from "../attention/share.js";
import type { Arena } from "../kernels/arena.js";
import { DONE, FAILED, LEFT, LOOKS, MAIL, QUIT, ring, takeUnit, WAITING, WORDS } from "./control.js";
import { AT, JOB_BYTES, Job } from "./job.js";
import type { Mail } from "./messages.js";

/** Milliseconds in which a worker must finish a unit. */
const PATIENCE = 1000;
const LINE = 64;

export class Team implements Share {
  /** Parts that the rows of a head are cut into. */
  parts = 1;
  /** Units that workers have done. */
  helped = 0;
  /** Where the words are, and the step that is published next. */
  readonly control: number;
  readonly jobAt: number;
  readonly job: Job;
  readonly #words: Int32Array;
  readonly #workers = new Set<Worker>();
  #units = 0;
  #taken = 0;

  constructor(arena: Arena) {
    this.control = Math.ceil(arena.allocate(4 * WORDS + LINE) / LINE) * LINE;
    this.jobAt = arena.allocate(JOB_BYTES);
    const { buffer } = arena.u8;
    this.#words = new Int32Array(buffer, this.control, WORDS).fill(0);
    this.job = new Job(buffer, this.jobAt);
  }

  /** Workers that are there. */
  get workers(): number {
    return this.#workers.size;
  }

  /** A worker that is ready. It does not keep the process alive, and may end when it likes. */
  add(worker: Worker): void {
    worker.unref();
    if (worker.threadId < 0) return; // it has ended already
    this.#workers.add(worker);
    worker.once("exit", () => this.#workers.delete(worker));
  }

  /** Tells every worker, now or when it wakes. */
  post(mail: Mail): void {
    for (const worker of this.#workers) worker.postMessage(mail);
    Atomics.add(this.#words, MAIL, 1);
    ring(this.#words);
  }

  /** Publishes heads · parts units of the step that is written down. */
  publish(heads: number, parts: number): void {
    this.parts = parts;
    this.#units = heads * parts;
    this.#taken = 0;
    this.job.words[AT.serial]!++;
    this.job.words[AT.parts] = parts;
    Atomics.store(this.#words, DONE, 0);
    Atomics.store(this.#words, LEFT, this.#units);
    ring(this.#words);
  }

  /** A unit for the caller. */
  next(): number {
    const unit = takeUnit(this.#words);
    if (unit >= 0) this.#taken++;
    return unit;
  }

  /** Waits until workers have finished the units that they took. False: one does not, so none are left in the team. */
  finish(): boolean {
    const theirs = this.#units - this.#taken;
    const words = this.#words;
    let looks = LOOKS;
    while (looks > 0 && Atomics.load(words, DONE) < theirs) looks--;
    if (looks === 0) this.#sleep(theirs);
    if (Atomics.load(words, DONE) < theirs) {
      void this.end();
      return false;
    }
    this.helped += theirs;
    return true;
  }

  /** Until `theirs` units are done, a worker says that it cannot go on, or none says anything for too long. */
  #sleep(theirs: number): void {
    const words = this.#words;
    Atomics.store(words, WAITING, 1);
    let done = Atomics.load(words, DONE);
    while (done < theirs && Atomics.load(words, FAILED) === 0) {
      if (Atomics.wait(words, DONE, done, PATIENCE) === "timed-out") break;
      done = Atomics.load(words, DONE);
    }
    Atomics.store(words, WAITING, 0);
  }

  /** Takes back what nobody has begun. */
  withdraw(): void {
    Atomics.store(this.#words, LEFT, 0);
    void this.end();
  }

  /** Ends all workers. */
  async end(): Promise<void> {
    const workers = [...this.#workers];
    this.#workers.clear();
    Atomics.store(this.#words, QUIT, 1);
    ring(this.#words);
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
