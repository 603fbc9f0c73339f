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

/** A budget that ends so many milliseconds from now. */
export function budgetOf(milliseconds: number): Budget {
  const end = performance.now() + milliseconds;
  return { spent: () => performance.now() > end };
}
