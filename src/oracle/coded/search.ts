/** Diagnosis of formats with a coder: every way to make the codes of a few units, and the rule of the scales of all. */

import { joined, type NormCase } from "../pipeline/norms.js";
import { type Fault, faultCount, ranked } from "../verdict.js";
import {
  type CodePacking,
  type Coder,
  type Coding,
  lengthOf,
  partsIn,
  type Quantiser,
  type Turn,
  turnedBy,
  unitsOf,
} from "./coded.js";
import { scaleCases, scaleVerdicts } from "./norms.js";

/** Units whose codes decide, and units that are looked at. */
const SAMPLE = 8;
const MOST = 96;
/** Share of codes that have to be right in the first unit, and in the sample. */
const FIRST = 0.8;
const ALIKE = 0.96;

interface Unit {
  readonly index: number;
  readonly x: Float64Array;
  readonly norm: number;
}

/** How a stage was seen to work: what units it explains. */
interface Seen {
  readonly ids: readonly string[];
  readonly note: string;
  readonly fits: readonly boolean[];
  readonly cases: readonly NormCase[];
}

const agreement = (a: Uint8Array, b: Uint8Array): number => {
  let same = 0;
  for (let i = 0; i < a.length; i++) if (a[i] === b[i]) same++;
  return same / a.length;
};

function sampled(coder: Coder, x: Float32Array): Unit[] {
  const count = x.length / coder.values;
  const step = Math.max(1, Math.floor(count / MOST));
  return unitsOf(coder, x, MOST)
    .map((values, i) => ({ index: i * step, x: values, norm: lengthOf(values) }))
    .filter((u) => u.norm > 1e-6 && Number.isFinite(u.norm) && new Set(u.x.map(Math.abs)).size > 4);
}

/** Codings, each made once. */
function memo(coder: Coder, units: readonly Unit[]) {
  const turned = new Map<Turn, Float64Array[]>();
  const coded = new Map<Turn, Map<Quantiser, Coding[]>>();
  const z = (turn: Turn, u: number): Float64Array => {
    let list = turned.get(turn);
    if (!list) turned.set(turn, (list = []));
    return (list[u] ??= turnedBy(coder, turn, units[u]!.x, units[u]!.norm));
  };
  const coding = (turn: Turn, quantiser: Quantiser, u: number): Coding => {
    let by = coded.get(turn);
    if (!by) coded.set(turn, (by = new Map()));
    let list = by.get(quantiser);
    if (!list) by.set(quantiser, (list = []));
    return (list[u] ??= quantiser.code(z(turn, u), units[u]!.norm));
  };
  return { z, coding };
}

/** packed: of the right length. */
export function codedFaults(coder: Coder, x: Float32Array, packed: Uint8Array): Fault[] {
  const units = sampled(coder, x);
  if (units.length < 2) return [];
  const at = (u: number): number => units[u]!.index * coder.bytes;
  const { z, coding } = memo(coder, units);
  const out: Fault[] = [];
  const read = new Map<CodePacking, Uint8Array[]>();
  const codesOf = (p: CodePacking, u: number): Uint8Array => {
    let list = read.get(p);
    if (!list) read.set(p, (list = []));
    return (list[u] ??= p.read(packed, at(u)));
  };
  const whole = coder.packings[0]!;
  const fitted =
    coder.fitted?.(
      units.map((_, u) => ({
        z: z(coder.turns[0]!, u),
        norm: units[u]!.norm,
        coding: { codes: codesOf(whole, u), scales: coder.scales(packed, at(u)) },
      })),
    ) ?? [];
  const quantisers = [...coder.quantisers, ...fitted];
  for (const pairs of [false, true]) {
    if (pairs && alone(out)) break;
    for (const p of coder.packings)
      for (const turn of coder.turns)
        for (const q of quantisers) {
          if ((pairs && q.single) || !among(pairs, p, turn, q)) continue;
          const scalesOf = (u: number): number[] => p.scales?.(packed, at(u)) ?? coder.scales(packed, at(u));
          const codes = (u: number): Uint8Array =>
            q.codeWith?.(z(turn, u), scalesOf(u)) ?? coding(turn, q, u).codes;
          const alike = (u: number, searched = false): number => {
            const plain = agreement(
              p.kept?.(coding(turn, q, u).codes) ?? coding(turn, q, u).codes,
              codesOf(p, u),
            );
            if (plain > ALIKE || !q.codeWith || searched) return plain;
            return Math.max(plain, agreement(p.kept?.(codes(u)) ?? codes(u), codesOf(p, u)));
          };
          if (!alikeEnough(alike, units.length)) continue;
          const fits: boolean[] = [];
          const cases: NormCase[] = [];
          for (let u = 0; u < units.length; u++) {
            fits.push(alike(u) > ALIKE);
            const made = coding(turn, q, u);
            // A search for a scale may have ended elsewhere: then the scale is that of the codes.
            const c = alike(u, true) > ALIKE ? made : { codes: codes(u), scales: [] };
            const levels = q.levels?.(c.codes) ?? coder.levels(c.codes);
            cases.push(...scaleCases(coder, z(turn, u), units[u]!.norm, c, levels, scalesOf(u)));
          }
          const ids = [p.id, turn.id, q.id].filter((id): id is string => !!id);
          const note = [turn.note, q.note, p.note].filter((n) => n).join("; ");
          out.push(...withScales(coder, { ids, note, fits, cases }, false));
        }
  }
  if (!out.some((f) => f.explains > 0.5)) out.push(...elsewhere(coder, units, codesOf, packed, at));
  return ranked(out);
}

