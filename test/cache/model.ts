/**
 * The model of the cache: plain arrays, a fork is a deep copy, no pages (but the window, which is defined by them).
 * Commands run on both and compare; the cache audits itself after each.
 */
import fc from "fast-check";
import { CacheError, KvCache, type KvCacheOptions, type SequenceHandle } from "../../src/cache/index.js";
import type { Kernels } from "../../src/kernels/kernels.js";
import { bitsOf, normals } from "./vectors.js";

/** Tokens of a page, and how many tokens each one of a command stands for: pages of 16 hold tiles. */
export interface Grain {
  readonly pageTokens: number;
  readonly repeat: number;
}
export const ROWS_IN_PAGES: Grain = { pageTokens: 3, repeat: 1 };
export const TILES_IN_PAGES: Grain = { pageTokens: 16, repeat: 5 };
/** Of the run at hand. */
let grain = ROWS_IN_PAGES;
const SHAPE = { layers: 2, kvHeads: 2, headDim: 32, pages: 8 };
const shape = () => ({ ...SHAPE, pageTokens: grain.pageTokens });
const repeated = (ids: readonly number[]): number[] =>
  ids.flatMap((id) => new Array<number>(grain.repeat).fill(id));
const FORMATS = { key: ["turbo2", "turbo3"], value: ["turbo4", "f16"], seed: 5 };
/** What the last token of a sequence asks: a query for each head. */
const QUERY = normals(SHAPE.kvHeads * SHAPE.headDim, 300);
const ROW = SHAPE.kvHeads * SHAPE.headDim;
const IDS = 12;
const MOST_SEQUENCES = 6;
/** What token `id` puts into a layer. */
const ROWS = Array.from({ length: IDS + SHAPE.layers }, (_, i) => ({
  key: normals(ROW, 100 + i),
  value: normals(ROW, 200 + i),
}));

interface ModelSequence {
  /** Token ids that each layer holds; layer 1 follows layer 0. */
  layers: number[][];
  /** For each layer the first of the last tokens in halves. */
  recentFrom: number[];
  released: Set<number>;
}

export class Model {
  readonly sequences = new Map<SequenceHandle, ModelSequence>();
  readonly stored = new Set<string>();
  evictions = 0;
}

/** What a cache may have besides formats. */
export type Extras = Pick<KvCacheOptions, "sinks" | "recent" | "center"> &
  Partial<Pick<KvCacheOptions, "key" | "value">>;

export class Real {
  cache: KvCache;
  readonly rows: DecodedRows;

  constructor(
    readonly kernels: Kernels,
    readonly extras: Extras,
  ) {
    this.rows = decodedRows(kernels, extras);
    this.cache = new KvCache({ ...shape(), ...FORMATS, ...extras, backend: kernels });
  }
}

const rowsCache = new WeakMap<Kernels, Map<Extras, DecodedRows>>();
function decodedRows(kernels: Kernels, extras: Extras): DecodedRows {
  const known = rowsCache.get(kernels) ?? new Map<Extras, DecodedRows>();
  rowsCache.set(kernels, known);
  const rows = known.get(extras) ?? new DecodedRows(kernels, extras);
  known.set(extras, rows);
  return rows;
}

/**
 * Each row through a fresh cache of its own, at its position behind others, with or without a window of halves: what any
 * read must return.
 */
class DecodedRows {
  readonly #known = new Map<string, Uint32Array>();
  constructor(
    readonly kernels: Kernels,
    readonly extras: Extras,
  ) {}

  get(layer: number, id: number, position: number, side: "key" | "value", inHalves: boolean): Uint32Array {
    // Without sinks and centre a row is the same at any position.
    const at = this.extras.sinks || this.extras.center ? position : 0;
    const name = `${layer} ${id} ${at} ${side} ${inHalves}`;
    const known = this.#known.get(name);
    if (known) return known;
    const pages = Math.floor(at / grain.pageTokens) + 1;
    const recent = inHalves ? 1 : 0;
    const cache = new KvCache({
      ...shape(),
      ...FORMATS,
      ...this.extras,
      recent,
      pages,
      backend: this.kernels,
    });
    const seq = cache.create();
    const { key, value } = ROWS[id + layer]!;
    for (let t = 0; t < at; t++) cache.append(seq, layer, value, key);
    cache.append(seq, layer, key, value);
    const row = bitsOf(cache.read(seq, layer, side, undefined, { from: at, to: at + 1 }));
    cache.dispose();
    this.#known.set(name, row);
    return row;
  }
}

