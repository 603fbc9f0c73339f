/**
 * Which tables have written these steps? The format's own, alone or with bits of its codes lost, levels that never occur
 * or one level changed; another's; or one of nobody's.
 */

import { pairId } from "../verdict.js";
import { OVERLAP, type Step, type Steps } from "./steps.js";
import { type NormEvidence, tablesOfCells } from "./table-fit.js";
import { type Brackets, matchingTables, type Table } from "./tables.js";
import type { Wire } from "./wire.js";

/** A run of codes, and the levels of the table that it holds. */
interface Levels {
  readonly first: number;
  readonly last: number;
  readonly low: number;
  readonly high: number;
}

/** Where boundaries of rounded digits may lie beside what codes say. */
const slackOf = (wire: Wire): number => (wire.tieDown ? 1.5e-4 : 2e-5) / Math.sqrt(wire.group / 128);

/**
 * Tables, the likeliest first; the format's own has no id.
 */
export function stepTables(wire: Wire, steps: Steps, norms: NormEvidence): Table[] {
  const { cells } = steps;
  if (cells.length < 2) return [];
  const blur = steps.widest > OVERLAP ? steps.widest : 0;
  const own = formatTables(wire, cells, blur);
  if (own.length > 0 && own[0]!.id === "") return own;
  const known = knownSteps(wire, cells, blur);
  const doubt = permutesBits(cells.map((c) => c.code)) ? { doubt: 0.01 } : {};
  const fitting = tablesOfCells(wire, cells, { norms, blur }).map((t) =>
    t.relabel ? { ...t, ...doubt } : ofOneSize(t),
  );
  const out = [
    ...own,
    ...(fitting[0]?.estimate === "shape" ? [] : fitting),
    ...known,
    ...(fitting[0]?.estimate === "shape" ? fitting : []),
  ];
  return wire.rule === "raw" ? out.map((t) => plainSize(wire, t)) : out;
}

/** Levels that norms show, of another size than boundaries between them can have: what is compared is of a wrong size. */
function ofOneSize(t: Table): Table {
  let mb = 0;
  let bb = 0;
  t.boundaries.forEach((b, i) => {
    if (!(Math.abs(b) < 1e8)) return;
    mb += (b * (t.centroids[i]! + t.centroids[i + 1]!)) / 2;
    bb += b * b;
  });
  const size = bb > 0 ? mb / bb : 1;
  if (!t.id || t.id.includes("+") || !(size > 0) || (size > 0.7 && size < 1.4)) return t;
  return {
    ...t,
    id: pairId([t.id, "rotation-scale"]),
    note: `${t.note}, whose levels are ${size.toPrecision(3)} times as large`,
  };
}

/** Tables of values that are too large or too small: what is too large beside a table is known by the norms. */
export function sizedTables(wire: Wire, { cells, widest }: Steps): Table[] {
  const blur = widest > OVERLAP ? widest : 0;
  // A sign has no size.
  if (cells.length < 2 || wire.bits === 1) return [];
  return gainsOf(wire).flatMap((g) => resized(wire, cells, blur, g));
}

/** The format's own table, whatever its codes are called: with levels that never occur, bits that are lost, in another order. */
function formatTables(wire: Wire, cells: readonly Step[], blur: number): Table[] {
  const codes = cells.map((c) => c.code);
  if (!codes.every((k, i) => i === 0 || k > codes[i - 1]!))
    return [...permutedTables(wire, cells, blur, true), ...maskedTables(wire, cells, blur, true)];
  const own = ownTable(wire, plainBrackets(wire, cells, blur));
  return own ? [own] : [...mergedTables(wire, cells, blur), ...maskedTables(wire, cells, blur, true)];
}

/** Tables of others, and the format's own with something changed. */
function knownSteps(wire: Wire, cells: readonly Step[], blur: number): Table[] {
  const codes = cells.map((c) => c.code);
  const rising = codes.every((k, i) => i === 0 || k > codes[i - 1]!);
  return [
    ...(rising
      ? editedTables(wire, plainBrackets(wire, cells, blur))
      : permutedTables(wire, cells, blur, false)),
    ...maskedTables(wire, cells, blur, false),
  ];
}