/** One fault explains all there is. */
const alone = (found: readonly Fault[]): boolean =>
  found.some((f) => f.explains > 0.97 && !f.id.includes("+"));

/** Stages with one fault at most, or with two. */
const among = (pairs: boolean, ...stages: readonly { readonly id?: string | undefined }[]): boolean => {
  const count = faultCount(...stages.map((s) => s.id));
  return pairs ? count === 2 : count < 2;
};

function alikeEnough(alike: (u: number) => number, count: number): boolean {
  if (alike(0) < FIRST) return false;
  let sum = 0;
  const most = Math.min(SAMPLE, count);
  for (let u = 0; u < most; u++) sum += alike(u);
  return sum / most >= ALIKE;
}

function withScales(coder: Coder, s: Seen, decoded: boolean): Fault[] {
  const parts = partsIn(coder);
  const count = s.fits.length;
  const out: Fault[] = [];
  for (const rule of scaleVerdicts(coder, s.cases, decoded).slice(0, 3)) {
    if (s.ids.length === 0 && !rule.id) continue;
    const id = joined(s.ids, rule.id);
    if (id.split("+").length > 2) continue;
    let both = 0;
    s.fits.forEach((fit, u) => {
      let good = 0;
      for (let p = u * parts; p < (u + 1) * parts; p++) good += rule.fits[p]!;
      if (fit) both += good / parts;
    });
    out.push({
      id,
      explains: both / count,
      evidence: `${Math.round(both)} of ${count} units: ${[s.note, rule.note].filter((n) => n).join("; ")}`,
    });
  }
  return out;
}

/** Norms that are right, of codes that point elsewhere: another rotation. */
function elsewhere(
  coder: Coder,
  units: readonly Unit[],
  codesOf: (p: CodePacking, u: number) => Uint8Array,
  packed: Uint8Array,
  at: (u: number) => number,
): Fault[] {
  const [p] = coder.packings;
  const values = units.map((_, u) => {
    const levels = coder.levels(codesOf(p!, u)).slice();
    coder.scales(packed, at(u)).forEach((s, k) => {
      for (let i = k * coder.part; i < (k + 1) * coder.part; i++) levels[i]! *= s;
    });
    return levels;
  });
  const found = pointsElsewhere(coder, units, values);
  if (found === undefined) return [];
  return [
    {
      id: "rotation-unknown",
      explains: 0.9 * found,
      evidence: "norms are right, and codes have nothing to do with the values",
    },
  ];
}

/** Share of units that are as long as they should be, if they have nothing to do with the true ones. */
function pointsElsewhere(
  coder: Coder,
  units: readonly Unit[],
  values: readonly Float64Array[],
): number | undefined {
  let close = 0;
  let cosine = 0;
  units.forEach((u, k) => {
    const z = coder.turns[0]!.run(u.x, 1);
    const size = lengthOf(values[k]!);
    if (Math.abs(size / u.norm - 1) < 0.12) close++;
    cosine += z.reduce((sum, v, i) => sum + v * values[k]![i]!, 0) / (size * lengthOf(z) || 1);
  });
  const n = units.length;
  return close > 0.9 * n && Math.abs(cosine / n) < 0.3 ? close / n : undefined;
}

/** How far a part's values may be from multiples of its levels, in its largest. */
const PROPORTIONAL = 1e-3;

