/** Faults that only special inputs show: zeros, NaN, overflow, ties. And bytes that say nothing at all. */
import type { Comparison } from "./compare-packed.js";
import type { Fault } from "./verdict.js";

export interface InputKinds {
  readonly zero: readonly boolean[];
  readonly nonFinite: readonly boolean[];
  /** The stored scale overflows or underflows a half. */
  readonly extreme: readonly boolean[];
}

/** x: (n, dim). */
export function inputKinds(x: Float32Array, dim: number): InputKinds {
  const n = x.length / dim;
  const zero: boolean[] = [];
  const nonFinite: boolean[] = [];
  const extreme: boolean[] = [];
  for (let v = 0; v < n; v++) {
    let sum = 0;
    for (let i = v * dim; i < (v + 1) * dim; i++) sum += x[i]! * x[i]!;
    const norm = Math.sqrt(sum);
    zero.push(norm <= 1e-10);
    nonFinite.push(!Number.isFinite(norm));
    extreme.push(norm > 10_000 || norm < 1e-3);
  }
  return { zero, nonFinite, extreme };
}

/** Faults that explain why exactly these vectors are wrong. */
export function specialFaults(c: Comparison, kinds: InputKinds, vectors: number): Fault[] {
  const out: Fault[] = [];
  if (c.wrong.length === 0 || c.wrong.length === vectors) return out;
  const only = (flags: readonly boolean[]): boolean => c.wrong.every((v) => flags[v]);
  const say = (id: string, what: string): void => {
    out.push({
      id,
      explains: 1,
      evidence: `${c.wrong.length} of ${vectors} vectors differ, all of them ${what}`,
    });
  };
  if (only(kinds.zero)) say("zero-vector", "zero (or of a norm below 1e-10)");
  else if (only(kinds.nonFinite)) say("nan-silent", "with NaN or infinities");
  else if (only(kinds.zero.map((z, i) => z || kinds.extreme[i]! || kinds.nonFinite[i]!)))
    say("overflow-silent", "beyond what a half holds, too large or too small");
  return out;
}

export const tieFault = (c: Comparison): Fault => ({
  id: c.ties.id ?? "boundary-tie",
  explains: 1,
  evidence: c.ties.id
    ? `all ${c.ties.flipped} differences are values exactly between two codes, and each went to the even one`
    : `all ${c.ties.flipped} values that lie exactly on a boundary went to the lower cell, and nothing else differs`,
});
