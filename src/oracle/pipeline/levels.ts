/** Decoded values as what they are made of: a scale for each group, and a level for each coordinate. */

export interface Leveled {
  /** Per group: which level each coordinate has; undefined where values are no multiples of the levels. */
  readonly codes: (Uint8Array | undefined)[];
  readonly scale: Float64Array;
  /** Groups of zeros or of what is not finite say nothing: neither read nor refused. */
  readonly silent: Uint8Array;
}

/** Different values of a group, ascending; undefined when there are more than `most`. */
function distinctOf(y: Float64Array, slack: number, most: number): Float64Array | undefined {
  const sorted = y.slice().sort();
  const out: number[] = [];
  for (const v of sorted) {
    if (out.length === 0 || v - out.at(-1)! > slack) out.push(v);
    if (out.length > most) return undefined;
  }
  return Float64Array.from(out);
}

const largest = (y: Float64Array): number => {
  let most = 0;
  for (const v of y) if (!(Math.abs(v) <= most)) most = Math.abs(v);
  return most;
};

function nearest(levels: ArrayLike<number>, v: number): number {
  let best = 0;
  for (let k = 1; k < levels.length; k++)
    if (Math.abs(v - levels[k]!) < Math.abs(v - levels[best]!)) best = k;
  return best;
}

const allNear = (values: Float64Array, levels: ArrayLike<number>, scale: number, slack: number): boolean =>
  values.every((v) => Math.abs(v - scale * levels[nearest(levels, v / scale)]!) <= slack);

/**
 * y: groups; table: levels. A group's values may be multiples of the levels in more than one way: the scale nearest to
 * `due` is taken. slack: of a group's largest value.
 */
export function readLevels(
  y: readonly Float64Array[],
  table: Float64Array,
  due: (g: number) => number,
  slack: number,
): Leveled {
  const codes: (Uint8Array | undefined)[] = [];
  const scale = new Float64Array(y.length);
  const silent = new Uint8Array(y.length);
  for (const [g, values] of y.entries()) {
    const most = largest(values);
    codes.push(undefined);
    if (!(most > 0) || !Number.isFinite(most)) {
      silent[g] = 1;
      continue;
    }
    const distinct = distinctOf(values, 2 * slack * most, table.length);
    if (!distinct) continue;
    const top = Math.abs(distinct[0]!) > Math.abs(distinct.at(-1)!) ? distinct[0]! : distinct.at(-1)!;
    let best = 0;
    let off = Number.POSITIVE_INFINITY;
    for (const c of table) {
      const s = top / c;
      if (!(s > 0) || !Number.isFinite(s)) continue;
      const far = Math.abs(Math.log(s / (due(g) || 1)));
      if (far < off && allNear(distinct, table, s, slack * most)) {
        best = s;
        off = far;
      }
    }
    if (best === 0) continue;
    const read = Uint8Array.from(values, (v) => nearest(table, v / best));
    let yc = 0;
    let cc = 0;
    for (let i = 0; i < read.length; i++) {
      const c = table[read[i]!]!;
      yc += values[i]! * c;
      cc += c * c;
    }
    scale[g] = cc > 0 ? yc / cc : best;
    codes[g] = read;
  }
  return { codes, scale, silent };
}

export interface Discovered {
  /** Ascending, in units of nobody: all groups have the same. */
  readonly levels: Float64Array;
  readonly codes: (Uint8Array | undefined)[];
  readonly scale: Float64Array;
}

/** Ratios that are tried of a group: all of them up to four bits. */
const RATIOS = 512;

/** Of many values, so many are looked at before the others. */
const SAMPLE = 12;

/** Every so many-th first. */
function spreadOf(values: Float64Array): number[] {
  const out: number[] = [];
  const step = Math.ceil(values.length / SAMPLE);
  for (let from = 0; from < step; from++)
    for (let i = from; i < values.length; i += step) out.push(values[i]!);
  return out;
}

/** Levels that the groups share, when nobody says which; undefined when there are none. norm: ‖x‖ of the groups. */
export function discoverLevels(
  y: readonly Float64Array[],
  norm: Float64Array,
  picked: readonly number[],
  most: number,
  slack: number,
): Discovered | undefined {
  const parts = picked
    .map((g) => ({ g, top: largest(y[g]!) }))
    .filter(({ top }) => top > 0 && Number.isFinite(top))
    .map(({ g, top }) => ({ g, top, values: distinctOf(y[g]!, 2 * slack * top, most) }));
  const usable = parts.filter((p) => p.values !== undefined && p.values.length >= 2);
  if (usable.length < 2 || usable.length < 0.8 * parts.length) return undefined;
  usable.sort((a, b) => b.values!.length - a.values!.length || a.g - b.g);
  const first = usable[0]!;
  let levels = Array.from(first.values!, (v) => v / norm[first.g]!);
  const scale = new Float64Array(y.length);
  const fitted: number[] = [];
  let strange = 0;
  for (const { g, values, top } of usable) {
    let best = 0;
    let hits = 0;
    const needed = Math.min(values!.length, Math.max(2, Math.ceil(0.6 * values!.length)));
    const spread = spreadOf(values!);
    // One value that is a level is enough; a few, as some levels are not known yet.
    const every = Math.max(1, Math.ceil((values!.length * levels.length) / RATIOS));
    for (const v of values!.filter((_, i) => i % every === 0))
      for (const u of levels) {
        const s = v / u;
        if (!(s > 0) || !Number.isFinite(s)) continue;
        let count = 0;
        let misses = values!.length - needed;
        for (let i = 0; i < spread.length && misses >= 0; i++) {
          if (i === SAMPLE && 4 * count < SAMPLE && spread.length > 32) break;
          const w = spread[i]!;
          if (Math.abs(w - s * levels[nearest(levels, w / s)]!) <= 2 * slack * top) count++;
          else misses--;
        }
        if (misses < 0 || count < needed) continue;
        const closer = Math.abs(Math.log(s / norm[g]!)) < Math.abs(Math.log(best / norm[g]!));
        if (count > hits || (count === hits && closer)) {
          hits = count;
          best = s;
        }
      }
    if (hits < needed) {
      if (++strange > 0.2 * parts.length) return undefined;
      continue;
    }
    const fresh = [...values!].filter(
      (w) => Math.abs(w - best * levels[nearest(levels, w / best)]!) > 2 * slack * top,
    );
    if (levels.length + fresh.length > most) continue;
    levels = [...levels, ...fresh.map((w) => w / best)].sort((a, b) => a - b);
    scale[g] = best;
    fitted.push(g);
  }
  if (fitted.length < 0.8 * parts.length) return undefined;
  const codes = new Array<Uint8Array | undefined>(y.length).fill(undefined);
  for (const g of fitted) codes[g] = Uint8Array.from(y[g]!, (v) => nearest(levels, v / scale[g]!));
  return { levels: Float64Array.from(levels), codes, scale };
}