/** decoded: (n · values), in the original basis; ref: the format's own bytes of x. */
export function codedValueFaults(
  coder: Coder,
  x: Float32Array,
  decoded: Float32Array,
  ref: () => Uint8Array,
): Fault[] {
  const units = sampled(coder, x).filter((u) =>
    decoded.subarray(u.index * coder.values, (u.index + 1) * coder.values).every((v) => Number.isFinite(v)),
  );
  if (units.length < 2) return [];
  const { z, coding } = memo(coder, units);
  const out: Fault[] = [];
  const scratch = new Uint8Array(coder.bytes);
  const true_ = coder.packings[0]!;
  const readings: { id?: string | undefined; note: string; map(codes: Uint8Array): Uint8Array }[] = [
    { note: "", map: (codes) => codes },
    {
      id: "pack-tail-dropped",
      note: "the second half of the codes is zero",
      map: (codes) => codes.map((k, i) => (i < codes.length / 2 ? k : 0)),
    },
  ];
  const through =
    (write: CodePacking, read: CodePacking) =>
    (codes: Uint8Array): Uint8Array => {
      scratch.fill(0);
      write.write(codes, scratch, 0);
      return read.read(scratch, 0);
    };
  for (const p of coder.packings.slice(1)) {
    if (p.id === "endian-norm") continue;
    readings.push({ id: p.id, note: `read: ${p.note}`, map: p.kept ?? through(true_, p) });
    if (!p.kept) readings.push({ id: p.id, note: `written: ${p.note}`, map: through(p, true_) });
  }
  for (const pairs of [false, true]) {
    if (pairs && alone(out)) break;
    for (const view of coder.views) {
      const given = units.map((u) =>
        view.run(
          Float64Array.from(decoded.subarray(u.index * coder.values, (u.index + 1) * coder.values)),
          1,
        ),
      );
      for (const reading of readings)
        for (const turn of coder.turns)
          for (const [q, levelsOf] of decoders(coder)) {
            if ((pairs && q.single) || !among(pairs, view, reading, turn, q)) continue;
            const seen = (u: number): { fit: number; scales: number[] } => {
              const codes = reading.map(coding(turn, q, u).codes);
              return proportions(coder, given[u]!, levelsOf(codes));
            };
            if (!alikeEnough((u) => seen(u).fit, units.length)) continue;
            const fits: boolean[] = [];
            const cases: NormCase[] = [];
            for (let u = 0; u < units.length; u++) {
              const { fit, scales } = seen(u);
              fits.push(fit > ALIKE);
              const c = coding(turn, q, u);
              cases.push(
                ...scaleCases(
                  coder,
                  z(turn, u),
                  units[u]!.norm,
                  c,
                  q.levels?.(c.codes) ?? coder.levels(c.codes),
                  scales,
                ),
              );
            }
            const ids = [view.id, reading.id, turn.id, q.id].filter((id): id is string => !!id);
            const note = [view.note, turn.note, q.note, reading.note].filter((n) => n).join("; ");
            out.push(...withScales(coder, { ids, note, fits, cases }, true));
          }
    }
  }
  if (!out.some((f) => f.explains > 0.9)) out.push(...misreadScales(coder, units, decoded, ref()));
  if (!out.some((f) => f.explains > 0.5)) {
    const back = units.map((u) =>
      coder.views[0]!.run(
        Float64Array.from(decoded.subarray(u.index * coder.values, (u.index + 1) * coder.values)),
        1,
      ),
    );
    const found = pointsElsewhere(coder, units, back);
    if (found !== undefined)
      out.push({
        id: "rotation-unknown",
        explains: 0.7 * found,
        evidence: "values are as long as is due, and point elsewhere",
      });
  }
  return ranked(out);
}

/** Right bytes of which a decoder takes codes and scales from the wrong places. */
function misreadScales(
  coder: Coder,
  units: readonly Unit[],
  decoded: Float32Array,
  ref: Uint8Array,
): Fault[] {
  return coder.packings.flatMap((p) => {
    if (!p.scales) return [];
    let same = 0;
    for (const u of units) {
      const at = u.index * coder.bytes;
      const due = coder.levels(p.read(ref, at)).slice();
      p.scales(ref, at).forEach((s, k) => {
        for (let i = k * coder.part; i < (k + 1) * coder.part; i++) due[i]! *= s;
      });
      const y = coder.views[0]!.run(
        Float64Array.from(decoded.subarray(u.index * coder.values, (u.index + 1) * coder.values)),
        1,
      );
      if (lengthOf(y.map((v, i) => v - due[i]!)) <= PROPORTIONAL * lengthOf(due)) same++;
    }
    const evidence = `${same} of ${units.length} units, read: ${p.note}`;
    return same > 0.5 * units.length ? [{ id: p.id!, explains: same / units.length, evidence }] : [];
  });
}

/** Quantisers, each read with the format's own levels, or with its own where they are others. */
function decoders(coder: Coder): [Quantiser, (codes: Uint8Array) => Float64Array][] {
  return coder.quantisers.flatMap((q): [Quantiser, (codes: Uint8Array) => Float64Array][] => {
    const plain: [Quantiser, (codes: Uint8Array) => Float64Array] = [q, (codes) => coder.levels(codes)];
    return q.id?.startsWith("codebook") && q.levels ? [[q, (codes) => q.levels!(codes)], plain] : [plain];
  });
}

/** Of each part the scale that its values are of its levels; fit: the share of parts that are multiples of them. */
function proportions(coder: Coder, y: Float64Array, levels: Float64Array): { fit: number; scales: number[] } {
  const { part } = coder;
  const scales: number[] = [];
  let good = 0;
  for (let from = 0; from < y.length; from += part) {
    let yl = 0;
    let ll = 0;
    for (let i = from; i < from + part; i++) {
      yl += y[i]! * levels[i]!;
      ll += levels[i]! ** 2;
    }
    const s = ll > 0 ? yl / ll : 0;
    let off = 0;
    for (let i = from; i < from + part; i++) off = Math.max(off, Math.abs(y[i]! - s * levels[i]!));
    if (off <= PROPORTIONAL * Math.max(lengthOf(y, from, from + part), 1e-12)) good++;
    scales.push(s);
  }
  return { fit: good / scales.length, scales };
}