/** The same where the values that are compared are too large or too small. */
function resized(
  wire: Wire,
  cells: readonly Step[],
  blur: number,
  [note, gain]: readonly [string, number],
): Table[] {
  const scaled = cells.map((c) => ({ ...c, low: c.low * gain, high: c.high * gain }));
  const own = formatTables(wire, scaled, blur * gain);
  const codes = cells.map((c) => c.code);
  const found =
    own[0]?.id === ""
      ? own
      : [
          ...own,
          ...(codes.every((k, i) => i === 0 || k > codes[i - 1]!)
            ? matchingTables(wire, plainBrackets(wire, scaled, blur * gain)).slice(0, 6)
            : []),
          ...knownSteps(wire, scaled, blur * gain).slice(0, 6),
        ];
  return found.map((t) => ({
    ...t,
    id: pairId([...(t.id ? [t.id] : []), "rotation-scale"]),
    note: [t.note, note].filter((s) => s).join("; "),
    boundaries: t.boundaries.map((b) => b / gain),
  }));
}

const plainBrackets = (wire: Wire, cells: readonly Step[], blur: number): Brackets =>
  bracketsOf(
    wire,
    cells.map((c) => ({ ...c, first: c.code, last: c.code })),
    blur,
  );

/** Sizes of tables that somebody would choose, in units of the format's: levels that are equally far apart vary more. */
const PLAUSIBLE = { "codebook-sigma": 2.5, others: 5 } as const;

/** Where norms do not tell the size: a table of an implausible size is one that compares values of a wrong size. */
function plainSize(wire: Wire, t: Table): Table {
  if (t.estimate !== "size" || t.id.includes("+")) return t;
  const ends = (b: ArrayLike<number>): number => b[b.length - 1]! - b[0]!;
  const size = ends(t.boundaries) / ends(wire.boundaries);
  const most = t.id === "codebook-sigma" ? PLAUSIBLE[t.id] : PLAUSIBLE.others;
  if (size > 1 / most && size < most) return t;
  const id = t.id === "codebook-sigma" ? "rotation-scale" : pairId([t.id, "rotation-scale"]);
  return { ...t, id, note: `${t.note}, ${size.toPrecision(3)} times the format's size` };
}

function bracketsOf(wire: Wire, levels: readonly Levels[], blur: number): Brackets {
  const n = wire.centroids.length - 1;
  const low = new Float64Array(n).fill(-1e9);
  const high = new Float64Array(n).fill(1e9);
  for (let b = 0; b < n; b++) {
    const within = levels.find((c) => c.first <= b && b < c.last);
    const below = within ?? levels.filter((c) => c.last <= b).at(-1);
    const above = within ?? levels.find((c) => c.first > b);
    const ends = within ? [within.low, within.high] : [below ? below.high : -1e9, above ? above.low : 1e9];
    low[b] = Math.min(ends[0]!, ends[1]!) - blur;
    high[b] = Math.max(ends[0]!, ends[1]!) + blur;
  }
  return { low, high };
}

const holds = (b: ArrayLike<number>, k: Brackets, slack: number): boolean => {
  for (let i = 0; i < k.low.length; i++)
    if (b[i]! < k.low[i]! - slack || b[i]! > k.high[i]! + slack) return false;
  return true;
};

const ownOf = (wire: Wire, id: string, note: string, merged?: Uint8Array): Table => ({
  id,
  note,
  boundaries: wire.boundaries,
  centroids: wire.centroids,
  ...(merged ? { merged } : {}),
});

/** Boundaries of the format are known to all digits. */
const ownTable = (wire: Wire, k: Brackets): Table | undefined =>
  holds(wire.boundaries, k, OVERLAP) ? ownOf(wire, "", "") : undefined;

