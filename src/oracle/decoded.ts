/** Decoded values, in the engine's own basis, against the format's own. */

import { FormatError } from "../core/format-error.js";
import { findFormat } from "../formats/registry.js";
import { advice } from "./advice.js";
import { blockModel } from "./blocks.js";
import { checklist } from "./checklist.js";
import { type Comparison, referenceBytes } from "./compare-packed.js";
import { diagnoseDecodedBlocks } from "./decoded-blocks.js";
import { diagnoseDecoded } from "./diagnose-decoded.js";
import { distance, FLIP_LIMIT, groupsOf, NOISE, transformed } from "./evidence.js";
import { relatedValues } from "./relatives.js";
import { beyondTail, emptyTail, throughRemains } from "./remains.js";
import { sketchValueFaults } from "./sketch-faults.js";
import { inputKinds, specialFaults } from "./special.js";
import { trueRotation } from "./transforms.js";
import { type Fault, type FirstDifference, ranked, type Verdict } from "./verdict.js";
import type { VerifyOptions } from "./verify-options.js";
import { type Wire, wireOf } from "./wire.js";

/** One half ulp of a norm, as a ratio. */
const HALF_STEP = 2 ** -10 * 1.01;

export function verifyDecoded(options: VerifyOptions, decoded: Float32Array, width: number): Verdict {
  const { format, dim, input } = options;
  const n = input.length / dim;
  if (decoded.length !== n * width)
    throw new FormatError(
      "BAD_LENGTH",
      `decoded data of ${decoded.length} values: expected ${n * width} (${n} vectors of ${width} values)`,
    );
  const made = definition(options, width);
  const { c, faults } = judge(options, made, decoded, width);
  const faulty = c.faulty || faults.length > 0;
  const checks = [
    ...advice({ ...options, packed: made.ref }, made.ref, c).filter(
      (k) => !["distortion", "cosine", "inner-product-slope"].includes(k.id),
    ),
    ...checklist(options, { faults, faulty, evidence: "decoded" }),
  ];
  return {
    format,
    dim,
    vectors: n,
    verdict: faulty ? "faulty" : c.normUlps + c.boundaryFlips > 0 ? "tolerated" : "exact",
    first: c.first ?? (faulty ? firstValue(made.due, decoded, width) : null),
    tolerated: { normUlps: c.normUlps, boundaryFlips: c.boundaryFlips },
    faults,
    checks,
  };
}

/** Where vectors that pass one by one are a fault together: the first value that is another. */
function firstValue(due: Float32Array, decoded: Float32Array, width: number): FirstDifference {
  const at = decoded.findIndex((value, i) => !Object.is(value, due[i]));
  const [vector, coordinate] = [Math.floor(at / width), at % width];
  return { vector, field: "value", coordinate, byte: null, expected: due[at]!, actual: decoded[at]! };
}

interface Definition {
  /** The format's own bytes of the input, and what its decoder makes of them, (n, width). */
  readonly ref: Uint8Array;
  readonly due: Float32Array;
}

function definition(options: VerifyOptions, width: number): Definition {
  const { format, dim, input, side = "key", seed = 0 } = options;
  const ref = referenceBytes(format, dim, input, { side, seed });
  const due = new Float32Array((input.length / dim) * width);
  findFormat(format).open({ dim, side, seed }).decodeNative(ref, due);
  return { ref, due };
}

/** inner: what is left of values that end too early. */
function judge(
  options: VerifyOptions,
  made: Definition,
  decoded: Float32Array,
  width: number,
  inner = false,
): { c: Comparison; faulty: boolean; faults: Fault[] } {
  const { format, dim, input, side = "key", seed = 0 } = options;
  const n = input.length / dim;
  const wire = wireOf(format, dim, seed, side);
  const { rotated, family } = findFormat(format);
  const c = compareValues(wire, { rotated, family }, input, made.due, decoded, width);
  let faults: Fault[] = [];
  if (c.faulty || c.normUlps >= 6) {
    if (decoded.every((v) => v === 0))
      faults = [{ id: "decode-zero", explains: 1, evidence: "every decoded value is zero" }];
    else {
      const special = specialFaults(c, inputKinds(input, dim), n);
      faults =
        special.length > 0
          ? special
          : ranked(
              beyondTail(
                diagnosed(options, made, decoded, width, c.first?.vector ?? 0, inner),
                made.due,
                decoded,
                wire?.group ?? blockModel(format, side, dim)?.size ?? width,
              ),
            ).filter((f) => f.explains > 0.25);
    }
    if (!c.faulty) faults = faults.filter((f) => f.id === "norm-f16-truncated" && f.explains > 0.8);
  }
  const faulty = c.faulty || faults.length > 0;
  if (faulty && faults.length === 0)
    faults = [
      {
        id: "unknown",
        explains: 0,
        evidence: `${c.wrong.length} of ${n} vectors differ; no fault of the catalogue reproduces them`,
      },
    ];
  return { c, faulty, faults };
}

