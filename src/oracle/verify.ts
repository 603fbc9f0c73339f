/** `verify`: inputs and what a fork made of them → a verdict. */
import { FormatError } from "../core/format-error.js";
import { findFormat } from "../formats/registry.js";
import { advice } from "./advice.js";
import { type Budget, budgetOf, SEARCH_TIME } from "./budget.js";
import { checklist } from "./checklist.js";
import { comparisonOf } from "./compare.js";
import { type Comparison, referenceBytes } from "./compare-packed.js";
import { verifyDecoded } from "./decoded.js";
import { geometryFaults } from "./geometry.js";
import { modelOf } from "./models.js";
import { diagnosePacked } from "./packed/diagnose.js";
import { wireOf } from "./pipeline/wire.js";
import { relatedBytes } from "./relatives.js";
import { beyondTail, remainsOf, throughRemains } from "./remains.js";
import { besideSketch, sketchFaults } from "./sketch/faults.js";
import { inputKinds, specialFaults, tieFault } from "./special.js";
import { blockModel } from "./stock/blocks.js";
import { diagnoseBlocks } from "./stock/diagnose.js";
import { type Fault, type FirstDifference, ranked, together, type Verdict } from "./verdict.js";
import type { VerifyOptions } from "./verify-options.js";

export type { VerifyOptions } from "./verify-options.js";

/** @throws FormatError for sizes that no hypothesis explains; RangeError for a dimension that the format does not take. */
export function verify(options: VerifyOptions): Verdict {
  const { format, dim, input, packed, decoded } = options;
  const opened = findFormat(format).open({ dim, side: options.side ?? "key", seed: options.seed ?? 0 });
  const n = input.length / dim;
  if (!Number.isInteger(n) || n < 1)
    throw new FormatError(
      "BAD_LENGTH",
      `"input" expected whole vectors of ${dim} values, got ${input.length} values`,
    );
  if (packed === undefined && decoded === undefined)
    throw new TypeError('"packed" or "decoded" expected, got neither');
  const results: Verdict[] = [];
  if (packed) results.push(verifyPacked(options, packed, opened.bytesPerVector));
  if (decoded) results.push(verifyDecoded(options, decoded, opened.width));
  const worst =
    results.find((r) => r.verdict === "faulty") ??
    results.find((r) => r.verdict === "tolerated") ??
    results[0]!;
  return { ...worst, checks: together(results.flatMap((r) => r.checks)) };
}

/** Vectors that a diagnosis looks at: more tell no more. */
const ENOUGH = 4096;

function verifyPacked(options: VerifyOptions, packed: Uint8Array, stride: number): Verdict {
  const { format, dim, input } = options;
  const n = input.length / dim;
  const head = { format, dim, vectors: n };
  const budget = budgetOf(SEARCH_TIME);
  if (packed.length !== n * stride) {
    const best = ranked(diagnosed(options, packed, stride, budget).filter((f) => f.explains > 0.3));
    if (best.length === 0)
      throw new FormatError(
        "BAD_LENGTH",
        `packed data of ${packed.length} bytes: expected ${n * stride} (${n} vectors of ${stride} bytes)`,
      );
    const where = { vector: 0, field: "size", coordinate: null, byte: null };
    return {
      ...head,
      verdict: "faulty",
      first: { ...where, expected: n * stride, actual: packed.length },
      tolerated: { normUlps: 0, boundaryFlips: 0 },
      faults: best,
      checks: checklist(options, { faults: best, faulty: true, evidence: "packed" }),
    };
  }
  const c = compared(options, packed, stride);
  const { faults, faulty } = namedFaults(options, packed, stride, c, budget);
  const checks = [
    ...advice(options, reference(options), c),
    ...checklist(options, { faults, faulty, evidence: "packed" }),
  ];
  return {
    ...head,
    verdict: faulty ? "faulty" : c.normUlps + c.boundaryFlips > 0 ? "tolerated" : "exact",
    first: c.first ?? (faulty ? firstByte(reference(options), packed, stride) : null),
    tolerated: { normUlps: c.normUlps, boundaryFlips: c.boundaryFlips },
    faults,
    checks,
  };
}

/** Where vectors that pass one by one are a fault together: the first byte that is another, in a norm. */
function firstByte(due: Uint8Array, packed: Uint8Array, stride: number): FirstDifference {
  const at = packed.findIndex((byte, i) => byte !== due[i]);
  const [vector, byte] = [Math.floor(at / stride), at % stride];
  return { vector, field: "norm", coordinate: null, byte, expected: due[at]!, actual: packed[at]! };
}