/** Own boundaries between codes that are not neighbours: the levels between have a neighbour's code. */
function mergedTables(wire: Wire, cells: readonly Step[], blur: number): Table[] {
  const n = wire.centroids.length;
  const slack = slackOf(wire) + blur;
  const merged = new Uint8Array(n).fill(cells.at(-1)!.code);
  let from = 0;
  for (let i = 1; i < cells.length; i++) {
    const [a, b] = [cells[i - 1]!, cells[i]!];
    let at = -1;
    for (let j = Math.max(0, from); j < n - 1; j++)
      if (wire.boundaries[j]! >= a.high - slack && wire.boundaries[j]! <= b.low + slack) at = j;
    if (at < 0) return [];
    merged.fill(a.code, from, at + 1);
    from = at + 1;
  }
  const [bottom, top] = [cells[0]!.code, cells.at(-1)!.code];
  const half = top < n / 2 || bottom >= n / 2;
  return [
    ownOf(
      wire,
      half ? "codebook-truncated" : "codebook-order",
      half ? `only codes ${bottom} … ${top} occur` : "levels that never occur have their neighbour's code",
      merged,
    ),
  ];
}

/** The format's table with everything moved, or with one level changed. */
function editedTables(wire: Wire, k: Brackets): Table[] {
  const { boundaries, centroids } = wire;
  const out: Table[] = [];
  // Few boundaries are those of many tables.
  const seen = boundaries.reduce((n, _, i) => n + (k.low[i]! > -1e8 && k.high[i]! < 1e8 ? 1 : 0), 0);
  if (seen < Math.max(3, boundaries.length / 2)) return out;
  let [least, most] = [Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY];
  boundaries.forEach((b, i) => {
    least = Math.max(least, k.low[i]! - b);
    most = Math.min(most, k.high[i]! - b);
  });
  const slack = slackOf(wire);
  if (least - slack <= most + slack && (least > slack || most < -slack)) {
    const by = (least + most) / 2;
    out.push({
      id: "codebook-order",
      note: `everything moved by ${by.toFixed(5)}: not symmetric`,
      boundaries: boundaries.map((b) => b + by),
      centroids: centroids.map((c) => c + by),
      estimate: "size",
    });
  }
  for (let j = 0; j < centroids.length; j++) {
    const sides: [number, number][] = [];
    if (j > 0) sides.push([2 * k.low[j - 1]! - centroids[j - 1]!, 2 * k.high[j - 1]! - centroids[j - 1]!]);
    if (j < boundaries.length)
      sides.push([2 * k.low[j]! - centroids[j + 1]!, 2 * k.high[j]! - centroids[j + 1]!]);
    const low = Math.max(...sides.map((s) => s[0])) - 2 * slack;
    const high = Math.min(...sides.map((s) => s[1])) + 2 * slack;
    const others = boundaries.every(
      (b, i) => i === j || i === j - 1 || (b >= k.low[i]! - slack && b <= k.high[i]! + slack),
    );
    if (!others || low > high || high - low > 1e6) continue;
    const level = low <= 0 && high >= 0 ? 0 : (low + high) / 2;
    const table = centroids.map((c, i) => (i === j ? level : c));
    out.push({
      id: "codebook-order",
      note: level === 0 ? `level ${j} is zero` : `level ${j} is ${level.toFixed(5)}`,
      boundaries: boundaries.map((b, i) => {
        const middle = (table[i]! + table[i + 1]!) / 2;
        return i === j || i === j - 1 || (middle >= k.low[i]! && middle <= k.high[i]!) ? middle : b;
      }),
      centroids: table,
    });
  }
  return out;
}

