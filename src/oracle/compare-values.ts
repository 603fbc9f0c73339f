/** Decoded values against the format's own, with what real backends may differ in. */
import { type Comparison, referenceBytes } from "./compare-packed.js";
import { distance, FLIP_LIMIT, groupsOf, NOISE, transformed } from "./pipeline/evidence.js";
import { trueRotation } from "./pipeline/transforms.js";
import type { Wire } from "./pipeline/wire.js";
import { openChoices } from "./sketch/parts.js";

/** One half ulp of a norm, as a ratio. */
const HALF_STEP = 2 ** -10 * 1.01;

/** Values in the rotated basis, from the original one. */
function turned(wire: Wire, y: Float32Array): Float32Array {
  const out = new Float32Array(y.length);
  const part = new Float64Array(wire.group);
  for (let at = 0; at < y.length; at += wire.group) {
    part.set(y.subarray(at, at + wire.group));
    trueRotation(wire, part);
    out.set(part, at);
  }
  return out;
}

/**
 * Values against the format's own, (n, width) both. In which basis ONNX Runtime and vLLM would hand values over the
 * specification leaves open: either will do. vLLM gives halves, whose last place depends on the order of its sums, as do
 * the last places of what a decoder has turned back.
 */
export function compareValues(
  wire: Wire | undefined,
  { rotated, family }: { readonly rotated: boolean; readonly family: string },
  x: Float32Array,
  due: Float32Array,
  decoded: Float32Array,
  width: number,
): Comparison {
  const step = family === "vllm" ? HALF_STEP : 0;
  if (wire && !rotated && !wire.sketch) return compareTurned(wire, x, due, decoded);
  const turnedBack = !rotated && ["turboquant", "polarquant", "llama"].includes(family);
  const rounding = turnedBack ? TURNED_BACK : 0;
  const c = compareIn(wire, rotated, x, due, decoded, width, { rounding, step });
  if (c.faulty && wire?.sketch) return sketchedOtherwise(wire, c, x, due, decoded) ?? c;
  if (!c.faulty || !wire || !rotated || wire.name.startsWith("llama")) return c;
  const other = compareIn(wire, rotated, x, due, turned(wire, decoded), width, { rounding: 4e-5, step });
  return other.faulty ? c : other;
}

/**
 * Vectors that differ where a code or a sign may fall either way, and are as near to what they stand for as is due: a sketch
 * of another residual, of the same quality. Undefined where any other differs.
 */
function sketchedOtherwise(
  wire: Wire,
  c: Comparison,
  x: Float32Array,
  due: Float32Array,
  decoded: Float32Array,
): Comparison | undefined {
  const { dim, group, groups } = wire;
  if (c.wrong.length > due.length / dim / 4) return undefined;
  const ref = referenceBytes(wire.name, dim, x, { side: "key", seed: wire.seed ?? 0 });
  const all = groupsOf(wire, x);
  let open = 0;
  for (const v of c.wrong) {
    let mine = 0;
    for (let g = v * groups; g < (v + 1) * groups; g++)
      mine += openChoices(wire, all.x[g]!, ref, g * wire.groupBytes);
    let [own, given] = [0, 0];
    for (let i = v * dim; i < (v + 1) * dim; i++) {
      own += (due[i]! - x[i]!) ** 2;
      given += (decoded[i]! - x[i]!) ** 2;
    }
    if (mine === 0 || !(given < 2 * own + 1e-12 * group)) return undefined;
    open += mine;
  }
  return { ...c, faulty: false, first: null, wrong: [], boundaryFlips: c.boundaryFlips + open };
}

/** Values in the original basis, (n, dim), compared in the rotated one, where they are levels. */
export const compareTurned = (
  wire: Wire,
  x: Float32Array,
  due: Float32Array,
  decoded: Float32Array,
): Comparison =>
  compareIn(wire, true, x, turned(wire, due), turned(wire, decoded), wire.dim, { rounding: TURNED, step: 0 });

/** What the order of sums leaves of a rotated vector, in its largest value. */
const TURNED = 2e-6;
/** What the order of sums leaves of a vector that a decoder turned back, in its largest value. */
const TURNED_BACK = 4e-6;

interface Slack {
  /** Of a vector's largest value: what a change of basis leaves. */
  readonly rounding?: number;
  /** Of each value: its own rounding. */
  readonly step: number;
}

