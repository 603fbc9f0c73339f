/** Which rule made the stored norms? Values of every rule for one group, and the rule that explains them all. */
import { fromF16, toF16 } from "../../core/float.js";
import { pairId } from "../verdict.js";
import { halfSteps, truncatedHalf } from "./evidence.js";
import { fitNorms, type NormSample } from "./norm-fit.js";
import type { NormRule } from "./wire.js";

export interface NormCase {
  /** ‖x‖ of the group. */
  readonly norm: number;
  /** ‖c‖ and ⟨z,c⟩ of the chosen centroids, z of unit norm. */
  readonly chosen: number;
  readonly inner: number;
  readonly stored: number;
  readonly x: Float64Array;
  /** ‖c‖ of what a decoder reads, where that is not `chosen`. */
  readonly read?: number;
}

export interface NormVerdict {
  /** Absent: the format's own rule. */
  readonly id?: string;
  readonly note: string;
  /** Which cases it explains. */
  readonly fits: Uint8Array;
  readonly share: number;
  /** Scales are this multiple of the format's own. */
  readonly gain?: number;
  /** The table's size was fitted for it. */
  readonly sized?: true;
  /** Nothing is known of the rule: the codes alone tell. */
  readonly open?: true;
}

const RULES: Record<NormRule, (c: NormCase) => number> = {
  raw: (c) => c.norm,
  "norm-matching": (c) => c.norm / c.chosen,
  "least-squares": (c) => (c.norm * c.inner) / c.chosen ** 2,
  unbiased: (c) => Math.max(c.norm / c.inner, c.norm / c.chosen),
};

const partNorm = (x: Float64Array, from: number, count: number): number => {
  let sum = 0;
  for (let i = from; i < from + count; i++) sum += x[i]! ** 2;
  return Math.sqrt(sum);
};

export interface EncoderRule {
  readonly id?: string;
  readonly note: string;
  /** It is this multiple of the format's own rule. */
  readonly gain?: number;
  readonly value: (c: NormCase) => number;
}

/** Every rule with the fault id that it is, the format's own first. */
export function encoderRules(own: NormRule, group: number): EncoderRule[] {
  const list: EncoderRule[] = [{ note: "", value: RULES[own] }];
  for (const rule of ["raw", "norm-matching", "least-squares", "unbiased"] as const) {
    if (rule === own) continue;
    const id = rule === "raw" ? "norm-raw" : "scale-rule";
    list.push({ id, note: `the ${rule} scale in place of ${own}`, value: RULES[rule] });
  }
  list.push(
    { id: "norm-squared", note: "‖x‖² stored", value: (c) => c.norm ** 2 },
    { id: "norm-squared", note: "the square of the scale stored", value: (c) => RULES[own](c) ** 2 },
    { id: "norm-squared", note: "‖x‖²/‖c‖ stored", value: (c) => c.norm ** 2 / c.chosen },
    { id: "norm-squared", note: "‖x‖²/‖c‖² without the root", value: (c) => c.norm ** 2 / c.chosen ** 2 },
    { id: "norm-squared", note: "‖x‖/‖c‖² stored", value: (c) => c.norm / c.chosen ** 2 },
    { id: "scale-rule", note: "‖x‖·‖c‖: the correction multiplied", value: (c) => c.norm * c.chosen },
    { id: "scale-rule", note: "‖x‖⟨z,c⟩: not divided by ‖c‖²", value: (c) => c.norm * c.inner },
    { id: "norm-ignored", note: "1/‖c‖ in place of the norm", value: (c) => (c.norm > 0 ? 1 / c.chosen : 0) },
    { id: "norm-ignored", note: "1 in place of the norm", value: () => 1 },
  );
  for (const gain of new Set([
    Math.sqrt(group),
    1 / Math.sqrt(group),
    Math.sqrt(group / 128),
    Math.sqrt(128 / group),
    Math.sqrt(group / 64),
    group,
    1 / group,
    2,
    0.5,
    Math.SQRT2,
    Math.SQRT1_2,
  ]))
    if (Math.abs(gain - 1) > 1e-9)
      list.push({
        // Of a group of 128 no constant for another size makes a power of √2; a variance of 1/(2d) does.
        ...(group === 128 && Math.abs(Math.abs(Math.log2(gain)) - 0.5) < 1e-9
          ? {
              id: "codebook-sigma",
              note: `norms ${gain.toPrecision(4)} times too large: levels are of another variance`,
            }
          : {
              id: "rotation-scale",
              note: `norms ${gain.toPrecision(4)} times too large: taken after the rotation`,
            }),
        gain,
        value: (c) => gain * RULES[own](c),
      });
  for (const run of [32, 64])
    list.push(
      {
        id: "norm-block",
        note: `norm of the first ${run} values only`,
        value: (c) => partNorm(c.x, 0, Math.min(run, c.x.length)),
      },
      {
        id: "norm-block",
        note: `norm of the last ${run} values only`,
        value: (c) => partNorm(c.x, Math.max(0, c.x.length - run), Math.min(run, c.x.length)),
      },
      {
        id: "norm-block",
        note: `corrected norm of the first ${run} values only`,
        value: (c) => partNorm(c.x, 0, Math.min(run, c.x.length)) / c.chosen,
      },
      {
        id: "norm-block",
        note: `corrected norm of the last ${run} values only`,
        value: (c) => partNorm(c.x, Math.max(0, c.x.length - run), Math.min(run, c.x.length)) / c.chosen,
      },
    );
  return list;
}

