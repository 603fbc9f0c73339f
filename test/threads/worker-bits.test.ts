/** What a worker computes is what one thread computes, to the bit, whatever is cached and asked for. */
import { describe, expect, test } from "vitest";
import type { CacheAttendOptions } from "../../src/cache/index.js";
import { KvCache, type KvCacheOptions, type SequenceHandle } from "../../src/cache/index.js";
import { bitsOf, normals } from "../cache/vectors.js";
import { inlineWorker } from "./inline-worker.js";

const DIM = 64;
const TOKENS = 1100; // no whole number of pages or tiles, and enough to be worth a thread
const rope = { pairing: "half-split", dimensions: DIM, theta: 10_000, scaling: { type: "none" } } as const;
const base = { layers: 2, headDim: DIM, pageTokens: 16, pages: 160, seed: 5 };

interface Case extends Partial<KvCacheOptions> {
  readonly key: string | readonly string[];
  readonly value: string | readonly string[];
  readonly kvHeads: number;
  readonly heads: number;
  readonly asks?: readonly CacheAttendOptions[];
  /** Tokens whose queries come at once. */
  readonly queries?: number;
  readonly prepare?: (cache: KvCache, seq: SequenceHandle) => SequenceHandle;
}

const exact = { precision: "exact" } as const;
const precise = { precision: "precise" } as const;
const fast = { precision: "fast" } as const;
const all = [exact, precise, fast];

function extend(cache: KvCache, seq: SequenceHandle, tokens: number, seed: number): void {
  const { layers, kvHeads } = cache.config;
  for (let layer = 0; layer < layers; layer++) {
    const n = tokens * kvHeads * DIM;
    cache.append(seq, layer, values(n, seed + layer), values(n, seed + 10 + layer));
  }
}

/** A fork goes its own way; what it shares with its parent is copied when it writes. */
function forked(cache: KvCache, seq: SequenceHandle): SequenceHandle {
  const fork = cache.fork(seq);
  cache.truncate(fork, 1090);
  extend(cache, fork, 60, 50);
  extend(cache, seq, 3, 60);
  return fork;
}
/** Pages between the first ones and the last 700 tokens are gone. */
function slid(cache: KvCache, seq: SequenceHandle): SequenceHandle {
  cache.slide(seq, 700, 16);
  return seq;
}

/** One stream for all: values are made once. */
const stream = normals(1600 * 8 * DIM, 1);
const values = (n: number, seed: number): Float32Array => {
  const x = new Float32Array(n);
  for (let i = 0; i < n; i++) x[i] = stream[(i + 977 * seed) % stream.length]!;
  return x;
};

const eight = { kvHeads: 8, heads: 8 };
const CASES: Readonly<Record<string, Case>> = {
  "8 heads": { key: "turbo4", value: "turbo4", ...eight, asks: all },
  "8 query heads on 2 heads": { key: "turbo4", value: "turbo3", kvHeads: 2, heads: 8, asks: all },
  "8 query heads on one": { key: "turbo3", value: "turbo2", kvHeads: 1, heads: 8, asks: all },
  "9 query heads on 3": { key: "turbo2", value: "turbo4", kvHeads: 3, heads: 9, asks: all },
  "an odd number of rows on one head": { key: "turbo4", value: "turbo4", kvHeads: 1, heads: 11, asks: all },
  "a sketch": { key: "turbo3+qjl", value: "turbo1+qjl", ...eight, asks: all },
  trellis: { key: "trellis3x", value: "trellis2", ...eight },
  numbers: { key: "f32", value: "f16", ...eight },
  "formats of engines": { key: "ggml/q8_0", value: "vllm/k8v4", ...eight },
  "one format per layer": {
    key: ["llama/turbo4", "turbo4"],
    value: ["turbo8", "turbo3"],
    ...eight,
    asks: [exact, fast],
  },
  "pages without tiles": { key: "turbo4", value: "turbo3", ...eight, pageTokens: 20, asks: all },
  "a window, sinks, a scale, no light weights": {
    key: "turbo4",
    value: "turbo4",
    kvHeads: 8,
    heads: 16,
    asks: all.map((ask) => ({ ...ask, window: 700, sinks: 5, scale: 0.3, sparse: 1e-4 })),
  },
  "tokens in halves": { key: "turbo3", value: "turbo3", ...eight, sinks: 4, recent: 100, asks: all },
  "centred keys": {
    key: "turbo3",
    value: "turbo4",
    ...eight,
    center: { means: normals(2 * 8 * DIM, 3), rope },
    sinks: 4,
    recent: 20,
    asks: all,
  },
  "means that do not turn": {
    key: "turbo3",
    value: "turbo4",
    ...eight,
    center: { means: normals(2 * 8 * DIM, 3), rope: undefined },
  },
  "many queries": { key: "turbo4", value: "turbo4", kvHeads: 2, heads: 8, queries: 90, asks: all },
  "many queries on one head": {
    key: "turbo4",
    value: "turbo4",
    kvHeads: 1,
    heads: 2,
    queries: 90,
    asks: all,
  },
  "a fork": { key: "turbo4", value: "turbo4", ...eight, sinks: 4, recent: 40, asks: all, prepare: forked },
  "released pages": { key: "turbo4", value: "turbo4", ...eight, sinks: 4, asks: all, prepare: slid },
};