const reference = ({ format, dim, input, side = "key", seed = 0 }: VerifyOptions): Uint8Array =>
  referenceBytes(format, dim, input, { side, seed });

/** Bytes of what has a scale of its own. */
function blockBytes(options: VerifyOptions): number | undefined {
  const { format, dim, side = "key", seed = 0 } = options;
  return (
    modelOf(options)?.bytes ??
    wireOf(format, dim, seed, side)?.groupBytes ??
    blockModel(format, side, dim)?.bytes
  );
}

/** packed: of the right length. */
const compared = (options: VerifyOptions, packed: Uint8Array, stride: number): Comparison =>
  comparisonOf(options, stride)(options.input, reference(options), packed);

function namedFaults(
  options: VerifyOptions,
  packed: Uint8Array,
  stride: number,
  c: Comparison,
  budget: Budget,
  inner = false,
): { faulty: boolean; faults: Fault[] } {
  const n = options.input.length / options.dim;
  const tie = !c.faulty && c.ties.flipped >= 8 && c.ties.others === 0;
  let faults: Fault[] = [];
  if (c.faulty || c.normUlps >= 6) {
    const special = specialFaults(c, inputKinds(options.input, options.dim), n);
    faults =
      special.length > 0
        ? special
        : ranked(
            beyondTail(
              diagnosed(options, packed, stride, budget, c.first?.vector, inner),
              reference(options),
              packed,
              blockBytes(options) ?? stride,
            ),
          ).filter((f) => f.explains > 0.25);
  } else if (tie) faults = [tieFault(c)];
  if (!c.faulty && !tie) faults = faults.filter((f) => f.id === "norm-f16-truncated" && f.explains > 0.8);
  const faulty = c.faulty || faults.length > 0;
  if (faulty && faults.length === 0)
    faults = [
      {
        id: "unknown",
        explains: 0,
        evidence: `${c.wrong.length} of ${n} vectors differ; no fault of the catalogue reproduces them`,
      },
    ];
  return { faulty, faults };
}

/** inner: what is left of a buffer that was cut already. */
function diagnosed(
  options: VerifyOptions,
  packed: Uint8Array,
  stride: number,
  budget: Budget,
  wrongAt = 0,
  inner = false,
): Fault[] {
  const { format, dim, input, side = "key", seed = 0 } = options;
  const n = input.length / dim;
  const whole = packed.length === n * stride;
  const wire = wireOf(format, dim, seed, side);
  if (wire?.sketch && whole) {
    const sketched = sketchFaults({ wire, seed, x: input, ref: reference(options) }, packed);
    if (sketched.length > 0) return sketched;
  }
  const found = [...relatedBytes(options, packed), ...geometryFaults(options, packed, stride)];
  if (found.some((f) => f.explains > 0.99)) return found;
  const others = whole ? [] : wire ? diagnosePacked(wire, input, packed, budget) : [];
  if (others.some((f) => f.explains > 0.9)) return [...found, ...others];
  if (!inner)
    found.push(
      ...throughRemains(remainsOf(options, packed, stride), ({ from, to, rest }) => {
        const part = { ...options, input: input.subarray(from * dim, to * dim) };
        return namedFaults(part, rest, stride, compared(part, rest, stride), budget, true);
      }),
    );
  if (found.some((f) => f.explains > 0.99 && !f.id.includes("+"))) return found;
  if (!whole) return [...found, ...others];
  const from = n > ENOUGH ? Math.min(wrongAt, n - ENOUGH) : 0;
  const to = Math.min(n, from + ENOUGH);
  const x = input.subarray(from * dim, to * dim);
  const bytes = packed.subarray(from * stride, to * stride);
  const model = modelOf(options);
  const blocks = wire || model ? undefined : blockModel(format, side, dim);
  if (model) found.push(...model.faults(x, referenceBytes(format, dim, x, { side, seed }), bytes));
  else if (wire?.sketch && whole) {
    const data = { wire, seed, x, ref: referenceBytes(format, dim, x, { side, seed }) };
    found.push(...besideSketch(data, bytes, diagnosePacked(wire, x, bytes, budget)));
  } else if (wire) found.push(...diagnosePacked(wire, x, bytes, budget));
  else if (blocks) found.push(...diagnoseBlocks(blocks, x, bytes));
  return found;
}
