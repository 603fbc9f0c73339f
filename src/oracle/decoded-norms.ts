/** Which rule made the scales that decoded values show: the encoder's rules, and what a decoder can do to a good norm. */
import { fromF16, toF16 } from "../core/float.js";
import { type NormCase, type NormVerdict, normVerdicts } from "./norms.js";
import type { Wire } from "./wire.js";

type Rule = { readonly id: string; readonly note: string; readonly value: (c: NormCase) => number };

const swappedHalf = (v: number): number => {
  const h = toF16(v);
  return fromF16(((h & 255) << 8) | (h >> 8));
};
const view = new DataView(new ArrayBuffer(4));
const swappedWide = (v: number): number => {
  view.setFloat32(0, v);
  return view.getFloat32(0, true);
};

/** renormalising: the decoder brings ‖c‖ to one, and `stored` is what it multiplies by. Best first. */
export function decodedNorms(wire: Wire, cases: readonly NormCase[], renormalising: boolean): NormVerdict[] {
  const wide = wire.normBytes === 4;
  const half = (v: number): number => (wide ? v : fromF16(toF16(v)));
  const due = (c: NormCase): number =>
    wire.rule === "raw"
      ? c.norm
      : wire.rule === "unbiased"
        ? Math.max(c.norm / c.inner, c.norm / c.chosen)
        : c.norm / c.chosen;
  const decoder: Rule[] = [
    { id: "norm-ignored", note: "the decoder never applies the norm", value: () => 1 },
    { id: "norm-ignored", note: "the decoder only normalises", value: (c) => 1 / c.chosen },
    { id: "norm-squared", note: "the norm applied twice", value: (c) => half(due(c)) ** 2 },
    { id: "scale-rule", note: "the norm divided out", value: (c) => 1 / half(due(c)) },
    {
      id: "endian-norm",
      note: "bytes of the norm exchanged",
      value: (c) => (wide ? swappedWide(Math.fround(due(c))) : swappedHalf(due(c))),
    },
    ...(renormalising
      ? [
          {
            id: "norm-raw",
            note: "the decoder does not renormalise the centroids",
            value: (c: NormCase) => half(c.norm) * c.chosen,
          },
        ]
      : []),
  ];
  const out: NormVerdict[] = [];
  for (const r of decoder) {
    const fits = Uint8Array.from(cases, (c) => {
      const v = r.value(c);
      return Math.abs(c.stored - v) <= (renormalising ? 6e-4 : 2e-4) * Math.abs(c.stored) ||
        !(Math.abs(v) < 65520 * (wide ? 1e30 : 1)) ||
        Math.abs(v) < 1e-3
        ? 1
        : 0;
    });
    const share = fits.reduce((a, b) => a + b, 0) / Math.max(1, cases.length);
    if (share > 0.6) out.push({ id: r.id, note: r.note, fits, share });
  }
  const ratios = cases.map((c) => c.stored / due(c)).sort((a, b) => a - b);
  const middle = ratios[ratios.length >> 1] ?? 1;
  if (Math.abs(middle - 1) > 4e-3 && middle > 0.25 && middle < 4) {
    const fits = Uint8Array.from(cases, (c) => (Math.abs(c.stored / due(c) / middle - 1) < 1e-3 ? 1 : 0));
    const share = fits.reduce((a, b) => a + b, 0) / Math.max(1, cases.length);
    if (share > 0.9)
      out.push({
        id: "codebook-sigma",
        note: `the decoder's levels are ${middle.toFixed(4)} times too large`,
        fits,
        share: share - 0.02,
      });
  }
  // The scale read off the values is an f32 near the stored half.
  const snapped = cases.map((c) => ({ ...c, stored: wide ? c.stored : fromF16(toF16(c.stored)) }));
  out.push(...normVerdicts(wire.rule, snapped, wide, wire.group));
  const parts = (v: NormVerdict): number => (v.id ? v.id.split("+").length : 0);
  return out.sort((a, b) => b.share - 0.03 * parts(b) - (a.share - 0.03 * parts(a)));
}
