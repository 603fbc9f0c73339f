/**
 * Codes that no known rotation explains, while scales go with them: some other orthogonal matrix, alone or beside a
 * fault that shows without the rotation. Stored scales tell rule and table (‖c‖ is that of the codes), frequencies of
 * codes tell the table too.
 */

import { type Fault, faultCount } from "../verdict.js";
import { apart, cellMasses, frequencies, NEAR, tableOfFrequencies } from "./code-histogram.js";
import { lengthOf } from "./evidence.js";
import { joined, type NormCase, type NormVerdict } from "./norms.js";
import { candidateTables } from "./tables.js";
import type { Wire } from "./wire.js";

/** One way to read a dump: which order, which packing. */
export interface Reading {
  readonly ids: readonly string[];
  readonly note: string;
  /** Bits of a code that are there. */
  readonly mask: number;
  readonly groups: readonly {
    readonly norm: number;
    readonly x: Float64Array;
    readonly codes: Uint8Array;
    readonly stored: number;
  }[];
}

type Rules = (cases: readonly NormCase[]) => readonly NormVerdict[];

const UNKNOWN = "rotation-unknown";
/** A half's rounding and what is left of a mean over groups. */
const EXACT = 4e-4;

/** all: the format's own reading first. rules: of the scales, where ⟨z,c⟩ is not known (NaN). */
export function unknownRotation(wire: Wire, all: readonly Reading[], rules: Rules): Fault[] {
  const out: Fault[] = [];
  for (const reading of all) {
    if (faultCount(UNKNOWN, ...reading.ids) > 2 || reading.groups.length < 3) continue;
    const found =
      reading.mask === wire.centroids.length - 1 ? whole(wire, reading, rules) : masked(wire, reading);
    out.push(...found.filter((f) => faultCount(f.id) <= 2));
    if (out.length > 0) break;
  }
  return out;
}

function whole(wire: Wire, reading: Reading, rules: Rules): Fault[] {
  const { groups, ids } = reading;
  const say = (more: string | undefined, explains: number, note: string): Fault => ({
    id: joined([UNKNOWN, ...ids], more),
    explains,
    evidence: `${groups.length} groups: the codes have nothing to do with the values${[reading.note, note]
      .filter((n) => n)
      .map((n) => `; ${n}`)
      .join("")}`,
  });
  const seen = frequencies(
    groups.map((g) => g.codes),
    wire.centroids.length,
  );
  const spread = tableOfFrequencies(wire, seen);
  if (!spread) return [];
  const cases = groups.map(({ norm, x, codes, stored }) => ({
    norm,
    x,
    stored,
    chosen: lengthOf(wire.centroids, codes),
    inner: Number.NaN,
  }));
  const fitting = rules(cases).filter((r) => r.share > 0.9);
  const rule = fitting[0];
  const few = saturated(reading, spread.size);
  if (few) return [say("norm-missing", 0.65, few)];
  if (rule && !spread.id) return [say(rule.id, 0.6, rule.note || "norms fit the codes")];
  const run = spread.size === undefined ? undefined : ownLength(wire, spread.size);
  if (run !== undefined && rule && !rule.id)
    return [say("norm-block", 0.62, `codes spread as those of values of which each ${run} have unit length`)];
  if (rule?.id === undefined && rule && spread.id) return [say(spread.id, 0.65, spread.note)];
  const table = tableOfScales(wire, reading);
  if (table) return [say(table.id, 0.65, table.note)];
  if (spread.id) return spread.size === undefined ? [say(spread.id, 0.58, spread.note)] : [];
  const mean = expectedRule(wire, reading);
  return mean ? [say(mean.id, 0.62, mean.note)] : [];
}

/** So many values were brought to unit length at a time, by the size of a table that has such codes; half of them is 1/√(2d). */
const ownLength = (wire: Wire, size: number): number | undefined =>
  [16, 32, 64].find(
    (run) => 2 * run < wire.group && Math.abs(size / Math.sqrt(run / wire.group) - 1) < 0.025,
  );

/** Nearly all codes are the outermost, or the innermost: vectors that were not brought to unit length. */
function saturated({ groups }: Reading, size: number | undefined): string | undefined {
  if (size === undefined || (size > 0.45 && size < 2.2)) return undefined;
  const norms = groups.map((g) => g.norm).sort((a, b) => a - b);
  const middle = norms[norms.length >> 1]!;
  const off = Math.log(size * middle);
  return Math.abs(off) < 0.5 || (size < 0.1 && middle > 8)
    ? `codes spread as those of vectors of length ${middle.toPrecision(3)} that were not normalised`
    : undefined;
}

