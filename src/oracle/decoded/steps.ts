/**
 * A quantiser read off decoded values alone: along z a group's values are constant but for steps, and the steps of all
 * groups lie at the same places. Neither table nor scale nor sign need be known.
 */

import type { Brackets } from "../pipeline/tables.js";
import { peak } from "./parts.js";

/** Between which two values of z a step lies. */
interface Step {
  readonly low: number;
  readonly high: number;
}

/** Steps of one group, or undefined where there are more than `most`. slack: of the largest value. */
function stepsOf(y: Float64Array, z: Float64Array, slack: number, most: number): Step[] | undefined {
  const top = peak(y);
  if (!(top > 0) || !Number.isFinite(top)) return undefined;
  const order = Uint16Array.from(z, (_, i) => i).sort((a, b) => z[a]! - z[b]!);
  const out: Step[] = [];
  for (let k = 1; k < order.length; k++) {
    const [a, b] = [order[k - 1]!, order[k]!];
    if (Math.abs(y[a]! - y[b]!) <= 2.2 * slack * top) continue;
    if (out.length === most) return undefined;
    out.push({ low: z[a]!, high: z[b]! });
  }
  return out;
}

/** Where the steps of all groups are, ascending; undefined where they are not the same few. levels: most that there may be. */
export function commonSteps(
  y: readonly Float64Array[],
  z: (g: number) => Float64Array,
  groups: readonly number[],
  levels: number,
  slack: number,
): Brackets | undefined {
  const all: Step[] = [];
  let strange = 0;
  for (const [i, g] of groups.entries()) {
    const steps = stepsOf(y[g]!, z(g), slack, levels - 1);
    if (steps) all.push(...steps);
    else if (i < 2 || ++strange > 0.15 * groups.length) return undefined;
  }
  all.sort((a, b) => a.high - b.high);
  const low: number[] = [];
  const high: number[] = [];
  for (const step of all) {
    const last = high.length - 1;
    if (last >= 0 && step.low < high[last]!) low[last] = Math.max(low[last]!, step.low);
    else {
      if (high.length === levels - 1) return undefined;
      low.push(step.low);
      high.push(step.high);
    }
  }
  return low.length > 0 ? { low: Float64Array.from(low), high: Float64Array.from(high) } : undefined;
}
