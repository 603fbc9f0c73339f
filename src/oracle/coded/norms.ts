/** Stored scales of a coder's parts: the rule that explains them. */
import { fromF16, toF16 } from "../../core/float.js";
import { type NormCase, type NormVerdict, normVerdicts } from "../pipeline/norms.js";
import { type Coder, type Coding, lengthOf } from "./coded.js";

/** One case for each part of a unit. size: ‖x‖. */
export function scaleCases(
  coder: Coder,
  z: Float64Array,
  size: number,
  coding: Coding,
  levels: Float64Array,
  stored: readonly number[],
): NormCase[] {
  const { part, unit, rule } = coder;
  return stored.map((given, p) => {
    const own = coding.scales[p];
    const [from, to] = [p * part, (p + 1) * part];
    const long = lengthOf(z, from, to);
    const norm = coder.normalised ? size : long;
    const chosen = lengthOf(levels, from, to) * unit;
    let inner = 0;
    for (let i = from; i < to; i++) inner += z[i]! * levels[i]! * unit;
    inner /= long || 1;
    // The encoder's own scale may be that of codes that it had before.
    if (own !== undefined && rule === "least-squares" && norm > 0)
      inner = (own * chosen * chosen) / (unit * norm);
    return { norm, chosen, inner, stored: given / unit, x: z.subarray(from, to) };
  });
}

/** Best first. decoded: what the decoder multiplied by, in which its own slips show too. */
export function scaleVerdicts(coder: Coder, cases: readonly NormCase[], decoded: boolean): NormVerdict[] {
  const { rule, part, unit } = coder;
  const out = normVerdicts(rule, cases, false, part).map((v) =>
    // √2 is the fault of a table's variance; 1/√d and d = 128 are a rotation's.
    v.id === "rotation-scale" && /^norms (0\.7071|1\.414) /.test(v.note) ? { ...v, id: "codebook-sigma" } : v,
  );
  const half = (v: number): number => fromF16(toF16(v * unit)) / unit;
  const due = (c: NormCase): number =>
    rule === "raw"
      ? c.norm
      : rule === "least-squares"
        ? (c.norm * c.inner) / c.chosen ** 2
        : rule === "unbiased"
          ? c.norm / c.inner
          : c.norm / c.chosen;
  const add = (id: string, note: string, value: (c: NormCase) => number): void => {
    const fits = Uint8Array.from(cases, (c) =>
      Math.abs(c.stored - value(c)) <= 6e-4 * Math.abs(value(c)) + 1e-7 ? 1 : 0,
    );
    const share = fits.reduce((a, b) => a + b, 0) / Math.max(1, cases.length);
    if (share > 0.6) out.push({ id, note, fits, share });
  };
  add("norm-ignored", "1 in place of the scale", () => 1 / unit);
  add("norm-squared", "the square of the scale", (c) => (due(c) * unit) ** 2 / unit);
  if (decoded) {
    add("norm-squared", "the scale applied twice", (c) => half(due(c)) ** 2 * unit);
    add("endian-norm", "bytes of the scale exchanged", (c) => {
      const h = toF16(due(c) * unit);
      return fromF16(((h & 255) << 8) | (h >> 8)) / unit;
    });
  }
  if (out.every((v) => v.share < 0.9)) {
    const ratios = cases
      .filter((c) => due(c) > 1e-4)
      .map((c) => c.stored / due(c))
      .sort((a, b) => a - b);
    const middle = ratios[ratios.length >> 1] ?? 1;
    // Further off than that it is no table, but a rotation's 1/√d.
    if (Math.abs(middle - 1) > 2e-3 && middle > 0.4 && middle < 2.5)
      add("codebook-sigma", `scales ${middle.toPrecision(4)} times what is due`, (c) => middle * due(c));
  }
  const parts = (v: NormVerdict): number => (v.id ? v.id.split("+").length : 0);
  return out.sort((a, b) => b.share - 0.03 * parts(b) - (a.share - 0.03 * parts(a)));
}
