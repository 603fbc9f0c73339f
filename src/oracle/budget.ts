/**
 * How long a diagnosis may search. Within the time it tries everything, so that its answer does not depend on the
 * machine; beyond it, it stops and gives the best explanation so far.
 */
export interface Budget {
  /** True when the time is up: nothing new is tried. */
  readonly spent: () => boolean;
}

/** Milliseconds that the search of one verdict may take. */
export const SEARCH_TIME = 1200;
/** What a machine that is busy with other work may take for it, as a multiple. */
const PATIENCE = 1.4;

/** Microseconds of processor time, where there is a way to know. */
const cpuTime = (): number => {
  const { process } = globalThis as { process?: { cpuUsage?: () => { user: number; system: number } } };
  const usage = process?.cpuUsage?.();
  return usage ? usage.user + usage.system : Number.POSITIVE_INFINITY;
};

/** A budget of so many milliseconds from now: of the processor's time where that is known, so that other work does not count. */
export function budgetOf(milliseconds: number): Budget {
  const start = performance.now();
  const cpu = cpuTime();
  const known = Number.isFinite(cpu);
  return {
    spent: () => {
      const wall = performance.now() - start;
      if (wall <= milliseconds) return false;
      return !known || wall > PATIENCE * milliseconds || cpuTime() - cpu > 1e3 * milliseconds;
    },
  };
}
