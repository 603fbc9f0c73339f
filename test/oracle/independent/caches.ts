/**
 * A paged cache as an engine's author would write it, and what it may do wrong; operations are drawn at random. Pages
 * hold the vectors themselves: nothing is shared with the oracle's model.
 */
import { Dice, signedHadamard } from "./numbers.js";

export interface CacheShape {
  readonly dim: number;
  readonly kvHeads: number;
  readonly layers: number;
  readonly pageSize: number;
  readonly window?: { readonly size: number; readonly sinks: number };
  /** One page holds a place of every layer: a table for all of them. */
  readonly oneTable?: boolean;
}

/** What it does wrong. */
export interface CacheSlip {
  readonly id: string;
  readonly note: string;
  readonly accept?: readonly string[];
  readonly windowed?: boolean;
  readonly writesInPlace?: boolean;
  readonly forkForgetsCount?: boolean;
  readonly freeIgnoresCount?: boolean;
  readonly sharesLength?: boolean;
  readonly truncateFreesShared?: boolean;
  readonly truncateClearsShared?: boolean;
  readonly truncateKeepsLength?: boolean;
  readonly readsOldTable?: boolean;
  readonly writesLostOnReuse?: boolean;
  readonly pageShift?: number;
  readonly pageEnd?: "wrap" | "clamp" | "zero";
  readonly slotShift?: number;
  readonly windowShift?: number;
  readonly dropsSinks?: "window" | "zero";
  readonly layerShift?: number;
  readonly zeroKeys?: boolean;
  readonly swaps?: boolean;
  readonly rotatedValues?: boolean;
  readonly allocation?: "last" | "first" | "lowest";
  readonly freedCleared?: boolean;
  readonly onlyForksCopy?: boolean;
}

interface Page {
  readonly k: (Float32Array | undefined)[];
  readonly v: (Float32Array | undefined)[];
  count: number;
  used: boolean;
}

interface Table {
  /** One array for all layers, where these have one table. */
  pages: number[];
  length: { n: number };
  readonly old: { pages?: number[] };
  /** Where the layer begins in a page. */
  readonly base: number;
  readonly forked: boolean;
}

export interface Op {
  readonly op: "create" | "append" | "fork" | "truncate" | "free" | "read";
  readonly seq?: string;
  readonly from?: string;
  readonly to?: string;
  readonly layer?: number;
  readonly count?: number;
  readonly length?: number;
  /** Appended, or given back: (tokens, kvHeads·dim), as the cache decodes them. */
  readonly keys?: Float32Array[];
  readonly values?: Float32Array[];
}

/** Lives of sequences, drawn at random: reads are filled in by `run`. */
export function scenario(s: CacheShape, seed: number, vector: (d: Dice) => Float32Array): Op[] {
  const d = new Dice(seed);
  const int = (a: number, b: number): number => a + Math.floor(d.uniform() * (b - a + 1));
  const ops: Op[] = [];
  const lengths = new Map<string, number[]>();
  let names = 0;
  const append = (seq: string, most: number): void => {
    for (let layer = 0; layer < s.layers; layer++) {
      const count = int(1, most);
      ops.push({
        op: "append",
        seq,
        layer,
        count,
        keys: Array.from({ length: count }, () => vector(d)),
        values: Array.from({ length: count }, () => vector(d)),
      });
      lengths.get(seq)![layer]! += count;
    }
  };
  const readAll = (): void => {
    for (const [seq, n] of lengths)
      n.forEach((length, layer) => {
        const most = s.window ? s.window.size + s.window.sinks : length;
        ops.push({ op: "read", seq, layer, length: Math.min(length, most) });
      });
  };
  const create = (): void => {
    const seq = `s${names++}`;
    ops.push({ op: "create", seq });
    lengths.set(seq, new Array(s.layers).fill(0));
    append(seq, 3 * s.pageSize);
  };
  const some = (): string => [...lengths.keys()][int(0, lengths.size - 1)]!;
  create();
  readAll();
  for (let k = 0; k < 14; k++) {
    const roll = d.uniform();
    if (roll < 0.3 && lengths.size < 5) {
      const from = some();
      const to = `s${names++}`;
      ops.push({ op: "fork", from, to });
      lengths.set(to, lengths.get(from)!.slice());
      append(to, s.pageSize + 2);
    } else if (roll < 0.5) append(some(), s.pageSize);
    else if (roll < 0.68) {
      const seq = some();
      const least = Math.min(...lengths.get(seq)!);
      const length = int(1, Math.max(1, least - 1));
      ops.push({ op: "truncate", seq, length });
      lengths.set(
        seq,
        lengths.get(seq)!.map((n) => Math.min(n, length)),
      );
      append(seq, s.pageSize);
    } else if (roll < 0.82 && lengths.size > 1) {
      const seq = some();
      ops.push({ op: "free", seq });
      lengths.delete(seq);
      create();
    } else create();
    if (k % 4 === 3) readAll();
  }
  readAll();
  return ops;
}