/** Per group: equal; or one half step of the norm; or flips next to a boundary. */
function compareIn(
  wire: Wire | undefined,
  rotated: boolean,
  x: Float32Array,
  due: Float32Array,
  decoded: Float32Array,
  width: number,
  { rounding = 0, step }: Slack,
): Comparison {
  const wrong = new Set<number>();
  let first: Comparison["first"] = null;
  let normUlps = 0;
  let boundaryFlips = 0;
  const group = wire && rotated ? wire.group : Math.min(32, width);
  const perVector = Math.ceil(width / group);
  const z = wire && rotated ? transformed(groupsOf(wire, x)) : undefined;
  const n = due.length / width;
  for (let v = 0; v < n; v++)
    for (let g = 0; g < perVector; g++) {
      const from = v * width + g * group;
      const to = Math.min(from + group, (v + 1) * width);
      let same = true;
      let inStep = true;
      let low = Number.POSITIVE_INFINITY;
      let high = 0;
      let at = -1;
      let slack = 0;
      if (rounding > 0)
        for (let i = v * width; i < (v + 1) * width; i++)
          slack = Math.max(slack, rounding * Math.abs(due[i]!));
      for (let i = from; i < to; i++) {
        const a = due[i]!;
        const b = Math.abs(decoded[i]! - a) <= slack ? a : decoded[i]!;
        if (Object.is(a, b) || a === b || (Number.isNaN(a) && Number.isNaN(b))) {
          if (a !== 0 && Number.isFinite(a)) {
            low = Math.min(low, 1);
            high = Math.max(high, 1);
          }
          continue;
        }
        same = false;
        const ratio = b / a;
        const tiny = step > 0 && Math.abs(b - a) <= 2 ** -24;
        if (
          tiny ||
          (Math.abs(a) > 6e-5 && Number.isFinite(ratio) && Math.abs(ratio - 1) <= HALF_STEP + step)
        ) {
          if (tiny) continue;
          low = Math.min(low, ratio);
          high = Math.max(high, ratio);
        } else if (at < 0) {
          inStep = false;
          at = i;
        }
      }
      if (same) continue;
      if (inStep && high - low <= 1e-6 + 40 * rounding + 2 * step) {
        normUlps++;
        continue;
      }
      if (inStep && at < 0) for (let i = from; i < to && at < 0; i++) if (due[i] !== decoded[i]) at = i;
      const flips =
        wire && z
          ? flipsOf(wire, z[v * perVector + g]!, due.subarray(from, to), decoded.subarray(from, to), step)
          : 0;
      if (flips > 0) {
        boundaryFlips += flips;
        continue;
      }
      wrong.add(v);
      first ??= {
        vector: v,
        field: "value",
        coordinate: at - v * width,
        byte: null,
        expected: due[at]!,
        actual: decoded[at]!,
      };
    }
  return {
    first,
    faulty: wrong.size > 0,
    normUlps,
    boundaryFlips,
    wrong: [...wrong],
    ties: { flipped: 0, kept: 1, others: 1 },
  };
}

/** How many coordinates took a neighbouring cell within the tolerance; 0 when anything else differs. */
function flipsOf(
  wire: Wire,
  z: Float64Array,
  due: Float32Array,
  decoded: Float32Array,
  step: number,
): number {
  const { boundaries, centroids } = wire;
  let chosen = 0;
  let actual = 0;
  const codes = new Uint8Array(z.length);
  let flips = 0;
  for (let i = 0; i < z.length; i++) {
    let best = 0;
    let near = Number.POSITIVE_INFINITY;
    for (let k = 0; k < centroids.length; k++) {
      const d = distance(boundaries, z[i]!, k);
      if (d > FLIP_LIMIT + NOISE) continue;
      const mis = Math.abs(
        decoded[i]! / (Math.abs(due[i]!) || 1) -
          centroids[k]! / Math.max(1e-12, Math.abs(nearestCentroid(wire, z[i]!))),
      );
      if (mis < near) {
        near = mis;
        best = k;
      }
    }
    codes[i] = best;
    if (near > 0.05) return 0;
    if (centroids[best] !== nearestCentroid(wire, z[i]!)) flips++;
    chosen += centroids[best]! ** 2;
    actual += decoded[i]! ** 2;
  }
  const scale = Math.sqrt(actual / chosen);
  for (let i = 0; i < z.length; i++)
    if (
      Math.abs(decoded[i]! - scale * centroids[codes[i]!]!) >
      (1e-4 + 1.2 * step) * Math.abs(decoded[i]!) + 1e-12
    )
      return 0;
  // The format's own code may be the one that f64 would not choose; values of another scale alone are no flip.
  const moved = due.reduce((n, v, i) => n + (Math.abs(decoded[i]! - v) > 0.05 * Math.abs(v) ? 1 : 0), 0);
  return moved < z.length / 8 ? Math.max(flips, moved) : 0;
}

function nearestCentroid(wire: Wire, z: number): number {
  let k = 0;
  while (k < wire.boundaries.length && (wire.tieDown ? wire.boundaries[k]! < z : !(z < wire.boundaries[k]!)))
    k++;
  return wire.centroids[k]!;
}
