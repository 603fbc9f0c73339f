/** Two-sided comparison of a sample with theory, in standard errors. */
import { insist } from "./property.js";

/** Standard errors that a mean may be away from theory: about one false alarm in two million checks. */
export const LIMIT = 5;

export interface Sample {
  readonly mean: number;
  /** Standard error of the mean. */
  readonly se: number;
  readonly n: number;
}

export function sample(values: readonly number[]): Sample {
  const n = values.length;
  const mean = values.reduce((a, b) => a + b, 0) / n;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / (n - 1);
  return { mean, se: Math.sqrt(variance / n), n };
}

/** Variance of the values, with the standard error that their fourth moment gives it. */
export function sampleVariance(values: readonly number[]): Sample {
  const { mean, n } = sample(values);
  return sample(values.map((v) => ((v - mean) ** 2 * n) / (n - 1)));
}

/** |mean − expected| in standard errors; an exact zero error with zero spread is 0, any other is infinite. */
export const deviation = ({ mean, se }: Sample, expected: number): number =>
  mean === expected ? 0 : Math.abs(mean - expected) / se;

/** Standard errors between two means. */
export const distance = (a: Sample, b: Sample): number =>
  a.mean === b.mean ? 0 : Math.abs(a.mean - b.mean) / Math.hypot(a.se, b.se);

/** @throws Error unless the sample's mean is within LIMIT standard errors of what is expected. */
export function insistMean(what: string, found: Sample, expected: number): void {
  const off = deviation(found, expected);
  insist(
    off < LIMIT,
    () =>
      `${what} is ${found.mean.toPrecision(5)} ± ${found.se.toPrecision(2)} over ${found.n}, expected ${expected.toPrecision(5)}: ${off.toFixed(1)} standard errors away`,
  );
}

export const dotOf = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
};
export const normOf = (a: ArrayLike<number>): number => Math.sqrt(dotOf(a, a));

/** sin² of the angle between x and what it became: the error that no scale can mend. 1 where that is zero. */
export function angleError(x: ArrayLike<number>, decoded: ArrayLike<number>): number {
  const squares = dotOf(decoded, decoded);
  if (!(squares > 0)) return Number.isNaN(squares) ? Number.NaN : 1;
  return 1 - dotOf(x, decoded) ** 2 / (squares * dotOf(x, x));
}
