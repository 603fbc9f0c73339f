/** Means with their standard errors, and quantiles. */

export interface Mean {
  readonly mean: number;
  /** Standard error of the mean: sample deviation / √n; 0 for a single value. */
  readonly se: number;
}

export function meanOf(values: Float64Array): Mean {
  const n = values.length;
  const mean = values.reduce((sum, x) => sum + x, 0) / n;
  const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return { mean, se: n > 1 ? Math.sqrt(squares / (n - 1) / n) : 0 };
}

/** The q-quantile, linear between order statistics (as NumPy's default). */
export function quantile(values: Float64Array, q: number): number {
  const sorted = values.slice().sort();
  const at = q * (sorted.length - 1);
  const low = Math.floor(at);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low]! + (at - low) * (sorted[high]! - sorted[low]!);
}
