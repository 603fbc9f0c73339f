/**
 * Formats that code some channels apart from the others (turbo2.5, turbo3.5): each part is a rotating format of its own,
 * on its own channels and bytes. Comparison and diagnosis are those of the parts; a fault of the whole is what explains
 * all of them.
 */
import { type Comparison, comparePacked } from "./compare-packed.js";
import { compareTurned } from "./compare-values.js";
import { diagnoseDecoded } from "./decoded/diagnose.js";
import type { Model } from "./model.js";
import { diagnosePacked } from "./packed/diagnose.js";
import { ownWire, type Wire } from "./pipeline/wire.js";
import { type Fault, pairId, ranked } from "./verdict.js";

/** Channels `from` … `to` of the format's order, and where their bytes lie in a vector's. */
interface Part {
  readonly wire: Wire;
  readonly from: number;
  readonly to: number;
  readonly byteAt: number;
}

const SPLITS: Record<string, { readonly share: number; readonly bits: readonly [number, number] }> = {
  "turbo2.5": { share: 4, bits: [3, 2] },
  "turbo3.5": { share: 2, bits: [4, 3] },
};

/** The first channels are the outliers, as where nobody says which ones are. */
function partsOf(
  format: string,
  dim: number,
  seed: number | bigint,
  side: "key" | "value",
): Part[] | undefined {
  const split = SPLITS[format];
  if (!split) return undefined;
  const count = dim / split.share;
  const first = ownWire(`turbo${split.bits[0]}`, count, seed, side, "outlier")!;
  const second = ownWire(`turbo${split.bits[1]}`, dim - count, seed, side)!;
  return [
    { wire: first, from: 0, to: count, byteAt: 0 },
    { wire: second, from: count, to: dim, byteAt: first.groupBytes },
  ];
}

/** The part of every row: rows of `stride`. */
function columns<T extends Uint8Array | Float32Array>(all: T, stride: number, at: number, size: number): T {
  const rows = Math.floor(all.length / stride);
  const out = all.slice(0, rows * size) as T;
  for (let r = 0; r < rows; r++) out.set(all.subarray(r * stride + at, r * stride + at + size), r * size);
  return out;
}

/** Values of a part's channels. all: (n, dim) → (n, to − from). */
const channelsOf = ({ from, to }: Part, all: Float32Array, dim: number): Float32Array =>
  columns(all, dim, from, to - from);

/** Bytes of a part. all: (n, stride) → (n, groupBytes). */
const bytesOf = ({ wire, byteAt }: Part, all: Uint8Array, stride: number): Uint8Array =>
  columns(all, stride, byteAt, wire.groupBytes);

/** Undefined for formats of one part. */
export function partsModel(
  format: string,
  dim: number,
  seed: number | bigint,
  side: "key" | "value",
): Model | undefined {
  const parts = partsOf(format, dim, seed, side);
  if (!parts) return undefined;
  const stride = parts.reduce((sum, p) => sum + p.wire.groupBytes, 0);
  const compareBytes = (p: Part, x: Float32Array, ref: Uint8Array, packed: Uint8Array): Comparison =>
    comparePacked(p.wire, channelsOf(p, x, dim), bytesOf(p, ref, stride), bytesOf(p, packed, stride));
  const compareOne = (p: Part, x: Float32Array, due: Float32Array, decoded: Float32Array): Comparison =>
    compareTurned(p.wire, channelsOf(p, x, dim), channelsOf(p, due, dim), channelsOf(p, decoded, dim));
  return {
    bytes: stride,
    values: dim,
    compare: (x, ref, packed) =>
      combined(
        parts,
        parts.map((p) => compareBytes(p, x, ref, packed)),
      ),
    compareValues: (x, due, decoded) =>
      combined(
        parts,
        parts.map((p) => compareOne(p, x, due, decoded)),
      ),
    faults: (x, ref, packed) =>
      combinedFaults(
        parts.map((p) => ({
          right: conforms(compareBytes(p, x, ref, packed)),
          faults: () => diagnosePacked(p.wire, channelsOf(p, x, dim), bytesOf(p, packed, stride)),
        })),
      ),
    valueFaults: (x, due, decoded) =>
      combinedFaults(
        parts.map((p) => ({
          right: conforms(compareOne(p, x, due, decoded)),
          faults: () => diagnoseDecoded(p.wire, false, channelsOf(p, x, dim), channelsOf(p, decoded, dim)),
        })),
      ),
  };
}

/** Norms that are one step off in many vectors are no chance. */
const conforms = (c: Comparison): boolean => !c.faulty && c.normUlps < 4;

/** What the comparisons of the parts say of the whole. */
function combined(parts: readonly Part[], all: readonly Comparison[]): Comparison {
  const sum = (of: (c: Comparison) => number): number => all.reduce((s, c) => s + of(c), 0);
  const firsts = all.flatMap(({ first }, p) => {
    if (!first) return [];
    const { from, byteAt } = parts[p]!;
    const coordinate = first.coordinate === null ? null : first.coordinate + from;
    return [{ ...first, coordinate, byte: first.byte === null ? null : first.byte + byteAt }];
  });
  firsts.sort((a, b) => a.vector - b.vector);
  return {
    first: firsts[0] ?? null,
    faulty: all.some((c) => c.faulty),
    normUlps: sum((c) => c.normUlps),
    boundaryFlips: sum((c) => c.boundaryFlips),
    wrong: [...new Set(all.flatMap((c) => c.wrong))].sort((a, b) => a - b),
    ties: {
      flipped: sum((c) => c.ties.flipped),
      kept: sum((c) => c.ties.kept),
      others: sum((c) => c.ties.others),
    },
  };
}

/** Faults of the whole from those of each part; right: which parts conform. */
function combinedFaults(
  parts: readonly { readonly right: boolean; readonly faults: () => readonly Fault[] }[],
): Fault[] {
  const wrong = parts.filter((p) => !p.right).map((p) => ranked(p.faults()).slice(0, 6));
  if (wrong.length < 2) return wrong.flatMap((faults) => [...faults]);
  const out: Fault[] = [];
  for (const a of wrong[0]!)
    for (const b of wrong[1]!) {
      // Of two bits' codes an exchange of two may be called either.
      const one = a.id === b.id || [a.id, b.id].sort().join() === "codebook-order,pack-bitplane-order";
      const id = one ? [a.id, b.id].sort()[0]! : pairId([...a.id.split("+"), ...b.id.split("+")]);
      if (id.split("+").length > 2) continue;
      // One cause is likelier than two that each part has alone.
      const apart = one ? 0 : 0.04;
      const evidence = one ? a.evidence : `${a.evidence}; the other channels: ${b.evidence}`;
      out.push({ id, explains: (a.explains + b.explains) / 2 - apart, evidence });
    }
  return ranked(out);
}
