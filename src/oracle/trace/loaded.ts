/** A trace with its files read: what was appended, what came back. */
import type { Operation, Side, TraceShape } from "./model.js";

export interface Trace extends TraceShape {
  readonly dim: number;
  readonly kvHeads: number;
  readonly keyFormat: string;
  readonly valueFormat: string;
  readonly ops: readonly Operation[];
}

/** Where one appended token came from. */
export interface Origin {
  readonly seq: string;
  readonly layer: number;
  readonly position: number;
}

export interface Loaded {
  readonly trace: Trace;
  /** As they should be read: (tokens, kvHeads·dim) each. */
  readonly store: Readonly<Record<Side, readonly Float32Array[]>>;
  /** In the rotated basis of the values' format. */
  readonly rotated: Readonly<Record<Side, readonly Float32Array[]>>;
  readonly origins: readonly Origin[];
  /** The operations that are reads. */
  readonly reads: readonly Operation[];
  /** Per read: what the fork gave. */
  readonly given: readonly Readonly<Record<Side, Float32Array>>[];
}

export interface WrongHead {
  readonly side: Side;
  readonly token: number;
  readonly head: number;
}

/** Relative error per head that a decoder's own arithmetic leaves. */
export const LIMIT = 1e-3;

export const near = (
  due: Float32Array,
  from: number,
  given: Float32Array,
  at: number,
  dim: number,
): boolean => {
  let error = 0;
  let size = 0;
  for (let i = 0; i < dim; i++) {
    const a = due[from + i]!;
    const b = given[at + i]!;
    error += (a - b) ** 2;
    size += a * a;
  }
  return error <= LIMIT * LIMIT * size || error === 0;
};

/** Whose value is this? One head's, though the token's other heads may be of elsewhere. */
export function sourceOf(l: Loaded, given: Float32Array, at: number, head: number): string {
  const { dim, kvHeads } = l.trace;
  if (at >= given.length) return "missing";
  let zero = true;
  for (let i = 0; i < dim; i++) zero &&= given[at + i] === 0;
  if (zero) return "zeros";
  for (const rotated of [false, true])
    for (const side of ["keys", "values"] as const)
      for (const [token, vector] of (rotated ? l.rotated : l.store)[side].entries())
        for (let k = 0; k < kvHeads; k++) {
          const h = (head + k) % kvHeads;
          if (!near(vector, h * dim, given, at, dim)) continue;
          const o = l.origins[token]!;
          return `${side} of sequence ${o.seq}, layer ${o.layer}, token ${o.position}${rotated ? ", still rotated" : `, head ${h}`}`;
        }
  return "nothing that was ever appended";
}