const lengthOf = (s: ModelSequence): number => Math.min(...s.layers.map((ids) => ids.length));
const copyOf = (s: ModelSequence): ModelSequence => ({
  layers: s.layers.map((ids) => [...ids]),
  recentFrom: [...s.recentFrom],
  released: new Set(s.released),
});

/** How often each command ran, and what else happened. */
export const ran = new Map<string, number>();
const count = (what: string): void => void ran.set(what, (ran.get(what) ?? 0) + 1);

class Command implements fc.Command<Model, Real> {
  constructor(
    readonly label: string,
    readonly perform: (model: Model, real: Real) => void,
    readonly needsSequence = true,
    readonly needsRoom = false,
  ) {}
  check(model: Readonly<Model>): boolean {
    return (
      (!this.needsSequence || model.sequences.size > 0) &&
      (!this.needsRoom || model.sequences.size < MOST_SEQUENCES)
    );
  }
  run(model: Model, real: Real): void {
    count(this.label.split("(")[0]!);
    this.perform(model, real);
    real.cache.audit();
    compare(model, real);
  }
  toString(): string {
    return this.label;
  }
}

const pick = (model: Model, n: number): [SequenceHandle, ModelSequence] => {
  const all = [...model.sequences];
  return all[n % all.length]!;
};

const same = (a: Uint32Array, b: Uint32Array): boolean =>
  a.length === b.length && a.every((x, i) => x === b[i]);