/** The operations with what this cache gives back. */
export function run(s: CacheShape, ops: readonly Op[], slips: readonly CacheSlip[]): Op[] {
  const is = <K extends keyof CacheSlip>(k: K): CacheSlip[K] | undefined =>
    slips.find((c) => c[k] !== undefined)?.[k];
  const pages: Page[] = [];
  const free: number[] = [];
  const tables = new Map<string, Table[]>();
  const zero = (): Float32Array => new Float32Array(s.kvHeads * s.dim);
  const places = s.oneTable ? s.layers * s.pageSize : s.pageSize;
  const own = (all: readonly Table[]): readonly Table[] => (s.oneTable ? all.slice(0, 1) : all);
  const take = (): number => {
    const how = is("allocation") ?? "last";
    if (how === "lowest") free.sort((a, b) => b - a);
    const at = how === "first" ? free.shift() : free.pop();
    if (at !== undefined) {
      pages[at]!.count = 1;
      pages[at]!.used = true;
      return at;
    }
    pages.push({
      k: new Array(places).fill(undefined),
      v: new Array(places).fill(undefined),
      count: 1,
      used: false,
    });
    return pages.length - 1;
  };
  const release = (at: number, anyway: boolean): void => {
    const p = pages[at]!;
    p.count--;
    if (!(p.count <= 0 || anyway) || free.includes(at)) return;
    free.push(at);
    if (is("freedCleared")) {
      p.k.fill(undefined);
      p.v.fill(undefined);
    }
  };
  const put = (t: Table, k: Float32Array, v: Float32Array): void => {
    const n = t.length.n;
    const index = Math.floor(n / s.pageSize);
    while (t.pages.length <= index) t.pages.push(take());
    let at = t.pages[index]!;
    const place = t.base + (n % s.pageSize);
    if (pages[at]!.count > 1 && !is("writesInPlace") && !(is("onlyForksCopy") && !t.forked)) {
      const copy = take();
      for (let i = 0; i < (s.oneTable ? places : place); i++) {
        pages[copy]!.k[i] = pages[at]!.k[i];
        pages[copy]!.v[i] = pages[at]!.v[i];
      }
      release(at, false);
      if (is("readsOldTable")) t.old.pages ??= t.pages.slice();
      t.pages[index] = at = copy;
    }
    if (!(is("writesLostOnReuse") && pages[at]!.used)) {
      pages[at]!.k[place] = k;
      pages[at]!.v[place] = v;
    }
    t.length.n = n + 1;
  };
  const cell = (t: Table, position: number): [Float32Array, Float32Array] => {
    if (position < 0) return [zero(), zero()];
    const slot = position + (is("slotShift") ?? 0);
    const list = t.old.pages ?? t.pages;
    let index = Math.floor(slot / s.pageSize) + (is("pageShift") ?? 0);
    if (is("pageShift") && (index < 0 || index >= list.length)) {
      const end = is("pageEnd");
      if (end === "zero") return [zero(), zero()];
      index =
        end === "clamp" ? Math.max(0, Math.min(list.length - 1, index)) : (index + list.length) % list.length;
    }
    const page = pages[list[index]!];
    const i = t.base + (((slot % s.pageSize) + s.pageSize) % s.pageSize);
    return [page?.k[i] ?? zero(), page?.v[i] ?? zero()];
  };
  const read = (op: Op): Op => {
    const layers = tables.get(op.seq!)!;
    const t = layers[(op.layer! + (is("layerShift") ?? 0) + s.layers) % s.layers]!;
    const own = layers[op.layer!]!.length.n;
    const positions: number[] = [];
    if (s.window && own > s.window.size + s.window.sinks) {
      const start = own - s.window.size + (is("windowShift") ?? 0);
      const drop = is("dropsSinks");
      for (let i = 0; i < s.window.sinks; i++)
        positions.push(drop === "zero" ? -1 : drop === "window" ? start - s.window.sinks + i : i);
      for (let i = 0; i < s.window.size; i++) positions.push(start + i);
    } else
      for (let i = 0; i < (is("truncateKeepsLength") || is("sharesLength") ? own : op.length!); i++)
        positions.push(i);
    const got = positions.map((p) => cell(t, p));
    let keys = got.map(([k]) => k);
    let values = got.map(([, v]) => v);
    if (is("swaps")) [keys, values] = [values, keys];
    if (is("zeroKeys")) keys = keys.map(zero);
    if (is("rotatedValues"))
      values = values.map((v) => {
        const out = v.slice();
        for (let h = 0; h < s.kvHeads; h++)
          signedHadamard(out.subarray(h * s.dim, (h + 1) * s.dim), s.dim & -s.dim);
        return out;
      });
    return { ...op, keys, values };
  };
  const fresh = (forked: boolean): Table[] => {
    const shared = { pages: [] as number[], old: {} };
    return Array.from({ length: s.layers }, (_, l) => ({
      ...(s.oneTable ? shared : { pages: [], old: {} }),
      length: { n: 0 },
      base: s.oneTable ? l * s.pageSize : 0,
      forked,
    }));
  };
  return ops.map((op) => {
    const t = tables.get(op.seq ?? "");
    switch (op.op) {
      case "create":
        tables.set(op.seq!, fresh(false));
        return op;
      case "append":
        op.keys!.forEach((k, i) => {
          put(t![op.layer!]!, k, op.values![i]!);
        });
        return op;
      case "fork": {
        const from = tables.get(op.from!)!;
        const made = fresh(true);
        for (const [i, one] of own(from).entries()) {
          for (const p of one.pages) if (!is("forkForgetsCount")) pages[p]!.count++;
          made[i]!.pages.push(...one.pages);
        }
        tables.set(
          op.to!,
          made.map((one, i) => ({
            ...one,
            length: is("sharesLength") ? from[i]!.length : { n: from[i]!.length.n },
          })),
        );
        return op;
      }
      case "truncate": {
        if (is("truncateKeepsLength")) return op;
        const cut = t!.map((one) => one.length.n > op.length!);
        for (const one of t!) one.length.n = Math.min(one.length.n, op.length!);
        for (const [l, one] of own(t!).entries()) {
          if (s.oneTable ? !cut.includes(true) : !cut[l]) continue;
          const most = s.oneTable ? Math.max(...t!.map((x) => x.length.n)) : one.length.n;
          for (const p of one.pages.splice(Math.ceil(most / s.pageSize)))
            release(p, is("truncateFreesShared") ?? false);
        }
        if (is("truncateClearsShared") && op.length! % s.pageSize > 0)
          for (const [l, one] of t!.entries()) {
            const last = one.pages[Math.floor(op.length! / s.pageSize)];
            if (!cut[l] || last === undefined) continue;
            for (let i = op.length! % s.pageSize; i < s.pageSize; i++) {
              pages[last]!.k[one.base + i] = undefined;
              pages[last]!.v[one.base + i] = undefined;
            }
          }
        return op;
      }
      case "free":
        for (const one of own(t!)) for (const p of one.pages) release(p, is("freeIgnoresCount") ?? false);
        tables.delete(op.seq!);
        return op;
      default:
        return read(op);
    }
  });
}

