/** `verify`: inputs and what a fork made of them → a verdict. */
import { FormatError } from "../core/format-error.js";
import { findFormat } from "../formats/registry.js";
import { advice } from "./advice.js";
import { blockModel, diagnoseBlocks } from "./blocks.js";
import { comparisonOf } from "./compare.js";
import { referenceBytes } from "./compare-packed.js";
import { verifyDecoded } from "./decoded.js";
import { diagnosePacked } from "./diagnose-packed.js";
import { geometryFaults } from "./geometry.js";
import { inputKinds, specialFaults, tieFault } from "./special.js";
import { type Fault, ranked, type Verdict } from "./verdict.js";
import type { VerifyOptions } from "./verify-options.js";
import { wireOf } from "./wire.js";

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
  return { ...worst, checks: results.flatMap((r) => r.checks) };
}

function verifyPacked(options: VerifyOptions, packed: Uint8Array, stride: number): Verdict {
  const { format, dim, input } = options;
  const side = options.side ?? "key";
  const seed = options.seed ?? 0;
  const n = input.length / dim;
  const wire = wireOf(format, dim, seed, side);
  const head = { format, dim, vectors: n };
  if (packed.length !== n * stride) {
    const found = [
      ...geometryFaults(options, packed, stride),
      ...(wire ? diagnosePacked(wire, input, packed) : []),
    ];
    const best = ranked(found.filter((f) => f.explains > 0.3));
    if (best.length === 0)
      throw new FormatError(
        "BAD_LENGTH",
        `packed data of ${packed.length} bytes: expected ${n * stride} (${n} vectors of ${stride} bytes)`,
      );
    const first = {
      vector: 0,
      field: "size",
      coordinate: null,
      byte: null,
      expected: n * stride,
      actual: packed.length,
    };
    return {
      ...head,
      verdict: "faulty",
      first,
      tolerated: { normUlps: 0, boundaryFlips: 0 },
      faults: best,
      checks: [],
    };
  }
  const ref = referenceBytes(format, dim, input, { side, seed });
  const blocks = wire ? undefined : blockModel(format, side, dim);
  const c = comparisonOf(wire, blocks, { dim, stride })(input, ref, packed);
  const tolerated = { normUlps: c.normUlps, boundaryFlips: c.boundaryFlips };
  const checks = advice(options, ref, c);
  const tie = !c.faulty && c.ties.flipped >= 8 && c.ties.others === 0;
  let faults: Fault[] = [];
  if (c.faulty || c.normUlps >= 6) {
    const special = specialFaults(c, inputKinds(input, dim), n);
    if (special.length > 0) faults = special;
    else {
      const found = wire
        ? diagnosePacked(wire, input, packed)
        : blocks
          ? diagnoseBlocks(blocks, input, dim, packed)
          : [];
      faults = ranked([...geometryFaults(options, packed, stride), ...found]).filter(
        (f) => f.explains > 0.25,
      );
    }
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
  const verdict = faulty ? "faulty" : c.normUlps + c.boundaryFlips > 0 ? "tolerated" : "exact";
  const first =
    c.first ??
    (faulty
      ? { vector: 0, field: "norm", coordinate: null, byte: null, expected: null, actual: null }
      : null);
  return { ...head, verdict, first, tolerated, faults, checks };
}
