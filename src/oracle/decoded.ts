/** Decoded values, in the engine's own basis, against the format's own. */
import { FormatError } from "../core/format-error.js";
import { findFormat } from "../formats/registry.js";
import { advice } from "./advice.js";
import { blockModel } from "./blocks.js";
import { type Comparison, referenceBytes } from "./compare-packed.js";
import { diagnoseDecodedBlocks } from "./decoded-blocks.js";
import { diagnoseDecoded } from "./diagnose-decoded.js";
import { distance, FLIP_LIMIT, groupsOf, NOISE, transformed } from "./evidence.js";
import { inputKinds, specialFaults } from "./special.js";
import { type Fault, ranked, type Verdict } from "./verdict.js";
import type { VerifyOptions } from "./verify-options.js";
import { type Wire, wireOf } from "./wire.js";

/** One half ulp of a norm, as a ratio. */
const HALF_STEP = 2 ** -10 * 1.01;

export function verifyDecoded(options: VerifyOptions, decoded: Float32Array, width: number): Verdict {
  const { format, dim, input } = options;
  const side = options.side ?? "key";
  const seed = options.seed ?? 0;
  const n = input.length / dim;
  if (decoded.length !== n * width)
    throw new FormatError(
      "BAD_LENGTH",
      `decoded data of ${decoded.length} values: expected ${n * width} (${n} vectors of ${width} values)`,
    );
  const ref = referenceBytes(format, dim, input, { side, seed });
  const due = new Float32Array(n * width);
  const codec = findFormat(format).open({ dim, side, seed });
  codec.decodeNative(ref, due);
  const wire = wireOf(format, dim, seed, side);
  const c = compareValues(wire, findFormat(format).rotated, input, due, decoded, width);
  const checks = advice({ ...options, packed: ref }, ref, c).filter(
    (k) => !["distortion", "cosine", "inner-product-slope"].includes(k.id),
  );
  const model = wire ? undefined : blockModel(format, side, dim);
  let faults: Fault[] = [];
  if (c.faulty || c.normUlps >= 6) {
    const inert = decoded.every((v) => v === 0);
    if (inert) faults = [{ id: "decode-zero", explains: 1, evidence: "every decoded value is zero" }];
    else {
      const special = specialFaults(c, inputKinds(input, dim), n);
      if (special.length > 0) faults = special;
      else {
        const found = wire
          ? diagnoseDecoded(wire, findFormat(format).rotated, input, decoded)
          : model
            ? diagnoseDecodedBlocks(model, input, ref, decoded)
            : [];
        faults = ranked([
          ...swapped(due, decoded, width, n),
          ...(findFormat(format).rotated ? basis(codec, ref, input, dim, decoded, width) : []),
          ...found,
        ]).filter((f) => f.explains > 0.25);
      }
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
  return {
    format,
    dim,
    vectors: n,
    verdict: faulty ? "faulty" : c.normUlps + c.boundaryFlips > 0 ? "tolerated" : "exact",
    first:
      c.first ??
      (faulty
        ? { vector: 0, field: "value", coordinate: null, byte: null, expected: null, actual: null }
        : null),
    tolerated: { normUlps: c.normUlps, boundaryFlips: c.boundaryFlips },
    faults,
    checks,
  };
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

/** Per group: equal; or one half step of the norm; or flips next to a boundary. */
export function compareValues(
  wire: Wire | undefined,
  rotated: boolean,
  x: Float32Array,
  due: Float32Array,
  decoded: Float32Array,
  width: number,
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
      for (let i = from; i < to; i++) {
        const a = due[i]!;
        const b = decoded[i]!;
        if (Object.is(a, b) || a === b || (Number.isNaN(a) && Number.isNaN(b))) {
          if (a !== 0 && Number.isFinite(a)) {
            low = Math.min(low, 1);
            high = Math.max(high, 1);
          }
          continue;
        }
        same = false;
        const ratio = b / a;
        if (Math.abs(a) > 6e-5 && Number.isFinite(ratio) && Math.abs(ratio - 1) <= HALF_STEP) {
          low = Math.min(low, ratio);
          high = Math.max(high, ratio);
        } else if (at < 0) {
          inStep = false;
          at = i;
        }
      }
      if (same) continue;
      if (inStep && high - low <= 1e-6) {
        normUlps++;
        continue;
      }
      if (inStep && at < 0) for (let i = from; i < to && at < 0; i++) if (due[i] !== decoded[i]) at = i;
      const flips =
        wire && z
          ? flipsOf(wire, z[v * perVector + g]!, due.subarray(from, to), decoded.subarray(from, to))
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
function flipsOf(wire: Wire, z: Float64Array, due: Float32Array, decoded: Float32Array): number {
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
    if (Math.abs(decoded[i]! - scale * centroids[codes[i]!]!) > 1e-4 * Math.abs(decoded[i]!) + 1e-12)
      return 0;
  return flips;
}

function nearestCentroid(wire: Wire, z: number): number {
  let k = 0;
  while (k < wire.boundaries.length && (wire.tieDown ? wire.boundaries[k]! < z : !(z < wire.boundaries[k]!)))
    k++;
  return wire.centroids[k]!;
}
