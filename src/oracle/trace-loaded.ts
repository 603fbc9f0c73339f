/** A trace with its files read: what was appended, and whose a value is. */
import type { Operation, Side, TraceShape } from "./trace-model.js";

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
  readonly store: Record<Side, Float32Array[]>;
  /** Values in the rotated basis. */
  readonly rotated: Float32Array[];
  readonly origins: Origin[];
  /** Per read: what the fork gave. */
  readonly given: { keys: Float32Array; values: Float32Array }[];
}

/** Whether a head that was given is that of a token: every hypothesis asks, the answer is kept. */
export class Likeness {
  readonly #known = new Map<string, Map<number, boolean>>();

  of(place: string, what: number, compare: () => boolean): boolean {
    let answers = this.#known.get(place);
    if (!answers) this.#known.set(place, (answers = new Map()));
    let answer = answers.get(what);
    if (answer === undefined) answers.set(what, (answer = compare()));
    return answer;
  }
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

/** As long as what is due, whatever its direction. */
export function asLong(
  due: Float32Array,
  from: number,
  given: Float32Array,
  at: number,
  dim: number,
): boolean {
  let size = 0;
  let got = 0;
  for (let i = 0; i < dim; i++) {
    size += due[from + i]! ** 2;
    got += given[at + i]! ** 2;
  }
  return Math.abs(got - size) <= 2 * LIMIT * size;
}

/** Whose value is this? */
export function sourceOf(l: Loaded, given: Float32Array, at: number, head: number): string {
  const { dim, kvHeads } = l.trace;
  if (at >= given.length) return "missing";
  let zero = true;
  for (let i = 0; i < dim; i++) zero &&= given[at + i] === 0;
  if (zero) return "zeros";
  for (const side of ["keys", "values"] as const)
    for (const [token, vector] of l.store[side].entries())
      for (let k = 0; k < kvHeads; k++) {
        const h = (head + k) % kvHeads;
        if (near(vector, h * dim, given, at, dim)) {
          const o = l.origins[token]!;
          return `${side} of sequence ${o.seq}, layer ${o.layer}, token ${o.position}, head ${h}`;
        }
      }
  for (const [token, vector] of l.rotated.entries())
    if (near(vector, head * dim, given, at, dim))
      return `values of sequence ${l.origins[token]!.seq}, layer ${l.origins[token]!.layer}, token ${l.origins[token]!.position}, still rotated`;
  return "nothing that was ever appended";
}
