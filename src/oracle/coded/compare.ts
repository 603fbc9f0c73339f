/** Bytes and values of a format with a coder against the format's own: exact, within the tolerance, or not. */

import type { Comparison } from "../compare-packed.js";
import { halfSteps } from "../pipeline/evidence.js";
import type { FirstDifference } from "../verdict.js";
import { type Coder, lengthOf, turnedBy } from "./coded.js";

/** What the order of sums leaves of a unit that a decoder turned back, in its length. */
const ROUNDING = 2e-6;
/** One half step of a scale, as a ratio. */
const STEP = 2 ** -10 * 1.01;

interface Tally {
  wrong: Set<number>;
  first: FirstDifference | null;
  normUlps: number;
  boundaryFlips: number;
}

const done = (t: Tally): Comparison => ({
  first: t.first,
  faulty: t.wrong.size > 0,
  normUlps: t.normUlps,
  boundaryFlips: t.boundaryFlips,
  wrong: [...t.wrong],
  ties: { flipped: 0, kept: 1, others: 1 },
});

const unitAt = (coder: Coder, x: Float32Array, u: number): Float64Array =>
  Float64Array.from(x.subarray(u * coder.values, (u + 1) * coder.values));

/** x: (n, dim); perVector: units of a vector. */
export function compareCoded(
  coder: Coder,
  perVector: number,
  x: Float32Array,
  ref: Uint8Array,
  packed: Uint8Array,
): Comparison {
  const { bytes } = coder;
  const own = coder.packings[0]!;
  const t: Tally = { wrong: new Set(), first: null, normUlps: 0, boundaryFlips: 0 };
  for (let u = 0; u * bytes < ref.length; u++) {
    const at = u * bytes;
    let byte = 0;
    while (byte < bytes && ref[at + byte] === packed[at + byte]) byte++;
    if (byte === bytes) continue;
    const vector = Math.floor(u / perVector);
    const fail = (field: string, expected: number, actual: number): void => {
      t.wrong.add(vector);
      t.first ??= { vector, field, coordinate: null, byte: (u % perVector) * bytes + byte, expected, actual };
    };
    const [due, given] = [own.read(ref, at), own.read(packed, at)];
    if (due.some((k, i) => k !== given[i])) {
      const flips = coder.flips(unitAt(coder, x, u), due, given);
      if (flips === undefined) {
        fail("code", ref[at + byte]!, packed[at + byte]!);
        continue;
      }
      t.boundaryFlips += flips;
    }
    const [norms, stored] = [coder.scales(ref, at), coder.scales(packed, at)];
    for (const [p, actual] of stored.entries()) {
      const steps = halfSteps(actual, norms[p]!);
      if (steps === 0) continue;
      if (steps <= 1 && Number.isFinite(actual) === Number.isFinite(norms[p]!)) t.normUlps++;
      else fail("norm", norms[p]!, actual);
    }
  }
  return done(t);
}

/** due, decoded: (n, dim), in the original basis. */
export function compareCodedValues(
  coder: Coder,
  perVector: number,
  x: Float32Array,
  due: Float32Array,
  decoded: Float32Array,
): Comparison {
  const { values } = coder;
  const turn = coder.views[0]!;
  const t: Tally = { wrong: new Set(), first: null, normUlps: 0, boundaryFlips: 0 };
  for (let from = 0, u = 0; from < due.length; from += values, u++) {
    let at = from;
    while (at < from + values && (Object.is(due[at], decoded[at]) || due[at] === decoded[at])) at++;
    if (at === from + values) continue;
    const [a, b] = [unitAt(coder, due, u), unitAt(coder, decoded, u)];
    const size = lengthOf(a);
    if (b.every((v, i) => Math.abs(v - a[i]!) <= ROUNDING * size)) continue;
    const vector = Math.floor(u / perVector);
    const [za, zb] = [turn.run(a, 1), turn.run(b, 1)];
    let steps = 0;
    const wrong: number[] = [];
    for (let p = 0; p < values; p += coder.part) {
      const [pa, pb] = [za.subarray(p, p + coder.part), zb.subarray(p, p + coder.part)];
      if (alike(pa, pb, 1, size)) continue;
      const ratio = lengthOf(pb) / (lengthOf(pa) || 1);
      if (Math.abs(ratio - 1) <= STEP && alike(pa, pb, ratio, size)) steps++;
      else wrong.push(p);
    }
    if (wrong.length > 0) {
      const flips = flipped(coder, unitAt(coder, x, u), zb);
      if (flips === undefined) {
        t.wrong.add(vector);
        t.first ??= {
          vector,
          field: "value",
          coordinate: at - vector * perVector * values,
          byte: null,
          expected: due[at]!,
          actual: decoded[at]!,
        };
        continue;
      }
      t.boundaryFlips += flips;
    }
    t.normUlps += steps;
  }
  return done(t);
}

const alike = (a: Float64Array, b: Float64Array, ratio: number, size: number): boolean =>
  a.every((v, i) => Math.abs(v * ratio - b[i]!) <= ROUNDING * size);

/** Values of codes that lie next to the true ones, with the scales that go with them; undefined where they are not. */
function flipped(coder: Coder, x: Float64Array, z: Float64Array): number | undefined {
  const norm = lengthOf(x);
  const due = coder.quantisers[0]!.code(turnedBy(coder, coder.turns[0]!, x, norm), norm);

  const given = coder.nearest(z, due);
  if (!given) return undefined;
  const flips = coder.flips(x, due.codes, given);
  if (!flips) return undefined;
  const levels = coder.levels(given);
  for (let p = 0, k = 0; p < z.length; p += coder.part, k++) {
    const l = levels.subarray(p, p + coder.part);
    const y = z.subarray(p, p + coder.part);
    let yl = 0;
    for (let i = 0; i < l.length; i++) yl += y[i]! * l[i]!;
    const s = yl / (lengthOf(l) ** 2 || 1);
    // A flip moves the scale by little: twice a step.
    if (!(Math.abs(s / (due.scales[k]! || 1) - 1) < 4 * STEP) || !alike(l, y, s, lengthOf(z)))
      return undefined;
  }
  return flips;
}
