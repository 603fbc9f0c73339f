/**
 * Which rule made the scales that decoded values show: what a decoder does to a stored norm is undone, and what is left
 * is judged by the encoder's rules.
 */
import { fromF16, toF16 } from "../../core/float.js";
import { encoderRules, type NormCase, type NormVerdict, normVerdicts } from "../pipeline/norms.js";
import type { Wire } from "../pipeline/wire.js";
import { pairId } from "../verdict.js";

/** A thing that a decoder may do to the stored norm; undo gives what was stored, or what it may have been. */
interface DecoderStep {
  readonly id: string;
  readonly note: string;
  readonly undo: (c: NormCase) => readonly number[];
}

/** What averages of halves leave of a scale, and of f32 products. */
const NEAR = { renormalising: 6e-4, exact: 2e-4 };
/** Below this, values that are halves themselves do not tell the scale. */
const TELLING = 2e-2;
/** Last places of an f32 that a mean over a group's values may be off. */
const PLACES = 8;

const view = new DataView(new ArrayBuffer(4));

const unswappedHalves = (v: number, slack: number): number[] => {
  const h = toF16(v);
  const out: number[] = [];
  for (let d = -slack; d <= slack; d++) out.push(fromF16((((h + d) & 255) << 8) | (((h + d) >> 8) & 255)));
  return out;
};

const unswappedWide = (v: number): number[] => {
  view.setFloat32(0, v);
  const bits = view.getUint32(0);
  return Array.from({ length: 2 * PLACES + 1 }, (_, i) => {
    view.setUint32(0, (bits + i - PLACES) >>> 0);
    return view.getFloat32(0, true);
  });
};

function decoderSteps(wide: boolean, renormalising: boolean): DecoderStep[] {
  return [
    {
      id: "endian-norm",
      note: "bytes of the norm exchanged",
      undo: (c) => (wide ? unswappedWide(c.stored) : unswappedHalves(c.stored, renormalising ? 1 : 0)),
    },
    { id: "norm-squared", note: "the norm applied twice", undo: (c) => [Math.sqrt(c.stored)] },
    { id: "scale-rule", note: "the norm divided out", undo: (c) => [1 / c.stored] },
    ...(renormalising
      ? [
          {
            id: "norm-raw",
            note: "the decoder does not renormalise the centroids",
            undo: (c: NormCase) => [c.stored / (c.read ?? c.chosen)],
          },
        ]
      : []),
  ];
}

const parts = (v: NormVerdict): number => (v.id ? v.id.split("+").length : 0);
const shareOf = (fits: Uint8Array): number => fits.reduce((a, b) => a + b, 0) / Math.max(1, fits.length);

/**
 * renormalising: the decoder brings ‖c‖ to one, and `stored` is what it multiplies by. Best first. free: the size of the
 * table is not known, and the scales' common factor says nothing.
 */
export function decodedNorms(
  wire: Wire,
  cases: readonly NormCase[],
  renormalising: boolean,
  free = false,
): NormVerdict[] {
  const wide = wire.normBytes === 4;
  // The scale read off the values is an f32 near the stored half.
  const snapped = (list: readonly NormCase[]): NormCase[] =>
    list.map((c) => ({ ...c, stored: wide ? c.stored : fromF16(toF16(c.stored)) }));
  const judge = (list: readonly NormCase[]): NormVerdict[] =>
    normVerdicts(wire.rule, snapped(list), wide, wire.group);
  const out = judge(cases);
  const order = (a: NormVerdict, b: NormVerdict): number =>
    b.share - 0.03 * parts(b) - (a.share - 0.03 * parts(a));
  const multiplied = (v: NormVerdict): boolean => renormalising && v.id === "scale-rule";
  if (out.some((v) => v.share > 0.97 && !multiplied(v))) return out.sort(order);
  out.push(...ignored(cases, renormalising ? NEAR.renormalising : NEAR.exact));
  const due = encoderRules(wire.rule, wire.group)[0]!.value;
  for (const step of decoderSteps(wide, renormalising)) {
    const heard: number[] = [];
    const undone: NormCase[] = [];
    for (const [i, c] of cases.entries()) {
      if (!(Math.abs(c.stored) > (renormalising ? TELLING : 1e-9)) || !Number.isFinite(c.stored)) continue;
      const goal = Math.log(due(c));
      const off = (v: number): number => (v > 0 ? Math.abs(Math.log(v) - goal) : 1e9);
      const stored = step.undo(c).reduce((a, b) => (off(b) < off(a) ? b : a));
      heard.push(i);
      undone.push({ ...c, stored });
    }
    if (undone.length < 0.3 * cases.length || undone.length < 2) continue;
    for (const v of judge(undone).slice(0, 3)) {
      if (v.share < 0.6 || v.gain) continue;
      const fits = new Uint8Array(cases.length).fill(1);
      heard.forEach((i, k) => {
        fits[i] = v.fits[k]!;
      });
      const id = v.id ? [...new Set([step.id, ...v.id.split("+")])].sort().join("+") : step.id;
      out.push({ id, note: [step.note, v.note].filter((n) => n).join(", "), fits, share: shareOf(fits) });
    }
  }
  out.push(...sized(wire, cases, renormalising, free));
  // Centroids that are not brought to unit length multiply by ‖c‖: no encoder's rule where a decoder's explains it.
  const plain = out.some((v) => v.id === "norm-raw" && v.share > 0.9);
  return out.filter((v) => !(plain && multiplied(v))).sort(order);
}

function ignored(cases: readonly NormCase[], near: number): NormVerdict[] {
  return [
    { note: "the decoder never applies the norm", value: () => 1 },
    { note: "the decoder only normalises", value: (c: NormCase) => 1 / c.chosen },
    { note: "the decoder never applies the norm", value: (c: NormCase) => c.read ?? c.chosen },
  ]
    .map(({ note, value }) => {
      const fits = Uint8Array.from(cases, (c) => (Math.abs(c.stored / value(c) - 1) <= near ? 1 : 0));
      return { id: "norm-ignored", note, fits, share: shareOf(fits) };
    })
    .filter((v) => v.share > 0.6);
}

/** A decoder's levels of another size: scales are all the same multiple of what a rule makes of them. */
function sized(wire: Wire, cases: readonly NormCase[], renormalising: boolean, free: boolean): NormVerdict[] {
  const out: NormVerdict[] = [];
  const near = wire.normBytes === 4 ? 1e-5 : renormalising ? 8e-4 : 5.2e-4;
  for (const { id, note, value, gain } of encoderRules(wire.rule, wire.group)) {
    if (gain) continue;
    const ratios = cases.map((c) => c.stored / value(c)).sort((a, b) => a - b);
    const middle = ratios[ratios.length >> 1] ?? 1;
    if (!(middle > 0.25 && middle < 4) || (!free && Math.abs(middle - 1) <= 4e-3)) continue;
    const fits = Uint8Array.from(cases, (c) => (Math.abs(c.stored / value(c) / middle - 1) < near ? 1 : 0));
    const share = shareOf(fits);
    if (share > 0.9)
      out.push({
        ...(free
          ? id
            ? { id }
            : {}
          : { id: pairId(["codebook-sigma", ...(id ?? "").split("+").filter(Boolean)]) }),
        note: free
          ? note
          : [`the decoder's levels are ${middle.toFixed(4)} times too large`, note]
              .filter((n) => n)
              .join(", "),
        fits,
        share: free ? share : share - 0.02,
      });
  }
  return out;
}
