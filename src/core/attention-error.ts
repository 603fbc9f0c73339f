/** How far attention over coded keys and values is from the attention over what they were coded from. f64. */

/** The softmax's logarithm. */
export function logSoftmax(logits: Float64Array): Float64Array {
  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  let sum = 0;
  for (const l of logits) sum += Math.exp(l - largest);
  const normaliser = largest + Math.log(sum);
  return logits.map((l) => l - normaliser);
}

/** ⟨a, b⟩ / (‖a‖ ‖b‖). */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let ab = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    ab += a[i]! * b[i]!;
    aa += a[i]! * a[i]!;
    bb += b[i]! * b[i]!;
  }
  return ab / Math.sqrt(aa * bb);
}

/**
 * Σ (e − ē)² and Σ (l − l̄)² of one query over its tokens, l the exact logits and e what the coded ones are off by. What all
 * logits have in common is in neither: softmax does not see it, and it is as large as the keys' mean makes it.
 */
export function centredLogitError(
  exact: ArrayLike<number>,
  coded: ArrayLike<number>,
): { readonly error: number; readonly energy: number } {
  const n = exact.length;
  let meanError = 0;
  let meanLogit = 0;
  for (let i = 0; i < n; i++) {
    meanError += (coded[i]! - exact[i]!) / n;
    meanLogit += exact[i]! / n;
  }
  let error = 0;
  let energy = 0;
  for (let i = 0; i < n; i++) {
    error += (coded[i]! - exact[i]! - meanError) ** 2;
    energy += (exact[i]! - meanLogit) ** 2;
  }
  return { error, energy };
}
