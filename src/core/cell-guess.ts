/**
 * A first guess at how many boundaries lie below a value, from a table of equal steps, so that counting goes on from there
 * and nearly always ends at once. The guess is never too large, whatever the value, so the count is exact.
 */
export interface CellGuess {
  readonly factor: number;
  /** Boundaries whose step is before this one: (STEPS,). */
  readonly below: Uint8Array;
}

const STEPS = 1024;

/** v ↦ step is monotone, so a boundary of an earlier step is below v. NaN has the first step. */
function stepOf(factor: number, v: number): number {
  const t = v * factor + STEPS / 2;
  return t > 0 ? (t < STEPS - 1 ? t | 0 : STEPS - 1) : 0;
}

/** boundaries: ascending, at most 255, not all zero. */
export function cellGuess(boundaries: Float32Array): CellGuess {
  const most = boundaries.reduce((m, b) => Math.max(m, Math.abs(b)), 0);
  const factor = STEPS / 2 / (most * 1.001);
  const below = new Uint8Array(STEPS);
  for (let step = 0; step < STEPS; step++)
    for (const b of boundaries) if (stepOf(factor, b) < step) below[step]!++;
  return { factor, below };
}

/** At most the number of boundaries b with b < v; 0 for NaN. */
export const guessCell = ({ factor, below }: CellGuess, v: number): number => below[stepOf(factor, v)]!;