export const CACHE_SLIPS: readonly CacheSlip[] = [
  { id: "cow-missing", note: "", writesInPlace: true },
  { id: "cow-missing", note: "by parents", onlyForksCopy: true },
  { id: "refcount-leak", note: "fork", forkForgetsCount: true },
  { id: "refcount-leak", note: "fork, first free", forkForgetsCount: true, allocation: "first" },
  { id: "refcount-leak", note: "free", freeIgnoresCount: true },
  { id: "refcount-leak", note: "free, cleared", freeIgnoresCount: true, freedCleared: true },
  { id: "refcount-leak", note: "free, lowest", freeIgnoresCount: true, allocation: "lowest" },
  { id: "fork-shared-length", note: "", sharesLength: true },
  { id: "truncate-shared", note: "frees", truncateFreesShared: true },
  { id: "truncate-shared", note: "frees, first", truncateFreesShared: true, allocation: "first" },
  { id: "truncate-shared", note: "clears", truncateClearsShared: true },
  { id: "stale-page", note: "old table", readsOldTable: true },
  { id: "stale-page", note: "kept length", truncateKeepsLength: true, accept: ["truncate-shared"] },
  { id: "stale-page", note: "lost writes", writesLostOnReuse: true },
  { id: "page-table-off-by-one", note: "+1 wrap", pageShift: 1, pageEnd: "wrap" },
  { id: "page-table-off-by-one", note: "+1 clamp", pageShift: 1, pageEnd: "clamp" },
  { id: "page-table-off-by-one", note: "-1 zero", pageShift: -1, pageEnd: "zero" },
  { id: "page-table-off-by-one", note: "-1 clamp", pageShift: -1, pageEnd: "clamp" },
  { id: "window-offset", note: "+1", windowShift: 1, windowed: true },
  { id: "window-offset", note: "-1", windowShift: -1, windowed: true },
  { id: "window-offset", note: "-3", windowShift: -3, windowed: true },
  { id: "sink-dropped", note: "window", dropsSinks: "window", windowed: true },
  { id: "sink-dropped", note: "zero", dropsSinks: "zero", windowed: true },
  { id: "layer-off-by-one", note: "+1", layerShift: 1 },
  { id: "layer-off-by-one", note: "-1", layerShift: -1 },
  { id: "k-zero", note: "", zeroKeys: true },
  { id: "kv-swapped", note: "", swaps: true },
  { id: "v-not-unrotated", note: "", rotatedValues: true },
];
