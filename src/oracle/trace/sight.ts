/**
 * What a fork's reads are made of: every vector that was given is looked up among all that were appended, once, so that
 * thousands of hypotheses are compared as numbers.
 */
import { LIMIT, type Loaded, near } from "./loaded.js";
import type { Side } from "./model.js";
import type { Source } from "./reading.js";

/** A token of one side, plain or rotated, as one number. */
const label = (token: number, side: Side, rotated: boolean): number =>
  4 * token + (side === "values" ? 1 : 0) + (rotated ? 2 : 0);

/** What a label stands for; undefined: zeros, or nothing that was appended. */
export function labelled(
  what: number,
): { readonly token: number; readonly side: Side; readonly rotated: boolean } | undefined {
  if (what < 0) return undefined;
  return { token: what >> 2, side: what & 1 ? "values" : "keys", rotated: (what & 2) !== 0 };
}

export const ZERO = -1;
export const UNKNOWN = -2;

/** Vectors in the order of one projection: those that are near another are near it there too. */
class Index {
  readonly #direction: Float64Array;
  readonly #entries: { readonly at: number; readonly what: number; readonly vector: Float32Array }[] = [];
  readonly #dim: number;

  constructor(l: Loaded) {
    this.#dim = l.trace.dim;
    const row = l.trace.kvHeads * l.trace.dim;
    // Any direction will do; the golden ratio's multiples repeat in no dimension.
    this.#direction = Float64Array.from({ length: row }, (_, i) => ((i + 1) * 0.6180339887498949) % 1);
    let size = 0;
    for (const v of this.#direction) size += v * v;
    this.#direction.forEach((v, i) => {
      this.#direction[i] = v / Math.sqrt(size);
    });
    for (const rotated of [false, true])
      for (const side of ["keys", "values"] as const)
        for (const [token, vector] of (rotated ? l.rotated : l.store)[side].entries())
          this.#entries.push({
            at: this.#project(vector, 0).at,
            what: label(token, side, rotated),
            vector,
          });
    this.#entries.sort((a, b) => a.at - b.at || a.what - b.what);
  }

  #project(x: Float32Array, from: number): { at: number; size: number } {
    let at = 0;
    let size = 0;
    for (let i = 0; i < this.#direction.length; i++) {
      const v = x[from + i]!;
      at += v * this.#direction[i]!;
      size += v * v;
    }
    return { at, size: Math.sqrt(size) };
  }

  /** The first that was appended of those that are near. */
  find(x: Float32Array, from: number): number {
    const { at, size } = this.#project(x, from);
    if (size === 0) return ZERO;
    const reach = 1.01 * LIMIT * size;
    let low = 0;
    let high = this.#entries.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#entries[middle]!.at < at - reach) low = middle + 1;
      else high = middle;
    }
    let best = UNKNOWN;
    for (; low < this.#entries.length && this.#entries[low]!.at <= at + reach; low++) {
      const { what, vector } = this.#entries[low]!;
      if (best !== UNKNOWN && rank(what) > rank(best)) continue;
      let alike = true;
      for (let h = 0; alike && h < vector.length; h += this.#dim)
        alike = near(vector, h, x, from + h, this.#dim);
      if (alike) best = what;
    }
    return best;
  }
}

/** Plain ones before rotated ones, then in order. */
const rank = (what: number): number => (what & 2 ? 2 ** 32 : 0) + what;

/** Everything that was given, looked up. */
export class Sight {
  /** Per read and side: a label for every token given. */
  readonly given: readonly Readonly<Record<Side, Int32Array>>[];
  /** Labels of vectors that are alike are one. */
  readonly #same: Int32Array;
  readonly #lengths: Readonly<Record<Side, Float64Array>>;
  readonly #givenLengths: readonly Readonly<Record<Side, Float64Array>>[];
  readonly #kvHeads: number;
  /** Per token: its slot in a page. */
  readonly #slots: Int32Array;

  constructor(l: Loaded) {
    const { dim, kvHeads } = l.trace;
    const row = dim * kvHeads;
    const index = new Index(l);
    this.#kvHeads = kvHeads;
    this.#slots = Int32Array.from(l.origins, (o) => o.position % l.trace.pageSize);
    this.#same = new Int32Array(4 * l.origins.length).fill(UNKNOWN);
    for (const rotated of [false, true])
      for (const side of ["keys", "values"] as const)
        for (const [token, vector] of (rotated ? l.rotated : l.store)[side].entries())
          this.#same[label(token, side, rotated)] = index.find(vector, 0);
    const lengths = (x: Float32Array): number[] => {
      const out: number[] = [];
      for (let at = 0; at < x.length; at += dim) {
        let size = 0;
        for (let i = at; i < at + dim; i++) size += x[i]! * x[i]!;
        out.push(size);
      }
      return out;
    };
    const bySide = <T>(make: (side: Side) => T): Record<Side, T> => ({
      keys: make("keys"),
      values: make("values"),
    });
    this.#lengths = bySide((side) => Float64Array.from(l.store[side].flatMap(lengths)));
    this.#givenLengths = l.given.map((g) => bySide((side) => Float64Array.from(lengths(g[side]))));
    this.given = l.given.map((g) =>
      bySide((side) =>
        Int32Array.from({ length: g[side].length / row }, (_, t) => index.find(g[side], t * row)),
      ),
    );
  }

  /** Whether a read's token t is this one (−1: zeros). */
  is(read: number, side: Side, t: number, token: number, { side: of, form }: Source): boolean {
    const got = this.given[read]![side][t]!;
    if (token < 0 || form === "zero") return got === ZERO;
    if (form !== "turned") return got === this.#same[label(token, of, form === "rotated")];
    const given = this.#givenLengths[read]![side];
    const due = this.#lengths[of];
    for (let h = 0; h < this.#kvHeads; h++) {
      const size = due[token * this.#kvHeads + h]!;
      if (Math.abs(given[t * this.#kvHeads + h]! - size) > 2 * LIMIT * size) return false;
    }
    return true;
  }

  /** Whether a read's token t may be what lay in this slot of a page before. */
  isRest(read: number, side: Side, t: number, slot: number, { side: of, form }: Source): boolean {
    const what = this.given[read]![side][t]!;
    if (what === ZERO) return true;
    const got = labelled(what);
    if (!got) return form === "turned";
    return got.side === of && got.rotated === (form === "rotated") && this.#slots[got.token] === slot;
  }
}
