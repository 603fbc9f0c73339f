/** The first step of an encoder, the centre taken off, and the last, the stored scale (src/core/scale.ts). */
import { dot } from "./lanes";
import { centerOf, dimOf, rootDimOf, ruleOf } from "./plan";

/** src/core/scale.ts: which rule is which. */
const LEAST_SQUARES = 0;
const NORM_MATCHING = 1;

/** The scale before it is rounded to fp16. z, c: (dim,). */
export function storedScale(plan: usize, norm: f32, z: usize, c: usize, cc: f32): f32 {
  if (norm == 0) return 0;
  const matching = (norm * rootDimOf(plan)) / sqrt<f32>(cc);
  const rule = ruleOf(plan);
  if (rule == NORM_MATCHING) return matching;
  const zc = dot(z, c, dimOf(plan));
  if (rule == LEAST_SQUARES) return min<f32>((norm * zc) / cc, matching);
  return max<f32>((norm * <f32>(<i32>dimOf(plan))) / zc, matching);
}

/** out ← x − centre; returns out, or x itself where there is no centre. */
export function centered(plan: usize, x: usize, out: usize): usize {
  const center = centerOf(plan);
  if (center == 0) return x;
  for (let at: usize = 0; at < dimOf(plan) * 4; at += 16)
    v128.store(out + at, f32x4.sub(v128.load(x + at), v128.load(center + at)));
  return out;
}
