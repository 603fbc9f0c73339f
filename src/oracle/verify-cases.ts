/**
 * Many cases of one format at once: what a fork produced for each is judged together, because a fault that one kind of
 * input hides another shows, and counted per case, because that tells its author where to look.
 */
import { FormatError } from "../core/format-error.js";
import { findFormat } from "../formats/registry.js";
import { referenceBytes } from "./compare-packed.js";
import type { Verdict } from "./verdict.js";
import { verify } from "./verify.js";

/** One case: its input, and what the fork made of it; what is absent is not judged. */
export interface CaseOutput {
  readonly case: string;
  readonly dim: number;
  readonly exposes: readonly string[];
  /** (n, dim) */
  readonly input: Float32Array;
  readonly packed?: Uint8Array;
  /** (n, width), the engine's own basis. */
  readonly decoded?: Float32Array;
}

/** How one case at one dimension came out. */
export interface CaseCount {
  readonly case: string;
  readonly dim: number;
  readonly vectors: number;
  readonly exposes: readonly string[];
  /** Vectors whose packed bytes, or decoded values, are not the definition's; null where there were none to judge. */
  readonly packed: number | null;
  readonly decoded: number | null;
}

/** The verdict of one half of a codec at one dimension. */
export interface PartVerdict extends Verdict {
  readonly part: "packed" | "decoded";
}

/** The worst part's verdict, the parts themselves, and the counts. */
export interface CasesVerdict extends Verdict {
  readonly parts: readonly PartVerdict[];
  readonly cases: readonly CaseCount[];
}

/** What `verifyCases` judges. */
export interface CasesOptions {
  readonly format: string;
  readonly side: "key" | "value";
  readonly seed: number | bigint;
}

/** @throws FormatError when there is nothing to judge, or for sizes that no fault explains. */
export function verifyCases(options: CasesOptions, outputs: readonly CaseOutput[]): CasesVerdict {
  const parts: PartVerdict[] = [];
  for (const dim of new Set(outputs.map((o) => o.dim)))
    for (const part of ["packed", "decoded"] as const) {
      const some = outputs.filter((o) => o.dim === dim && o[part] !== undefined);
      if (some.length > 0) parts.push({ part, ...judge(options, dim, part, some) });
    }
  const worst =
    parts.find((p) => p.verdict === "faulty") ?? parts.find((p) => p.verdict === "tolerated") ?? parts[0];
  if (worst === undefined) throw new FormatError("BAD_FILE", "the fork gave neither packed bytes nor values");
  const { part: _, ...head } = worst;
  const cases = outputs.map((o) => count(options, o));
  return { ...head, vectors: cases.reduce((sum, c) => sum + c.vectors, 0), parts, cases };
}

function judge(
  { format, side, seed }: CasesOptions,
  dim: number,
  part: "packed" | "decoded",
  outputs: readonly CaseOutput[],
): Verdict {
  const { width, bytesPerVector } = findFormat(format).open({ dim, side, seed });
  const per = part === "packed" ? bytesPerVector : width;
  const odd = outputs.find((o) => o[part]!.length !== (o.input.length / dim) * per);
  const judged = odd ? [odd] : outputs;
  const input = joined(judged.map((o) => o.input));
  return part === "packed"
    ? verify({ format, dim, side, seed, input, packed: joined(judged.map((o) => o.packed!)) })
    : verify({ format, dim, side, seed, input, decoded: joined(judged.map((o) => o.decoded!)) });
}

function joined<T extends Float32Array | Uint8Array>(parts: readonly T[]): T {
  if (parts.length === 1) return parts[0]!;
  const out = new (parts[0]!.constructor as { new (n: number): T })(parts.reduce((n, p) => n + p.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function count({ format, side, seed }: CasesOptions, output: CaseOutput): CaseCount {
  const { dim, input, packed, decoded, exposes } = output;
  const codec = findFormat(format).open({ dim, side, seed });
  const vectors = input.length / dim;
  const ref = referenceBytes(format, dim, input, { side, seed });
  let native: Float32Array | undefined;
  if (decoded) {
    native = new Float32Array(vectors * codec.width);
    codec.decodeNative(ref, native);
  }
  return {
    case: output.case,
    dim,
    vectors,
    exposes,
    packed: packed ? differing(ref, packed, codec.bytesPerVector) : null,
    decoded: decoded ? differing(native!, decoded, codec.width) : null,
  };
}

/** Rows that differ, NaN as a class and −0 from 0; rows that are not there differ. */
function differing(due: ArrayLike<number>, got: ArrayLike<number>, per: number): number {
  let rows = 0;
  for (let at = 0; at < due.length; at += per) {
    let i = at;
    while (i < at + per && Object.is(due[i], got[i])) i++;
    if (i < at + per) rows++;
  }
  return rows;
}