const close = (value: number, stored: number, wide: boolean): boolean =>
  wide
    ? Math.abs(value - stored) <= 3e-6 * Math.abs(value) || Object.is(Math.fround(value), stored)
    : halfSteps(fromF16(toF16(value)), stored) <= 1;

/** The rules that explain at least `least` of the cases, best first. wide: the norm is an f32. */
export function normVerdicts(
  own: NormRule,
  cases: readonly NormCase[],
  wide: boolean,
  group: number,
  least = 0.5,
  list: readonly EncoderRule[] = encoderRules(own, group),
): NormVerdict[] {
  const out: NormVerdict[] = [];
  if (cases.length === 0) return [{ note: "", fits: new Uint8Array(0), share: 1 }];
  for (const { id, note, value, gain } of list) {
    // The norm of the first 64 values of a head of 64: no rule of its own.
    if (id && cases.every((c) => Math.abs(value(c) - RULES[own](c)) <= 1e-7 * Math.abs(value(c)))) continue;
    const fits = new Uint8Array(cases.length);
    let sum = 0;
    let truncatedOnly = 0;
    let contradicts = 0;
    cases.forEach((c, i) => {
      const v = value(c);
      if (close(v, c.stored, wide) || (Number.isNaN(v) && Number.isNaN(c.stored))) {
        fits[i] = 1;
        sum++;
      }
      if (wide || !Number.isFinite(v) || v === 0 || v < 6.2e-5 || v >= 65520) return;
      const down = truncatedHalf(v);
      const nearest = toF16(v);
      const stored = toF16(c.stored);
      if (down !== nearest) {
        const gap = Math.abs(fromF16(nearest) - fromF16(down));
        const fromTie = Math.abs(Math.abs(v - fromF16(down)) / gap - 0.5);
        if (stored === down && fromTie > 0.01) truncatedOnly++;
        else if (stored === nearest && fromF16(nearest) - v > 0.001 * gap) contradicts++;
      } else if (stored !== down) {
        // The engine's own sum may have ended just below a half that ours ends just above.
        const below = fromF16(down - 1);
        if (!(stored === down - 1 && v - fromF16(down) < 0.001 * (fromF16(down) - below))) contradicts++;
      }
    });
    const share = sum / cases.length;
    if (share < least) continue;
    const base = { ...(id && { id }), ...(gain && { gain }) };
    if (truncatedOnly >= 6 && contradicts <= truncatedOnly / 50)
      out.push({
        ...base,
        id: id ? `${id}+norm-f16-truncated` : "norm-f16-truncated",
        note: `${note}${note ? ", " : ""}halves cut toward zero`,
        fits,
        share,
      });
    else out.push({ ...base, note, fits, share });
  }
  const parts = (v: NormVerdict): number => (v.id ? v.id.split("+").length : 0);
  return out.sort((a, b) => b.share - 0.03 * parts(b) - (a.share - 0.03 * parts(a)));
}

