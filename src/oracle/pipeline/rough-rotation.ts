/** A rotation in half precision: codes are right but for values near a boundary, off to either side by one. */
import { cell, distance } from "./evidence.js";
import type { Wire } from "./wire.js";

/** How near, in units of a coordinate's deviation: what seven butterflies in halves leave at most. */
const NEAR = 0.03;

export interface RoughTally {
  groups: number;
  /** False when a code is further off than that. */
  add(wire: Wire, z: Float64Array, codes: Uint8Array): boolean;
  /** Share of groups that it explains; 0 when it is something else. */
  share(): number;
  evidence(): string;
}

export function roughTally(): RoughTally {
  let values = 0;
  let up = 0;
  let down = 0;
  let fitting = 0;
  let widest = 0;
  return {
    groups: 0,
    add(wire, z, codes) {
      this.groups++;
      const limit = NEAR / Math.sqrt(wire.group);
      let good = true;
      for (let i = 0; i < z.length; i++) {
        const due = cell(wire.boundaries, z[i]!, wire.tieDown);
        values++;
        if (due === codes[i]) continue;
        const off = distance(wire.boundaries, z[i]!, codes[i]!);
        if (Math.abs(due - codes[i]!) > 1 || off > limit) good = false;
        else {
          widest = Math.max(widest, off);
          if (codes[i]! > due) up++;
          else down++;
        }
      }
      if (good) fitting++;
      return good;
    },
    share() {
      const flips = up + down;
      const balanced = flips < 8 || (up > flips / 6 && down > flips / 6);
      const beyond = widest > 3e-6;
      return this.groups > 0 &&
        flips > 0 &&
        beyond &&
        balanced &&
        flips < 0.12 * values &&
        fitting > 0.8 * this.groups
        ? fitting / this.groups
        : 0;
    },
    evidence: () =>
      `${up + down} of ${values} codes are off by one, all within ${widest.toExponential(1)} of a boundary, to both sides: the right rotation in half precision`,
  };
}
