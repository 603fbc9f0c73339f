/** Two-sided comparison of a sample mean with a theoretical value. */
export interface Sample {
  readonly mean: number;
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
