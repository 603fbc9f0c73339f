/**
 * The words by which threads agree who does what, in the memory that they share.
 *
 * A step is published by writing down the job (job.ts), then LEFT, then ringing the BELL. Whoever takes one off LEFT has a
 * unit of it, and the job stays as it is until that unit is DONE: so nobody is waited for who has not taken one, a worker that
 * sleeps too long finds nothing left, and what is read of a job after taking a unit is whole.
 */

/** Counts what was published. Workers sleep on it. */
export const BELL = 0;
/** Units that nobody has taken. */
export const LEFT = 16;
/** Units that workers have finished. The caller sleeps on it. */
export const DONE = 32;
/** 1: the caller sleeps, or is about to. */
export const WAITING = 33;
/** Workers that sleep, or are about to. */
export const SLEEPING = 48;
/** 1: workers end. */
export const QUIT = 49;
/** Messages posted to each worker so far. */
export const MAIL = 50;
/** A word for each unit: 1: a worker has done it. */
export const UNITS = 64;
export const MOST_UNITS = 1024;
/** Words that are written at different times have cache lines of their own. */
export const WORDS = UNITS + MOST_UNITS;

/**
 * Looks at BELL before a worker sleeps, some 30 µs, since steps may follow one another at once and waking takes 20; not more, as it
 * may be the caller's own core that it looks on.
 */
export const LOOKS = 4000;

/** Takes a unit of what was published; −1: none is left. */
export function takeUnit(control: Int32Array): number {
  for (let left = Atomics.load(control, LEFT); left > 0; ) {
    const found = Atomics.compareExchange(control, LEFT, left, left - 1);
    if (found === left) return left - 1;
    left = found;
  }
  return -1;
}

/** Lets workers see that there is something new. */
export function ring(control: Int32Array): void {
  Atomics.add(control, BELL, 1);
  if (Atomics.load(control, SLEEPING) > 0) Atomics.notify(control, BELL);
}
