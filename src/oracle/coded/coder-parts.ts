/** What coders share: turns and packings from those of rotating formats. */
import { fromF16 } from "../../core/float.js";
import { type Packing, packingFaults, readCodes } from "../pipeline/layouts.js";
import { type Transform, transformFaults, trueTransform } from "../pipeline/transforms.js";
import type { Wire } from "../pipeline/wire.js";
import type { CodePacking, Turn } from "./coded.js";

const turnOf = ({ id, note, run }: Transform, named = id): Turn => ({
  id: named,
  note,
  run(x, norm) {
    const z = new Float64Array(x.length);
    run(x, norm, z);
    return z;
  },
});

/** The true one first. units: wrong normalisations too. */
export const turnsOf = (wire: Wire, units: boolean): Turn[] => [
  turnOf(trueTransform(wire)),
  ...transformFaults(wire)
    .filter((t) => units || t.id?.startsWith("rotation"))
    .map((t) => turnOf(t)),
];

const WRONG_INVERSES = [
  "rotation-unsigned",
  "rotation-signs-swapped",
  "rotation-signs-after",
  "rotation-transposed",
];

/** Inverse rotations of a decoder, as what undoes them; the true one first. */
export const viewsOf = (wire: Wire): Turn[] => [
  turnOf(trueTransform(wire)),
  { id: "test-basis", note: "values are still rotated", run: (x) => x.slice() },
  ...transformFaults(wire)
    .filter((t) => WRONG_INVERSES.includes(t.id ?? ""))
    .map((t) => ({ ...turnOf(t), note: `un-rotated: ${t.note}` })),
];

function packingOf(
  p: Omit<Packing, "normAt" | "groupBytes">,
  bits: number,
  swapped: NonNullable<CodePacking["scales"]>,
): CodePacking {
  const top = 2 ** bits - 1;
  const count = p.layout.length / bits;
  return {
    ...(p.id ? { id: p.id } : {}),
    note: p.note,
    ...(p.swapNorm ? { scales: swapped } : {}),
    read(bytes, at) {
      const codes = new Uint8Array(count);
      readCodes(bytes, at, p.layout, bits, p.flip, codes);
      return codes;
    },
    write(codes, bytes, at) {
      codes.forEach((code, i) => {
        for (let b = 0; b < bits; b++) {
          const to = p.layout[i * bits + b]!;
          if ((((code ^ p.flip) & p.mask) >> b) & 1) bytes[at + (to >> 3)]! |= 1 << (to & 7);
        }
      });
    },
    ...(p.mask === top ? {} : { kept: (codes: Uint8Array) => codes.map((k) => k & p.mask) }),
  };
}

/** Codes that were never written. */
export const emptied = (right: CodePacking): CodePacking => ({
  ...right,
  id: "pack-zero",
  note: "every code is zero",
  kept: (codes) => new Uint8Array(codes.length),
});

/** The true one first; more: layouts that only this format can be mistaken for. */
export function packingsOf(
  wire: Wire,
  more: readonly { id: string; note: string; layout: Int32Array }[] = [],
): CodePacking[] {
  const { bits, layout, groupBytes, normAt } = wire;
  const swapped = (bytes: Uint8Array, at: number): number[] =>
    normAt.map((n) => fromF16((bytes[at + n]! << 8) | bytes[at + n + 1]!));
  const base = { flip: 0, mask: 2 ** bits - 1 };
  const right = packingOf({ id: "", note: "", layout, ...base }, bits, swapped);
  return [
    right,
    emptied(right),
    ...more.map((p) => packingOf({ ...p, ...base }, bits, swapped)),
    ...packingFaults(wire)
      .filter((p) => p.groupBytes === groupBytes && p.id !== "pack-legacy-layout")
      .map((p) => packingOf(p, bits, swapped)),
  ];
}
