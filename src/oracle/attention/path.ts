/** The path itself, one output row (query, head) at a time, in f64, with any stage replaced. */
import { type CacheRows, cacheRows, rowsOf, turned, turnedBack } from "./cache-rows.js";
import type { PathFault, Source, Turn } from "./faults.js";
import type { AttentionOptions } from "./options.js";
import { QUERY_ROUNDINGS, type QueryRounding } from "./query-rounding.js";

export interface AttentionCase {
  readonly options: AttentionOptions;
  readonly queries: number;
  readonly tokens: number;
  /** Output rows: queries·heads. */
  readonly rows: number;
  readonly scale: number;
  readonly keys: CacheRows;
  readonly values: CacheRows;
  /** What is read as a side; made when first asked for. */
  side(side: "keys" | "values", source: Source): CacheRows;
  /** A row's query as a turn leaves it, in the width of the keys. Kept. */
  query(row: number, turn: Turn): Float64Array;
}

export function openCase(o: AttentionOptions): AttentionCase {
  const { dim, heads, kvHeads } = o;
  const keys = cacheRows(o.keyFormat, o.key, dim, "key");
  const values = cacheRows(o.valueFormat, o.value, dim, "value");
  const sides = new Map<string, CacheRows>();
  return {
    options: o,
    queries: o.query.length / (heads * dim),
    tokens: o.key.length / (kvHeads * dim),
    rows: o.query.length / dim,
    scale: o.scale ?? 1 / Math.sqrt(dim),
    keys,
    values,
    side(side, source) {
      if (source === "due" || source === "zero") return side === "keys" ? keys : values;
      if (source === "other") return side === "keys" ? values : keys;
      const key = `${side} ${source}`;
      let made = sides.get(key);
      if (!made) {
        const [own, other] = side === "keys" ? [keys, values] : [values, keys];
        if (source === "other-decoded") made = rowsOf(other.plain, dim, own.wire);
        else if (side === "keys") made = cacheRows(o.keyFormat, o.value, dim, "key");
        else made = cacheRows(o.valueFormat, o.key, dim, "value");
        sides.set(key, made);
      }
      return made;
    },
    query: queriesOf(o, keys, QUERY_ROUNDINGS[0]!),
  };
}

/** The same with queries held as some engine holds them. */
export const withQueries = (c: AttentionCase, rounding: QueryRounding): AttentionCase => ({
  ...c,
  query: queriesOf(c.options, c.keys, rounding),
});

function queriesOf(
  { query, dim }: AttentionOptions,
  keys: CacheRows,
  rounding: QueryRounding,
): AttentionCase["query"] {
  const turns = new Map<Turn, Map<number, Float64Array>>();
  return (row, turn) => {
    let kept = turns.get(turn);
    if (!kept) turns.set(turn, (kept = new Map()));
    let q = kept.get(row);
    if (!q) {
      q = queryOf(keys, query.subarray(row * dim, (row + 1) * dim), turn);
      rounding.round(q);
      kept.set(row, q);
    }
    return q;
  };
}

function queryOf({ wire, width }: CacheRows, x: Float32Array, turn: Turn): Float64Array {
  if (wire && turn === "due") return turned(wire, x);
  if (wire && turn === "against") return turnedBack(wire, x);
  if (wire && turn === "twice") return turned(wire, turned(wire, x));
  const out = new Float64Array(width);
  out.set(x);
  return out;
}

/** Two faults as one path; later entries do not replace what earlier ones say. */
export interface Path {
  readonly query: Turn;
  readonly output: Turn;
  readonly keys: Source;
  readonly values: Source;
  readonly scale: number;
  readonly head: (h: number) => number;
  readonly range: (t: number) => readonly [number, number];
  readonly valueShift: number;
}

export function pathOf(c: AttentionCase, faults: readonly PathFault[]): Path {
  const { options, queries, tokens } = c;
  const { dim, heads, kvHeads, causal } = options;
  const pick = <K extends keyof PathFault>(key: K): PathFault[K] | undefined =>
    faults.find((f) => f[key] !== undefined)?.[key];
  const mask =
    pick("mask") ??
    ((t: number): readonly [number, number] => (causal ? [0, tokens - queries + t + 1] : [0, tokens]));
  const trim = pick("tokens");
  const map = pick("head");
  return {
    query: pick("query") ?? "due",
    output: pick("output") ?? "due",
    keys: pick("keys") ?? "due",
    values: pick("values") ?? "due",
    scale: pick("scale")?.(dim, c.scale, c.keys.width) ?? c.scale,
    head: map ? (h) => map(h, heads, kvHeads) : (h) => Math.floor((h * kvHeads) / heads),
    range: (t) => {
      const seen = mask(t, queries, tokens);
      return trim ? trim(seen, tokens) : seen;
    },
    valueShift: pick("valueShift") ?? 0,
  };
}

/**
 * out: (dim,) ← the path's output of row (query · heads + head). False where no token is left to see.
 */
export function attendRow(c: AttentionCase, path: Path, row: number, out: Float64Array): boolean {
  const { heads, kvHeads, dim } = c.options;
  const t = Math.floor(row / heads);
  const g = path.head(row % heads);
  const [from, to] = path.range(t);
  if (to <= from) return false;
  const weights = new Float64Array(to - from);
  const keys = c.side("keys", path.keys);
  // Rows of another width meet the query in the original basis, where both are whole.
  const exchanged = keys.width !== c.keys.width;
  const q = exchanged ? c.options.query.subarray(row * dim, (row + 1) * dim) : c.query(row, path.query);
  const k = exchanged ? keys.plain : keys.rows;
  const width = exchanged ? dim : keys.width;
  if (path.keys !== "zero") {
    for (let i = from; i < to; i++) {
      const at = (i * kvHeads + g) * width;
      let s = 0;
      for (let j = 0; j < width; j++) s += q[j]! * k[at + j]!;
      weights[i - from] = s * path.scale;
    }
  }
  let most = Number.NEGATIVE_INFINITY;
  for (const w of weights) if (w > most) most = w;
  let sum = 0;
  for (let i = 0; i < weights.length; i++) sum += weights[i] = Math.exp(weights[i]! - most);
  const values = c.side("values", path.values);
  const mixed = new Float64Array(values.width);
  for (let i = from; i < to; i++) {
    const w = weights[i - from]! / sum;
    if (w < 1e-12) continue;
    const token = Math.max(0, Math.min(c.tokens - 1, i + path.valueShift));
    const at = (token * kvHeads + g) * values.width;
    for (let j = 0; j < values.width; j++) mixed[j]! += w * values.rows[at + j]!;
  }
  // The output is turned back as the value format asks, whatever was really read.
  const wire = values.width === c.values.width ? c.values.wire : values.wire;
  out.set(unturned(mixed, wire, path.output).subarray(0, dim));
  return true;
}

function unturned(x: Float64Array, wire: CacheRows["wire"], turn: Turn): Float64Array {
  if (!wire || turn === "none") return x;
  if (turn === "due") return turnedBack(wire, x);
  if (turn === "against") return turned(wire, x);
  return turnedBack(wire, turnedBack(wire, x));
}
