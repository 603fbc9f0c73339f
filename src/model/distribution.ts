/** Next-token distributions from rows of logits, in f64. */

export interface Distribution {
  /** ln Σ e^logit. */
  readonly logSum: number;
  /** The most likely token; ties go to the lower id. */
  readonly top: number;
}

export function distributionOf(row: Float32Array): Distribution {
  let top = 0;
  for (let i = 1; i < row.length; i++) if (row[i]! > row[top]!) top = i;
  const most = row[top]!;
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum += Math.exp(row[i]! - most);
  return { logSum: most + Math.log(sum), top };
}

/** KL(p ‖ q), nats, from logits and their ln Σ e^logit. */
export function divergence(p: Float32Array, pLogSum: number, q: Float32Array, qLogSum: number): number {
  let sum = 0;
  for (let i = 0; i < p.length; i++) {
    const logP = p[i]! - pLogSum;
    if (logP > -60) sum += Math.exp(logP) * (logP - (q[i]! - qLogSum));
  }
  return sum;
}