describe("a worker gives one thread's bits", () => {
  test.each(Object.entries(CASES))("%s", async (_, { asks = [exact], queries = 1, prepare, ...shape }) => {
    const backend = await inlineWorker();
    const [one, other] = [undefined, backend].map((of) => {
      const cache = new KvCache({ ...base, ...shape, ...(of ? { backend: of } : {}) });
      const seq = cache.create();
      extend(cache, seq, TOKENS, 20);
      return { cache, seq: prepare ? prepare(cache, seq) : seq };
    }) as [Opened, Opened];
    const { helped } = backend;
    for (const ask of asks)
      for (let layer = 0; layer < base.layers; layer++) {
        const q = normals(queries * shape.heads * DIM, 90 + layer);
        const [want, got] = [one, other].map(({ cache, seq }) => cache.attend(seq, layer, q, undefined, ask));
        expect(bitsOf(got!)).toEqual(bitsOf(want!));
      }
    // It was the worker: the caller's own attention took nothing.
    const units = shape.kvHeads * (shape.kvHeads % 2 === 1 && shape.kvHeads < 4 ? 2 : 1);
    expect(backend.helped - helped).toBe(asks.length * base.layers * units);
    other.cache.dispose();
    expect(backend.workerBytes).toBe(0);
  });
});

interface Opened {
  readonly cache: KvCache;
  readonly seq: SequenceHandle;
}

describe("how a worker and the caller share a memory", () => {
  test("the worker sees pages that were made after it looked, by either", async () => {
    const shape = { ...base, key: "turbo4", value: "turbo4", ...eight, pages: 4096, pageTokens: 16 };
    const backend = await inlineWorker();
    const [one, other] = [new KvCache(shape), new KvCache({ ...shape, backend })];
    const seqs = [one, other].map((cache) => cache.create()) as [number, number];
    const q = normals(8 * DIM, 1);
    let length = backend.arena.u8.length;
    let grown = 0;
    for (let round = 0; round < 6; round++) {
      extend(one, seqs[0], 1500, 100 * round);
      extend(other, seqs[1], 1500, 100 * round);
      grown += backend.arena.u8.length > length ? 1 : 0;
      length = backend.arena.u8.length;
      const [want, got] = [one.attend(seqs[0], 1, q), other.attend(seqs[1], 1, q)];
      expect(bitsOf(got)).toEqual(bitsOf(want));
    }
    expect(grown).toBeGreaterThan(2);
  });

  test("caches in turn, of other shapes, on one team", async () => {
    const backend = await inlineWorker();
    const opened = [
      { ...eight, key: "turbo4", value: "turbo2" },
      { kvHeads: 2, heads: 8, key: "turbo2", value: "f16" },
    ].flatMap((shape) =>
      [undefined, backend].map((backend) => {
        const cache = new KvCache({ ...base, ...shape, ...(backend ? { backend } : {}) });
        const seq = cache.create();
        extend(cache, seq, TOKENS, 7);
        return { cache, seq };
      }),
    );
    for (let turn = 0; turn < 3; turn++) {
      const q = normals(8 * DIM, turn);
      const [a, b, c, d] = opened.map(({ cache, seq }) => bitsOf(cache.attend(seq, turn % 2, q)));
      expect([b, d]).toEqual([a, c]);
    }
  });
});