/** The table under which scales go with codes: ‖x‖/(scale·‖c‖) is the same in all groups. */
function tableOfScales(wire: Wire, { groups }: Reading): { id: string; note: string } | undefined {
  if (wire.rule !== "norm-matching" || groups.length < 6) return undefined;
  const counts = groups.map((g) => {
    const n = new Float64Array(wire.centroids.length);
    for (const k of g.codes) n[k]!++;
    return n;
  });
  const factors = (c: Float64Array): { mean: number; deviation: number } => {
    const logs = groups.map((g, i) => {
      let squares = 0;
      for (let k = 0; k < c.length; k++) squares += counts[i]![k]! * c[k]! * c[k]!;
      return Math.log((g.stored * Math.sqrt(squares)) / g.norm);
    });
    const mean = logs.reduce((a, b) => a + b, 0) / logs.length;
    return { mean, deviation: Math.sqrt(logs.reduce((s, v) => s + (v - mean) ** 2, 0) / logs.length) };
  };
  const own = factors(wire.centroids);
  if (own.deviation < EXACT && Math.abs(own.mean) > 2e-3)
    return {
      id: "codebook-sigma",
      note: `scales are those of the table times ${Math.exp(-own.mean).toFixed(4)}`,
    };
  const n = wire.centroids.length;
  const uniform = factors(Float64Array.from({ length: n }, (_, k) => (k - (n - 1) / 2) / n));
  if (wire.bits > 2 && uniform.deviation < EXACT)
    return { id: "codebook-uniform", note: "scales are those of equally spaced levels" };
  let best: { id: string; note: string; deviation: number } | undefined;
  for (const t of candidateTables(wire)) {
    const f = factors(t.centroids);
    if (f.deviation < EXACT && Math.abs(f.mean) < 1e-3 && (!best || f.deviation < best.deviation - 2e-5))
      best = { id: t.id, note: `scales are those of ${t.note}`, deviation: f.deviation };
  }
  return best;
}

/** Rules that need ⟨z,c⟩, by the mean of what it must be: codes' cells have means of their own. */
function expectedRule(wire: Wire, { groups }: Reading): { id: string; note: string } | undefined {
  if (wire.rule === "unbiased") return undefined;
  const masses = cellMasses(wire.boundaries, wire.group);
  const edges = [-1e9, ...wire.boundaries, 1e9];
  const root = Math.sqrt(wire.group);
  const density = (b: number): number => Math.exp((-b * b * wire.group) / 2) / Math.sqrt(2 * Math.PI) / root;
  const means = masses.map((p, k) => (density(edges[k]!) - density(edges[k + 1]!)) / p);
  const logs = { ls: 0, unbiased: 0, matching: 0 };
  let squares = 0;
  for (const { norm, codes, stored } of groups) {
    let inner = 0;
    for (const k of codes) inner += means[k]! * wire.centroids[k]!;
    const length = lengthOf(wire.centroids, codes);
    const v = Math.log(stored / norm);
    logs.ls += v - Math.log(inner / length ** 2);
    logs.unbiased += v + Math.log(inner);
    logs.matching += v + Math.log(length);
    squares += (v - Math.log(inner / length ** 2)) ** 2;
  }
  const n = groups.length;
  const slack = 3 * Math.sqrt(squares / n / n) + 5e-4;
  if (!(squares / n < 0.03 ** 2)) return undefined;
  const off = (v: number): number => Math.abs(v / n);
  const least = Math.min(off(logs.ls), off(logs.unbiased));
  if (least > Math.min(slack, 4e-3) || off(logs.matching) < 2 * least) return undefined;
  const kind = off(logs.ls) < off(logs.unbiased) ? "least-squares" : "unbiased";
  return { id: "scale-rule", note: `scales are, in the mean, those of the ${kind} rule` };
}

/** Codes of which a bit is missing everywhere: frequencies are the folded ones, scales about right. */
function masked(wire: Wire, { groups, ids, mask, note }: Reading): Fault[] {
  const n = wire.centroids.length;
  const seen = frequencies(
    groups.map((g) => g.codes),
    n,
  );
  if (seen.counts.some((c, k) => c > 0 && (k & mask) !== k)) return [];
  const folded = new Float64Array(n);
  cellMasses(wire.boundaries, wire.group).forEach((p, k) => {
    folded[k & mask]! += p;
  });
  if (apart(seen, folded) > NEAR) return [];
  const typical =
    wire.rule === "raw"
      ? 1
      : 1 /
        Math.sqrt(
          wire.centroids.reduce(
            (s, c, k) => s + c * c * cellMasses(wire.boundaries, wire.group)[k]! * wire.group,
            0,
          ),
        );
  const right = groups.filter((g) => Math.abs(g.stored / g.norm / typical - 1) < 0.12).length;
  if (right < 0.9 * groups.length) return [];
  return [
    {
      id: joined([UNKNOWN, ...ids], undefined),
      explains: 0.62,
      evidence: `${groups.length} groups: the codes have nothing to do with the values; ${note}`,
    },
  ];
}
