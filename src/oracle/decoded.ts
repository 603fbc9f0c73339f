/** Decoded values, in the engine's own basis, against the format's own. */

import { FormatError } from "../core/format-error.js";
import { findFormat } from "../formats/registry.js";
import { advice } from "./advice.js";
import { checklist } from "./checklist.js";
import { valueComparisonOf } from "./compare.js";
import { type Comparison, referenceBytes } from "./compare-packed.js";
import { diagnoseDecoded } from "./decoded/diagnose.js";
import { tiesElsewhere } from "./decoded/ties.js";
import { modelOf } from "./models.js";
import { wireOf } from "./pipeline/wire.js";
import { relatedValues } from "./relatives.js";
import { beyondTail, emptyEnds, emptyTail, throughRemains } from "./remains.js";
import { sketchValueFaults } from "./sketch/values.js";
import { inputKinds, specialFaults } from "./special.js";
import { blockModel } from "./stock/blocks.js";
import { diagnoseDecodedBlocks } from "./stock/decoded.js";
import { type Fault, type FirstDifference, ranked, type Verdict } from "./verdict.js";
import type { VerifyOptions } from "./verify-options.js";

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
  const c = valueComparisonOf(options, width)(input, made.due, decoded);
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
                modelOf(options)?.values ?? wire?.group ?? blockModel(format, side, dim)?.size ?? width,
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
  const found = [...relatedValues(options, decoded), ...swapped(due, decoded, width, n)];
  const block = wire?.group ?? width;
  const ends =
    inner || width % block !== 0
      ? undefined
      : (emptyEnds(due, decoded, block, width) ?? emptyEnds(due, decoded, width, width));
  if (ends)
    found.push(...throughRemains([ends], ({ rest }) => judge(options, { ref, due }, rest, width, true)));
  const tail = inner ? undefined : emptyTail(due, decoded, width);
  if (tail)
    found.push(
      ...throughRemains([tail], ({ to, rest }) => {
        const part = { ...options, input: input.subarray(0, to * dim) };
        const made = { ref: ref.subarray(0, (ref.length / n) * to), due: due.subarray(0, to * width) };
        return judge(part, made, rest, width, true);
      }),
    );
  if (wire && width === wire.groups * wire.group) found.push(...tiesElsewhere(wire, rotated, input, decoded));
  if (found.some((f) => f.explains > 0.99 && !f.id.includes("+"))) return found;
  if (wire?.sketch && width === dim) {
    found.push(...sketchValueFaults({ wire, seed, x: input, ref }, decoded));
    return found;
  }
  const from = n > ENOUGH ? Math.min(wrongAt, n - ENOUGH) : 0;
  const to = Math.min(n, from + ENOUGH);
  const x = input.subarray(from * dim, to * dim);
  const y = decoded.subarray(from * width, to * width);
  const bytes = ref.subarray((ref.length / n) * from, (ref.length / n) * to);
  const codec = findFormat(format).open({ dim, side, seed });
  if (rotated) found.push(...basis(codec, bytes, x, dim, y, width));
  const model = modelOf(options);
  const blocks = wire || model ? undefined : blockModel(format, side, dim);
  if (model) found.push(...model.valueFaults(x, due.subarray(from * width, to * width), y));
  else if (wire) found.push(...diagnoseDecoded(wire, rotated, x, y));
  else if (blocks) found.push(...diagnoseDecodedBlocks(blocks, x, y));
  // Of blocks every pair is tried, whatever the values show of their scales.
  return wire ? besideTruncation(found) : found;
}

/** A fault explains no more alone than beside truncated halves, since a last place is no fault: but they are one. */
function besideTruncation(found: readonly Fault[]): Fault[] {
  const cut = "norm-f16-truncated";
  const beside = found
    .filter((f) => f.explains > 0.97 && f.id.split("+").includes(cut))
    .map((f) =>
      f.id
        .split("+")
        .filter((id) => id !== cut)
        .join("+"),
    );
  return found.map((f) => (f.id && beside.includes(f.id) ? { ...f, explains: f.explains - 0.05 } : f));
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
  let end = decoded.length;
  while (end > 0 && decoded[end - 1] === 0) end--;
  const written = Math.ceil(end / width);
  for (let h = 2; h <= n / 2; h++) {
    if (n % h !== 0) continue;
    const tokens = n / h;
    let same = 0;
    let empty = 0;
    for (let i = 0; i < n; i++) {
      const from = (i % tokens) * h + Math.floor(i / tokens);
      if (i >= written && due.subarray(from * width, (from + 1) * width).some((v) => v !== 0)) {
        empty++;
        continue;
      }
      let equal = true;
      for (let k = 0; k < width && equal; k++)
        equal = nearly(due[from * width + k]!, decoded[i * width + k]!);
      if (equal) same++;
    }
    if (same > 0.9 * (n - empty) && same > 2)
      out.push({
        id: empty ? "pack-tail-dropped+stride-head" : "stride-head",
        explains: same / (n - empty),
        evidence: `${h} heads and ${tokens} tokens exchanged${empty ? `; nothing is written from vector ${written} on` : ""}`,
      });
  }
  return out;
}

const nearly = (a: number, b: number): boolean =>
  a === b || (Number.isNaN(a) && Number.isNaN(b)) || Math.abs(a - b) <= 1e-6 * Math.abs(a);