/** How far a table's size may be from its estimate. */
const SIZE_ERROR = 0.02;

const resized = (c: NormCase, by: number): NormCase => ({ ...c, chosen: c.chosen * by, inner: c.inner * by });

/** Cases of a table whose size is known to a percent or two, brought to the size that a rule has their norms in the middle. */
function sized(value: (c: NormCase) => number, cases: readonly NormCase[]): NormCase[] | undefined {
  const powers: number[] = [];
  const sizes: number[] = [];
  for (const c of cases) {
    const v = value(c);
    const power = Math.log(value(resized(c, 2)) / v) / Math.LN2;
    const size = (c.stored / v) ** (1 / power);
    if (!(Math.abs(power) > 0.5) || !Number.isFinite(size)) continue;
    powers.push(power);
    sizes.push(size);
  }
  if (sizes.length < 0.5 * cases.length || sizes.length < 3) return undefined;
  sizes.sort((a, b) => a - b);
  const middle = sizes[sizes.length >> 1]!;
  return Math.abs(middle - 1) < SIZE_ERROR ? cases.map((c) => resized(c, middle)) : undefined;
}

/** Rules where the table's size may be an estimate: as estimated if that explains nearly all, else as the norms have it. */
export function sizedVerdicts(
  own: NormRule,
  cases: readonly NormCase[],
  wide: boolean,
  group: number,
  estimated: boolean,
): NormVerdict[] {
  const plain = normVerdicts(own, cases, wide, group);
  if (!estimated || (plain[0] && plain[0].share > 0.95)) return plain;
  const more = encoderRules(own, group).flatMap((rule) => {
    const fitted = sized(rule.value, cases);
    return (fitted ? normVerdicts(own, fitted, wide, group, 0.5, [rule]) : []).map(
      (v): NormVerdict => ({ ...v, sized: true }),
    );
  });
  return [...plain, ...more].sort((a, b) => b.share - a.share);
}

/** The same, where the table and so ‖c‖ are known to a few percent only: rules that do not need ‖c‖, or the format's own. */
export function looseVerdicts(
  own: NormRule,
  cases: readonly NormCase[],
  wide: boolean,
  group: number,
  samples?: () => NormSample[],
): NormVerdict[] {
  const fixed = normVerdicts(own, cases, wide, group, 0.9).filter(
    (v) =>
      own === "raw" || !v.id || v.id === "norm-raw" || v.note === "‖x‖² stored" || v.id === "norm-ignored",
  );
  if (fixed.length > 0) return fixed;
  const fit = samples ? fitNorms(own, samples(), group, wide) : undefined;
  if (fit && fit.share > 0.9) {
    const { id, note } = fit;
    return [{ ...(id ? { id } : {}), note, fits: fit.fits, share: fit.share }];
  }
  const fits = Uint8Array.from(cases, (c) => {
    const off = c.stored / RULES[own](c);
    if (own === "raw") return 0; // it does not depend on the table
    return Math.abs(off - 1) < 0.06 || c.norm < 1e-7 || !Number.isFinite(c.stored) ? 1 : 0;
  });
  const share = fits.reduce((a, b) => a + b, 0) / Math.max(1, cases.length);
  if (share >= 0.8) return [{ note: "", fits, share }];
  // The codes alone tell the table; its norms are of nobody's making.
  return [{ note: "", fits: new Uint8Array(cases.length).fill(1), share: 0.85, open: true }];
}

/** Faults of a stage with that of its norms. A vector that was never normalised has 1 for a norm: that is one fault. */
export function joined(ids: readonly string[], rule: string | undefined): string {
  const more = rule ? rule.split("+") : [];
  const all = ids.flatMap((id) => id.split("+"));
  return pairId([
    ...all,
    ...(all.includes("norm-missing") ? more.filter((id) => id !== "norm-ignored") : more),
  ]);
}