/** Vectors that a diagnosis looks at: more tell no more. */
const ENOUGH = 4096;

function diagnosed(
  options: VerifyOptions,
  { ref, due }: Definition,
  decoded: Float32Array,
  width: number,
  wrongAt: number,
  inner: boolean,
): Fault[] {
  const { format, dim, input, side = "key", seed = 0 } = options;
  const n = input.length / dim;
  const wire = wireOf(format, dim, seed, side);
  const { rotated } = findFormat(format);
  if (wire?.sketch && width === dim) {
    const sketched = sketchValueFaults({ wire, seed, x: input, ref }, decoded);
    if (sketched.some((f) => f.explains > 0.99)) return sketched;
  }
  const found = [...relatedValues(options, decoded), ...swapped(due, decoded, width, n)];
  const tail = inner ? undefined : emptyTail(due, decoded, width);
  if (tail)
    found.push(
      ...throughRemains([tail], ({ to, rest }) => {
        const part = { ...options, input: input.subarray(0, to * dim) };
        const made = { ref: ref.subarray(0, (ref.length / n) * to), due: due.subarray(0, to * width) };
        return judge(part, made, rest, width, true);
      }),
    );
  if (found.some((f) => f.explains > 0.99 && !f.id.includes("+"))) return found;
  const from = n > ENOUGH ? Math.min(wrongAt, n - ENOUGH) : 0;
  const to = Math.min(n, from + ENOUGH);
  const x = input.subarray(from * dim, to * dim);
  const y = decoded.subarray(from * width, to * width);
  const bytes = ref.subarray((ref.length / n) * from, (ref.length / n) * to);
  const codec = findFormat(format).open({ dim, side, seed });
  if (rotated) found.push(...basis(codec, bytes, x, dim, y, width));
  const model = wire ? undefined : blockModel(format, side, dim);
  if (wire) found.push(...diagnoseDecoded(wire, rotated, x, y));
  else if (model) found.push(...diagnoseDecodedBlocks(model, x, y));
  return found;
}

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

/** Decoded to the original basis where the engine's stays rotated: compared in the wrong basis. */
function basis(
  codec: { decode(b: Uint8Array, out: Float32Array): void },
  ref: Uint8Array,
  input: Float32Array,
  dim: number,
  decoded: Float32Array,
  width: number,
): Fault[] {
  const plain = new Float32Array(input.length);
  codec.decode(ref, plain);
  let close = 0;
  const n = input.length / dim;
  for (let v = 0; v < n; v++) {
    let error = 0;
    let size = 0;
    for (let i = 0; i < dim; i++) {
      const a = plain[v * dim + i]!;
      error += (a - decoded[v * width + i]!) ** 2;
      size += a * a;
    }
    if (error <= 1e-6 * size || !Number.isFinite(size)) close++;
  }
  return [
    {
      id: "test-basis",
      explains: close / n,
      evidence: `${close} of ${n} vectors are right in the original basis: un-rotated where the engine's values stay rotated`,
    },
  ];
}

function swapped(due: Float32Array, decoded: Float32Array, width: number, n: number): Fault[] {
  const out: Fault[] = [];
  for (let h = 2; h <= n / 2; h++) {
    if (n % h !== 0) continue;
    const tokens = n / h;
    let same = 0;
    for (let i = 0; i < n; i++) {
      const from = (i % tokens) * h + Math.floor(i / tokens);
      let equal = true;
      for (let k = 0; k < width && equal; k++)
        equal = nearly(due[from * width + k]!, decoded[i * width + k]!);
      if (equal) same++;
    }
    if (same > 0.9 * n)
      out.push({
        id: "stride-head",
        explains: same / n,
        evidence: `${h} heads and ${tokens} tokens exchanged`,
      });
  }
  return out;
}

const nearly = (a: number, b: number): boolean =>
  a === b || (Number.isNaN(a) && Number.isNaN(b)) || Math.abs(a - b) <= 1e-6 * Math.abs(a);

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
  const turnedBack = !rotated && ["turboquant", "polarquant", "llama"].includes(family);
  const rounding = turnedBack ? TURNED_BACK : 0;
  const c = compareIn(wire, rotated, x, due, decoded, width, { rounding, step });
  if (!c.faulty || !wire || !rotated || wire.name.startsWith("llama")) return c;
  const other = compareIn(wire, rotated, x, due, turned(wire, decoded), width, { rounding: 4e-5, step });
  return other.faulty ? c : other;
}

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