/** Factors by which a forgotten or repeated 1/√d makes rotated values too large. */
export const gainsOf = (wire: Wire): readonly (readonly [string, number])[] => {
  const root = Math.sqrt(wire.block);
  const all: [string, number][] = [
    ["1/√d missing", root],
    ["1/√d applied twice", 1 / root],
    ["1/√128 in place of 1/√d", root / Math.sqrt(128)],
    ["1/√64 in place of 1/√d", root / 8],
    ["1/√256 in place of 1/√d", root / 16],
    ["1/√(2d) in place of 1/√d", Math.SQRT1_2],
    ["√2 too large", Math.SQRT2],
    ["2 too large", 2],
    ["2 too small", 0.5],
  ];
  return all.filter(
    ([, g], i) => Math.abs(g - 1) > 1e-9 && all.findIndex((o) => Math.abs(o[1] - g) < 1e-9) === i,
  );
};

/** Codes of which bits are lost: the levels are those in whose order the codes rise again and again. */
function maskedTables(wire: Wire, cells: readonly Step[], blur: number, own: boolean): Table[] {
  const n = wire.centroids.length;
  const top = n - 1;
  const masks: [number, string][] = [
    [top >> 1, "codebook-truncated"],
    [3, "codebook-truncated"],
    ...Array.from({ length: wire.bits }, (_, b): [number, string] => [top ^ (1 << b), "pack-plane-missing"]),
    [top ^ 3, "pack-plane-missing"],
  ];
  const out: Table[] = [];
  const done = new Set([0, top]);
  for (const [mask, id] of masks) {
    if (done.has(mask) || mask > top) continue;
    done.add(mask);
    const runs: { code: number; first: number; last: number }[] = [];
    for (let k = 0; k < n; k++) {
      const last = runs.at(-1);
      if (last && last.code === (k & mask)) last.last = k;
      else runs.push({ code: k & mask, first: k, last: k });
    }
    for (let from = 0; from + cells.length <= runs.length; from++) {
      const part = runs.slice(from, from + cells.length);
      if (!part.every((r, i) => r.code === cells[i]!.code)) continue;
      const k = bracketsOf(
        wire,
        part.map((r, i) => ({ ...r, low: cells[i]!.low, high: cells[i]!.high })),
        blur,
      );
      const merged = Uint8Array.from({ length: n }, (_, level) => level & mask);
      const note = `codes & ${mask}`;
      const format = ownTable(wire, k);
      if (own !== (format !== undefined)) continue;
      const found = format ? [format] : [...matchingTables(wire, k), ...editedTables(wire, k)].slice(0, 8);
      for (const t of found)
        out.push({
          ...t,
          id: pairId([id, t.id].filter((i) => i)),
          note: [note, t.note].filter((s) => s).join("; "),
          merged,
        });
    }
  }
  return out;
}

/** Every code has one run, but they do not rise: the format's own boundaries with codes in another order. */
function permutedTables(wire: Wire, cells: readonly Step[], blur: number, own: boolean): Table[] {
  const n = wire.centroids.length;
  if (cells.length !== n || new Set(cells.map((c) => c.code)).size !== n) return [];
  const falls = cells.filter((c, i) => i > 0 && c.code < cells[i - 1]!.code).length;
  if (falls > 0.6 * (n - 1)) return []; // complemented
  const k = bracketsOf(
    wire,
    cells.map((c, i) => ({ ...c, first: i, last: i })),
    blur,
  );
  const codes = cells.map((c) => c.code);
  const note = `codes in the order ${codes.join(" ")}`;
  const format = ownTable(wire, k);
  if (own !== (format !== undefined)) return [];
  return (format ? [format] : matchingTables(wire, k).slice(0, 4)).map((t) => ({
    ...t,
    id: pairId(["codebook-order", t.id].filter((i) => i)),
    note: [note, t.note].filter((s) => s).join("; "),
    merged: Uint8Array.from(codes),
    ...(permutesBits(codes) ? { doubt: 0.01 } : {}),
  }));
}

/** Codes whose bits are exchanged: a packing is likelier than a table in such an order. */
function permutesBits(codes: readonly number[]): boolean {
  if (codes.every((code, k) => code === k)) return false;
  return codes.every((code, k) => {
    let sum = 0;
    for (let b = 1; b < codes.length; b <<= 1) if (k & b) sum += codes[b]!;
    return sum === code;
  });
}
