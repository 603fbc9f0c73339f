/**
 * What a deployment asks of a fork before it trusts it, item by item: an orthogonal rotation that is the same on both
 * ways, a converged codebook, a radius in halves or better and no other normalisation, a decoder that agrees, inner
 * products that no step bends, and tables that are there at once.
 */
import { findFormat } from "../formats/registry.js";
import { tableCheck } from "./pipeline/table-check.js";
import { type Wire, wireOf } from "./pipeline/wire.js";
import type { Check, Fault } from "./verdict.js";
import type { VerifyOptions } from "./verify-options.js";

/** Longest that tables and rotation may take, in milliseconds. */
const INITIALISATION = 1000;

const ROTATION = /^(rotation-|test-basis|qjl-basis|pad-missing)/;
const CODEBOOK = /^(codebook-|boundary-)/;
const RADIUS = /^(norm-f16-truncated|overflow-silent|nan-silent|endian-norm)/;
const NORMALISATION = /^(norm-(?!f16)|scale-rule|zero-vector)/;
const DECODER = /^(decode-|pack-|stride-|overrun|codebook-order|norm-ignored)/;
/** Steps that change lengths or angles, and not only names or places. */
const BENT = /^(rotation-scale|rotation-f16|norm-block|norm-missing|norm-squared|norm-ignored|scale-rule)/;

/** What a verdict rests on. */
interface Judged {
  /** The best first. */
  readonly faults: readonly Fault[];
  readonly faulty: boolean;
  readonly evidence: "packed" | "decoded";
}

/** Empty for formats that do not rotate to a codebook. */
export function checklist(options: VerifyOptions, { faults, faulty, evidence }: Judged): Check[] {
  const { format, dim, side = "key" } = options;
  const start = performance.now();
  const wire = wireOf(format, dim, options.seed ?? 0, side);
  if (!wire) return [];
  findFormat(format).open({ dim, side });
  const took = performance.now() - start;
  const table = tableCheck(wire);
  const named = faults[0]?.id.split("+") ?? [];
  const unknown = faulty && (named.length === 0 || named[0] === "unknown");
  const item = (id: string, pattern: RegExp, value: string): Check => {
    const against = named.filter((fault) => pattern.test(fault));
    if (against.length > 0) return { id, status: "fail", value: against.join(", "), limit: value };
    return unknown
      ? { id, status: "info", value: "not known: the fault is of no known kind", limit: value }
      : { id, status: "pass", value, limit: null };
  };
  return [
    item("1a-rotation", ROTATION, `${rotationOf(wire)}, the same on both ways`),
    table.status === "fail" && !named.some((fault) => CODEBOOK.test(fault))
      ? {
          id: "1a-codebook",
          status: "fail",
          value: `${table.id}: the format's own table`,
          limit: "Lloyd–Max",
        }
      : item("1a-codebook", CODEBOOK, `Lloyd–Max, ${2 ** wire.bits} levels`),
    item("1a-radius", RADIUS, wire.normBytes === 4 ? "f32" : "fp16, rounded to nearest"),
    item("1a-one-normalisation", NORMALISATION, `one ${wire.rule} scale for every ${wire.group} values`),
    evidence === "decoded"
      ? item("1a-decoder", DECODER, "the same centroids, signs and butterflies")
      : { id: "1a-decoder", status: "info", value: "not seen: hand over --decoded as well", limit: null },
    item("1a-unbent", BENT, "every step keeps ⟨q,k⟩ but for the rounding to levels"),
    {
      id: "1a-initialisation",
      status: took < INITIALISATION ? "pass" : "fail",
      value: took < INITIALISATION ? "tables and rotation in less than a second" : `${Math.round(took)} ms`,
      limit: `${INITIALISATION} ms`,
    },
  ];
}

function rotationOf({ dense, before, block, group }: Wire): string {
  if (dense) return `a dense orthogonal matrix of ${group}`;
  const signs = before.some((s) => s < 0) ? "signed " : "";
  return `${signs}Hadamard transform of ${block}`;
}
