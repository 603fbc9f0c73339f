/**
 * Decoded values as a function of the codes that ought to be there: whatever table and scale a decoder has, coordinates
 * of one code have one value in a group. What a front of the pipeline predicts is checked without knowing the rest.
 */

/** Coordinates whose value is not that of the first one with their code; more than `most` ends the count. */
export function strays(y: Float64Array, codes: Uint8Array, slack: number, most: number): number {
  const first = new Float64Array(256).fill(Number.NaN);
  let off = 0;
  for (let i = 0; i < codes.length; i++) {
    const k = codes[i]!;
    const v = first[k]!;
    if (Number.isNaN(v)) first[k] = y[i]!;
    else if (!(Math.abs(y[i]! - v) <= slack) && ++off > most) return off;
  }
  return off;
}

export const peak = (y: Float64Array): number => {
  let most = 0;
  for (const v of y) if (!(Math.abs(v) <= most)) most = Math.abs(v);
  return most;
};

/** How many different values there are. */
export function valuesOf(y: Float64Array, slack: number): number {
  const near = 2.2 * slack * peak(y);
  const sorted = y.slice().sort();
  return sorted.reduce((n, v, i) => n + (i === 0 || v - sorted[i - 1]! > near ? 1 : 0), 0);
}

/** How many coordinates are off, at most `most` and one; that of a group that says nothing. slack: of the largest value. */
export const offCount = (y: Float64Array, codes: Uint8Array, slack: number, most: number): number => {
  const top = peak(y);
  return top > 0 && Number.isFinite(top) ? strays(y, codes, 2.2 * slack * top, most) : most + 1;
};

export interface Parts {
  /** What stands for each code, in a unit that all groups share; NaN where no code was seen. */
  readonly levels: Float64Array;
  /** Per group; NaN where a group says nothing or something else. */
  readonly scale: Float64Array;
  readonly fitting: readonly number[];
  /** Share of the coordinates that have another code's value, and the groups that have none. */
  readonly off: number;
  readonly clean: readonly number[];
}

/** Middle value of each code in a group. */
function middles(y: Float64Array, codes: Uint8Array, count: number): Float64Array {
  const lists = Array.from({ length: count }, () => [] as number[]);
  for (let i = 0; i < codes.length; i++) lists[codes[i]!]!.push(y[i]!);
  return Float64Array.from(lists, (l) => (l.length ? l.sort((a, b) => a - b)[l.length >> 1]! : Number.NaN));
}

/** Levels and scales of groups, y = scale · level[code]: undefined where there are none. count: of codes. */
export function partsOf(
  y: readonly Float64Array[],
  codes: (g: number) => Uint8Array,
  groups: readonly number[],
  count: number,
  slack: number,
): Parts | undefined {
  const seen: { g: number; m: Float64Array; n: Float64Array; top: number; known: number }[] = [];
  for (const g of groups) {
    const top = peak(y[g]!);
    if (!(top > 0) || !Number.isFinite(top)) continue;
    const k = codes(g);
    const n = new Float64Array(count);
    for (const c of k) n[c]!++;
    const m = middles(y[g]!, k, count);
    seen.push({ g, m, n, top, known: n.reduce((s, v) => s + (v > 0 ? 1 : 0), 0) });
  }
  if (seen.length < 2) return undefined;
  seen.sort((a, b) => b.known - a.known || a.g - b.g);
  const scale = new Float64Array(y.length).fill(Number.NaN);
  const first = seen[0]!;
  let levels = first.m.map((v) => v / first.top);
  for (let round = 0; round < 2; round++) {
    const sum = new Float64Array(count);
    const weight = new Float64Array(count);
    for (const { g, m, n } of seen) {
      let ml = 0;
      let ll = 0;
      for (let k = 0; k < count; k++) {
        if (!(n[k]! > 0) || Number.isNaN(levels[k]!)) continue;
        ml += n[k]! * m[k]! * levels[k]!;
        ll += n[k]! * levels[k]! ** 2;
      }
      const s = ll > 0 ? ml / ll : Number.NaN;
      scale[g] = s;
      if (!(Math.abs(s) > 0)) continue;
      for (let k = 0; k < count; k++)
        if (n[k]! > 0) {
          // Groups count alike, however large they are.
          sum[k]! += n[k]! * (m[k]! / s);
          weight[k]! += n[k]!;
        }
    }
    levels = sum.map((v, k) => (weight[k]! > 0 ? v / weight[k]! : Number.NaN));
  }
  const fitting = seen
    .filter(({ g, m, top }) =>
      m.every((v, k) => Number.isNaN(v) || Math.abs(v - scale[g]! * levels[k]!) <= 2.2 * slack * top),
    )
    .map(({ g }) => g)
    .sort((a, b) => a - b);
  if (fitting.length < 0.8 * seen.length) return undefined;
  let off = 0;
  let all = 0;
  const of = new Set(fitting);
  const clean: number[] = [];
  for (const { g, top } of seen) {
    if (!of.has(g)) continue;
    const before = off;
    codes(g).forEach((k, i) => {
      all++;
      if (Math.abs(y[g]![i]! - scale[g]! * levels[k]!) > 2.2 * slack * top) off++;
    });
    if (off === before) clean.push(g);
  }
  // The sign that most groups agree on.
  const down = fitting.filter((g) => scale[g]! < 0).length;
  if (down > fitting.length / 2) {
    levels = levels.map((v) => -v);
    for (const g of fitting) scale[g]! *= -1;
  }
  return { levels, scale, fitting, off: off / all, clean };
}