function insist(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

function compare(model: Model, { cache, rows, extras }: Real): void {
  const live = [...cache].sort((a, b) => a - b);
  insist(live.join() === [...model.sequences.keys()].sort((a, b) => a - b).join(), "live sequences");
  for (const [seq, s] of model.sequences) {
    insist(cache.length(seq) === lengthOf(s), `length of ${seq}`);
    for (const [layer, ids] of s.layers.entries()) {
      insist(cache.layerLength(seq, layer) === ids.length, `length of layer ${layer} of ${seq}`);
      const seen: Record<"key" | "value", Float32Array[]> = { key: [], value: [] };
      for (let page = 0; page * grain.pageTokens < ids.length; page++) {
        if (s.released.has(page)) continue;
        const from = page * grain.pageTokens;
        const to = Math.min(from + grain.pageTokens, ids.length);
        for (const side of ["key", "value"] as const) {
          const read = cache.read(seq, layer, side, undefined, { from, to });
          const bits = bitsOf(read);
          for (let t = from; t < to; t++) {
            const row = bits.subarray((t - from) * ROW, (t - from + 1) * ROW);
            seen[side].push(read.subarray((t - from) * ROW, (t - from + 1) * ROW));
            insist(
              same(row, rows.get(layer, ids[t]!, t, side, t >= s.recentFrom[layer]!)),
              `${side} ${t} of layer ${layer} of sequence ${seq}`,
            );
          }
        }
      }
      if (extras.recent && seen.key.length > 0)
        insist(
          attends(cache.attend(seq, layer, QUERY), seen.key, seen.value),
          `attention to what layer ${layer} of sequence ${seq} holds`,
        );
    }
  }
  const { pages, bytes } = cache.stats();
  insist(pages.free + pages.used === pages.total, "pages free and used");
  const least = [...model.sequences.values()].filter((s) => inHalves(s) > 0).length > 0 ? 1 : 0;
  const halves = bytes.physical - pages.used * bytes.page;
  const fits = (blocks: number): boolean => {
    const rest = (halves - blocks * bytes.recent) / (bytes.sinks || 1);
    return Number.isInteger(rest) && rest >= 0 && rest <= pages.used;
  };
  insist(
    Array.from({ length: model.sequences.size + 1 }, (_, n) => n).some((n) => n >= least && fits(n)),
    "physical bytes",
  );
  insist(!extras.recent || bytes.recent === extras.recent * 2 * 2 * SHAPE.layers * ROW, "bytes of a window");
}

/** Whether `out` is attention of QUERY to these rows, in f64, but for roundings. */
function attends(out: Float32Array, keys: readonly Float32Array[], values: readonly Float32Array[]): boolean {
  const { kvHeads, headDim } = SHAPE;
  for (let head = 0; head < kvHeads; head++) {
    const at = head * headDim;
    const scores = keys.map((key) => {
      let sum = 0;
      for (let i = at; i < at + headDim; i++) sum += QUERY[i]! * key[i]!;
      return sum / Math.sqrt(headDim);
    });
    const most = Math.max(...scores);
    const weights = scores.map((score) => Math.exp(score - most));
    const total = weights.reduce((sum, w) => sum + w, 0);
    for (let i = at; i < at + headDim; i++) {
      const expected = values.reduce((sum, value, t) => sum + (weights[t]! * value[i]!) / total, 0);
      if (!(Math.abs(out[i]! - expected) < 1e-4)) return false;
    }
  }
  return true;
}

/** Tokens of a sequence in its window of halves, in all layers. */
const inHalves = (s: ModelSequence): number =>
  s.layers.reduce((sum, ids, layer) => sum + ids.length - s.recentFrom[layer]!, 0);

const bytesEqual = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((x, i) => x === b[i]);

/** Runs what may be out of pages: true when it ran; when refused, checks that it had to be and nothing changed. */
function attempt(cache: KvCache, call: () => void): boolean {
  const before = cache.snapshot();
  const { free, idle } = cache.stats().pages;
  try {
    call();
    return true;
  } catch (error) {
    if (!(error instanceof CacheError) || error.code !== "OUT_OF_PAGES") throw error;
    insist(
      error.available === free + idle && error.needed! > free + idle,
      `refused with ${error.message}, ${free} free, ${idle} idle`,
    );
    insist(bytesEqual(cache.snapshot(), before), "a refused call changed the cache");
    count("refused");
    return false;
  }
}

function rows(ids: readonly number[], layer: number, side: "key" | "value"): Float32Array {
  const x = new Float32Array(ids.length * ROW);
  for (const [t, id] of ids.entries()) x.set(ROWS[id + layer]![side], t * ROW);
  return x;
}

function appendTo(model: Model, real: Real, n: number, layer: number, ids: readonly number[]): void {
  const [seq, s] = pick(model, n);
  const ran = attempt(real.cache, () =>
    real.cache.append(seq, layer, rows(ids, layer, "key"), rows(ids, layer, "value")),
  );
  if (!ran) return;
  s.layers[layer]!.push(...ids);
  const tokens = s.layers[layer]!.length;
  const { recent = 0, sinks = 0 } = real.extras;
  s.recentFrom[layer] = Math.max(s.recentFrom[layer]!, tokens - recent, Math.min(sinks, tokens));
  if (recent > 0 && tokens - s.recentFrom[layer]! === recent) count("full window");
}

/** Layer 1 takes what layer 0 has more. */
function follow(model: Model, real: Real, n: number, most: number): void {
  const [, s] = pick(model, n);
  const ids = s.layers[0]!.slice(s.layers[1]!.length).slice(0, most);
  if (ids.length > 0) appendTo(model, real, n, 1, ids);
}

const index = fc.nat({ max: 5 });
const ids = fc.array(fc.nat({ max: IDS - 1 }), { minLength: 1, maxLength: 5 });
/** Tokens that repeat, so that prefixes meet. */
const few = fc.array(fc.nat({ max: 1 }), { minLength: 1, maxLength: 7 });

const create = fc.constant(
  new Command(
    "create",
    (m, { cache }) =>
      void m.sequences.set(cache.create(), { layers: [[], []], recentFrom: [0, 0], released: new Set() }),
    false,
    true,
  ),
);
const append = fc.tuple(index, fc.oneof(ids, few)).map(
  ([n, ids]) =>
    new Command(`append(${n}, [${ids}])`, (m, real) => {
      const tokens = repeated(ids);
      const [seq, s] = pick(m, n);
      const level = s.layers[0]!.length === s.layers[1]!.length;
      const needed = real.cache.pagesNeeded(seq, tokens.length);
      const before = real.cache.stats().counters.allocations;
      appendTo(m, real, n, 0, tokens);
      follow(m, real, n, 999);
      const took = real.cache.stats().counters.allocations - before;
      insist(
        !level || s.layers[0]!.length !== s.layers[1]!.length || took === needed || took === 0,
        `pagesNeeded ${needed}, took ${took}`,
      );
    }),
);
const appendLayer = fc
  .tuple(index, ids)
  .map(
    ([n, tokens]) =>
      new Command(`appendLayer(${n}, [${tokens}])`, (m, real) => appendTo(m, real, n, 0, repeated(tokens))),
  );
const followLayer = fc
  .tuple(index, fc.integer({ min: 1, max: 3 }))
  .map(
    ([n, most]) => new Command(`follow(${n}, ${most})`, (m, real) => follow(m, real, n, grain.repeat * most)),
  );
const fork = index.map(
  (n) =>
    new Command(
      `fork(${n})`,
      (m, { cache }) => {
        const [seq, s] = pick(m, n);
        const { used } = cache.stats().pages;
        m.sequences.set(cache.fork(seq), copyOf(s));
        insist(cache.stats().pages.used === used, "a fork took a page");
      },
      true,
      true,
    ),
);
const truncate = fc.tuple(index, fc.nat({ max: 12 })).map(
  ([n, ids]) =>
    new Command(`truncate(${n}, ${ids})`, (m, { cache }) => {
      const [seq, s] = pick(m, n);
      const length = Math.max(0, grain.repeat * ids - (grain.repeat > 1 ? ids % 3 : 0));
      const gone = length % grain.pageTokens !== 0 && s.released.has(Math.floor(length / grain.pageTokens));
      if (length > lengthOf(s) || gone) {
        const before = cache.snapshot();
        let code: string | undefined;
        try {
          cache.truncate(seq, length);
        } catch (error) {
          code = (error as CacheError).code;
        }
        insist(code === "INVALID_POSITION" && bytesEqual(cache.snapshot(), before), `truncate gave ${code}`);
        return;
      }
      cache.truncate(seq, length);
      s.layers = s.layers.map((tokens) => tokens.slice(0, length));
      s.recentFrom = s.recentFrom.map((from) => Math.min(from, length));
      for (const page of s.released) if (page * grain.pageTokens >= length) s.released.delete(page);
    }),
);
const free = index.map(
  (n) =>
    new Command(`free(${n})`, (m, { cache }) => {
      const [seq] = pick(m, n);
      cache.free(seq);
      m.sequences.delete(seq);
    }),
);
const reserve = fc.tuple(index, fc.nat({ max: 7 })).map(
  ([n, ids]) =>
    new Command(`reserve(${n}, ${ids})`, (m, { cache }) => {
      const [seq] = pick(m, n);
      const tokens = grain.repeat * ids;
      const needed = cache.pagesNeeded(seq, tokens);
      const before = cache.stats().counters.allocations;
      if (!attempt(cache, () => cache.reserve(seq, tokens))) return;
      insist(cache.stats().counters.allocations - before === needed, "reserve took other than pagesNeeded");
      insist(cache.pagesNeeded(seq, tokens) === 0, "reserved, yet pages are needed");
    }),
);
const slide = fc.tuple(index, fc.integer({ min: 1, max: 5 }), fc.nat({ max: 4 })).map(
  ([n, ids, sinks]) =>
    new Command(`slide(${n}, ${ids}, ${sinks})`, (m, { cache }) => {
      const [seq, s] = pick(m, n);
      const window = grain.repeat * ids;
      const last = Math.floor(Math.max(0, lengthOf(s) - window) / grain.pageTokens);
      cache.slide(seq, window, sinks);
      for (let page = Math.ceil(sinks / grain.pageTokens); page < last; page++) s.released.add(page);
    }),
);
const prefixKey = (tokens: readonly number[]): string => tokens.join();
const storePrefix = index.map(
  (n) =>
    new Command(`storePrefix(${n})`, (m, { cache }) => {
      const [seq, s] = pick(m, n);
      const tokens = s.layers[0]!.slice(0, lengthOf(s));
      const kept = cache.storePrefix(seq, tokens);
      let full = Math.floor(tokens.length / grain.pageTokens);
      for (const page of s.released) full = Math.min(full, page);
      insist(kept === full * grain.pageTokens, `storePrefix kept ${kept} of ${tokens.length}`);
      for (let page = 1; page <= full; page++)
        m.stored.add(prefixKey(tokens.slice(0, page * grain.pageTokens)));
    }),
);
const matchPrefix = fc.tuple(index, few, fc.boolean()).map(
  ([n, more, leaveOne]) =>
    new Command(
      `matchPrefix(${n}, [${more}], ${leaveOne})`,
      (m, { cache }) => {
        // A prefix that was stored, if there is one, and then something else.
        const known = [...m.stored][n % Math.max(1, m.stored.size)];
        const tokens = [...(known?.split(",").map(Number) ?? []), ...repeated(more)];
        let longest = 0;
        const most = leaveOne ? tokens.length - 1 : tokens.length;
        for (
          let n = grain.pageTokens;
          n <= most && m.stored.has(prefixKey(tokens.slice(0, n)));
          n += grain.pageTokens
        )
          longest = n;
        const found = cache.matchPrefix(tokens, { leaveOne });
        const evicted = cache.stats().counters.evictions > 0;
        insist(
          found.tokens === longest || (evicted && found.tokens < longest),
          `matched ${found.tokens}, stored ${longest}`,
        );
        if (longest > 0) count("prefix hit");
        const hit = tokens.slice(0, found.tokens);
        const recentFrom = [hit.length, hit.length];
        m.sequences.set(found.seq, { layers: [[...hit], [...hit]], recentFrom, released: new Set() });
      },
      false,
      true,
    ),
);
const dropPrefixes = fc.constant(
  new Command(
    "dropPrefixes",
    (m, { cache }) => {
      cache.dropPrefixes();
      m.stored.clear();
    },
    false,
  ),
);
const restore = fc.constant(
  new Command(
    "restore",
    (_, real) => {
      const bytes = real.cache.snapshot();
      const restored = KvCache.restore(bytes, { backend: real.kernels });
      real.cache.dispose();
      real.cache = restored;
      insist(bytesEqual(restored.snapshot(), bytes), "snapshot of the restored cache");
    },
    false,
  ),
);
const adopt = index.map(
  (n) =>
    new Command(
      `adopt(${n})`,
      (m, { cache }) => {
        const [seq, s] = pick(m, n);
        const saved = cache.snapshot(seq);
        let copy: SequenceHandle | undefined;
        if (!attempt(cache, () => (copy = cache.adopt(saved)))) return;
        m.sequences.set(copy!, copyOf(s));
      },
      true,
      true,
    ),
);

const commands = fc.commands(
  [
    create,
    append,
    append,
    append,
    fork,
    append,
    truncate,
    free,
    reserve,
    slide,
    storePrefix,
    matchPrefix,
    appendLayer,
    followLayer,
    restore,
    adopt,
    dropPrefixes,
  ],
  { maxCommands: 40, size: "max" },
);

const PLAIN: Extras = {};
/** First and last tokens in halves, keys less a mean that turns, trellis codes. */
export const EVERYTHING: Extras = {
  key: ["trellis2", "trellis3x"],
  value: ["turbo2", "trellis1"],
  sinks: 3,
  recent: 4,
  center: {
    means: normals(SHAPE.layers * ROW, 77),
    rope: { pairing: "half-split", dimensions: 16, theta: 100, scaling: { type: "none" } },
  },
};

/** Runs the model against the cache. @throws fast-check's report with the shortest commands that fail. */
export function checkModel(
  kernels: Kernels,
  numRuns: number,
  seed: number,
  extras = PLAIN,
  of = ROWS_IN_PAGES,
): void {
  grain = of;
  fc.assert(
    fc.property(commands, (cmds) => {
      let real: Real | undefined;
      fc.modelRun(() => {
        real = new Real(kernels, extras);
        return { model: new Model(), real };
      }, cmds);
      const { cache } = real!;
      if (cache.stats().counters.evictions > 0) count("evicted");
      for (const seq of [...cache]) cache.free(seq);
      cache.dropPrefixes();
      cache.audit();
      const { pages, counters } = cache.stats();
      insist(
        pages.free === pages.total && counters.allocations === counters.frees,
        "all freed, yet pages are used",
      );
      cache.dispose();
    }),
    { numRuns, seed },
  );
}
