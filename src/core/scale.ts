/**
 * The stored scale: three rules (EDEN, arXiv 2108.08842, and the engines' "norm correction").
 *
 * A vector of norm n has normalised rotated coordinates z (Σz² = d up to rounding) and chosen centroids c, both
 * in units of N(0,1). With cos θ = ⟨z,c⟩/(‖z‖‖c‖) and D = sin² θ, the decoder returns scale · c/√d, rotated back:
 *
 *   least-squares   n·⟨z,c⟩/⟨c,c⟩    squared error D               smallest for one vector; shrinks it by 1 − D
 *   norm-matching   n·√d/‖c‖         2(1 − √(1 − D))               keeps the norm
 *   unbiased        n·d/⟨z,c⟩        D/(1 − D)                     E⟨q,x̂⟩ = ⟨q,x⟩ over the rotation
 *
 * In exact arithmetic least-squares ≤ norm-matching ≤ unbiased for every vector; where z and c are parallel the
 * three coincide and f32 rounding could swap them, so the definition clamps the outer two to the middle one.
 */

const { fround } = Math;

/** The rules by name. */
export const SCALE_RULES = ["least-squares", "norm-matching", "unbiased"] as const;
/** Which scale a vector stores; the header of this file has the formulas. */
export type ScaleRule = (typeof SCALE_RULES)[number];

/**
 * The f32 scale before it is rounded to fp16; 0 for a zero vector.
 * norm: ‖x‖ · zc: Σzc · cc: Σc² · dim and rootDim = fround(√dim), all f32.
 */
export function storedScale(
  rule: ScaleRule,
  norm: number,
  zc: number,
  cc: number,
  dim: number,
  rootDim: number,
): number {
  if (norm === 0) return 0;
  const matching = fround(fround(norm * rootDim) / fround(Math.sqrt(cc)));
  if (rule === "norm-matching") return matching;
  if (rule === "least-squares") return Math.min(fround(fround(norm * zc) / cc), matching);
  return Math.max(fround(fround(norm * dim) / zc), matching);
}

/** Keys are compared, values are averaged: a shrink costs averages more than noise does. */
export const defaultScaleRule = (side: "key" | "value"): ScaleRule =>
  side === "key" ? "norm-matching" : "unbiased";
