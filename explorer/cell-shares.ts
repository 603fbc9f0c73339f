/** What share of N(0,1) falls into each cell between ascending boundaries. */
import { normalCdf } from "../src/oracle/pipeline/tables.js";

export function cellShares(boundaries: readonly number[]): number[] {
  const below = [0, ...boundaries.map(normalCdf), 1];
  return below.slice(1).map((p, i) => p - below[i]!);
}
