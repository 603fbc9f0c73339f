/**
 * The pipeline up to the codes, tried as a whole: order, normalisation and rotation, table, packing. Which decoder made
 * values of the codes is left open; a front fits when the values are a function of its codes.
 */

import { cell } from "../pipeline/evidence.js";
import { type Fault, faultCount } from "../verdict.js";
import { nameFront } from "./naming.js";
import { offCount, partsOf, valuesOf } from "./parts.js";
import type { Search, View } from "./search.js";

const SAMPLE = 6;
/** Fronts that are looked at closely. */
const CLOSELY = 24;

interface Recode {
  readonly id?: string;
  readonly note: string;
  readonly map?: Uint8Array;
}

/** Codes that an encoder's table may have exchanged, doubled or lost. */
function recodes(bits: number): Recode[] {
  const n = 2 ** bits;
  const out: Recode[] = [];
  const add = (id: string, note: string, f: (k: number) => number): void => {
    out.push({ id, note, map: Uint8Array.from({ length: n }, (_, k) => f(k)) });
  };
  for (let a = 0; a < n; a++)
    for (let b = a + 1; b < n; b++)
      add("codebook-order", `codes ${a} and ${b} exchanged`, (k) => (k === a ? b : k === b ? a : k));
  for (let a = 0; a + 1 < n; a++) {
    add("codebook-order", `code ${a + 1} written as ${a}`, (k) => (k === a + 1 ? a : k));
    add("codebook-order", `code ${a} written as ${a + 1}`, (k) => (k === a ? a + 1 : k));
  }
  if (bits > 1) {
    add("codebook-truncated", `codes written & ${n / 2 - 1}`, (k) => k & (n / 2 - 1));
    add("codebook-truncated", `codes clamped to ${n / 2 - 1}`, (k) => Math.min(k, n / 2 - 1));
  }
  return out;
}

/** Everything up to the codes, under the format's own table. */
export function fromFronts(s: Search, view: View): Fault[] {
  const { wire, all, transforms, reads } = s;
  const sample = s.picked
    .filter((g) => view.y[g]!.some((v) => v !== 0 && Number.isFinite(v)))
    .slice(0, SAMPLE);
  if (sample.length < 2) return [];
  const values = valuesOf(view.y[sample[0]!]!, s.slack) - 1;
  const plain: Recode[] = [{ note: "" }];
  const others = recodes(wire.bits);
  const found: Fault[] = [];
  let looked = 0;
  for (const pairs of [false, true]) {
    for (const [o, order] of all.entries())
      for (const [t, transform] of transforms.entries()) {
        const both = view.transform && transform.id === view.transform.id;
        const before = [view.id, order.id, both ? "" : transform.id].filter((id): id is string => !!id);
        if (faultCount(...before) > (pairs ? 2 : 1) || s.budget.spent()) continue;
        const cells = new Map<number, Uint8Array>();
        const cellsOf = (g: number): Uint8Array => {
          let c = cells.get(g);
          if (!c) {
            c = Uint8Array.from(s.rotated(o, t, g), (v) => cell(wire.boundaries, v, wire.tieDown));
            cells.set(g, c);
          }
          return c;
        };
        for (const recode of before.length === 0 && pairs ? [...plain, ...others] : plain)
          for (const reading of reads) {
            const count = faultCount(...before, recode.id, reading.id);
            if (count > 2 || count > 1 !== pairs) continue;
            if (recode.id && (!reading.id || reading.id === recode.id)) continue;
            const codes = (g: number): Uint8Array => {
              const c = cellsOf(g);
              return reading.map(recode.map ? c.map((k) => recode.map![k]!) : c.slice());
            };
            // Few values are a function of anything: only few codes are told by them.
            if (reading.id !== "pack-zero" && new Set(codes(sample[0]!)).size > 4 * values) continue;
            // Exchanged when written and again when read: nothing.
            if (recode.id && sample.every((g) => codes(g).every((k, i) => k === cellsOf(g)[i]))) continue;
            if (!fits(view, sample, codes, s.slack)) continue;
            if (++looked > CLOSELY) return found;
            const parts = partsOf(view.y, codes, s.picked, wire.centroids.length, s.slack);
            if (!parts) continue;
            const ids = [...before, recode.id, reading.id].filter((id): id is string => !!id);
            const { boundaries, centroids } = wire;
            const notes = [view.note, order.note, transform.note, recode.note, reading.note];
            const share = parts.fitting.length / heard(view, s.picked);
            found.push(
              ...nameFront(
                s,
                {
                  ids,
                  notes,
                  o,
                  t,
                  boundaries,
                  centroids,
                  relabels: reading.relabels === true || recode.id !== undefined,
                },
                view.y,
                parts,
                share,
              ).map((f) => ({
                ...f,
                // Exchanged codes are what a packing may do, too.
                explains: recode.id ? f.explains - 0.004 : f.explains,
              })),
            );
          }
      }
    if (found.some((f) => f.explains > 0.97)) break;
  }
  return found;
}

/** Groups that say anything. */
export const heard = (view: View, picked: readonly number[]): number =>
  Math.max(
    1,
    picked.filter((g) => view.y[g]!.every(Number.isFinite) && view.y[g]!.some((v) => v !== 0)).length,
  );

/** Codes next to a boundary may be off, one or two of all. */
export function fits(
  view: View,
  sample: readonly number[],
  codes: (g: number) => Uint8Array,
  slack: number,
): boolean {
  let bad = 0;
  let off = 0;
  for (const [i, g] of sample.entries()) {
    const here = offCount(view.y[g]!, codes(g), slack, 2);
    if (here > 2 && (i === 0 || ++bad > 1)) return false;
    if (here <= 2) off += here;
  }
  return off <= 3;
}
