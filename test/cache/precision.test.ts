/** Attention at each precision: its error against f64 over the dequantised vectors, and that nothing but it decides. */
import { describe, expect, test } from "vitest";
import { KvCache, type KvCacheOptions } from "../../src/cache/index.js";
import type { Kernels } from "../../src/kernels/kernels.js";
import { loadWasmSync } from "../../src/kernels/wasm.js";
import { exactAttention, normals, relativeRms } from "./vectors.js";

const BOUNDS = { exact: 1e-6, precise: 3e-3, fast: 2e-2 } as const;
type Precision = keyof typeof BOUNDS;

interface Shape {
  readonly dim: number;
  readonly kvHeads: number;
  readonly heads: number;
  readonly tokens: number;
  readonly pageTokens: number;
  readonly key: string;
  readonly value: string;
}

function fill(
  { dim, kvHeads, heads, tokens, pageTokens, key, value }: Shape,
  backend: "wasm" | "reference" | Kernels,
) {
  const pages = Math.ceil(tokens / pageTokens);
  const cache = new KvCache({
    layers: 1,
    kvHeads,
    heads,
    headDim: dim,
    pageTokens,
    pages,
    key,
    value,
    backend,
  });
  const seq = cache.create();
  cache.append(seq, 0, normals(tokens * kvHeads * dim, 1), normals(tokens * kvHeads * dim, 2));
  return { cache, seq };
}

const base = { kvHeads: 2, heads: 2, tokens: 700, pageTokens: 16 };
const shapes: Shape[] = [64, 96, 128, 256].flatMap((dim) =>
  ["turbo4", "turbo3", "turbo2", "turbo1"].map((format) => ({ ...base, dim, key: format, value: format })),
);
shapes.push(
  { ...base, dim: 128, key: "turbo3+qjl", value: "turbo2+qjl" },
  { ...base, dim: 128, heads: 16, key: "turbo4", value: "turbo3" },
  { ...base, dim: 64, heads: 8, key: "turbo2+qjl", value: "turbo4", pageTokens: 10 },
  { ...base, dim: 128, key: "turbo4", value: "f16", pageTokens: 7 },
  { ...base, dim: 128, key: "ggml/q8_0", value: "turbo4" },
  // Errors do not grow with the length.
  { ...base, dim: 64, kvHeads: 1, heads: 1, tokens: 20_000, key: "turbo4", value: "turbo4" },
);

describe.each(shapes)("$key/$value, d = $dim, $heads heads, pages of $pageTokens", (shape) => {
  const { cache, seq } = fill(shape, "wasm");
  const q = normals(3 * shape.heads * shape.dim, 3);
  const [k, v] = [cache.read(seq, 0, "key"), cache.read(seq, 0, "value")];
  const want = exactAttention(q, k, v, shape.heads, shape.kvHeads, shape.dim);
  for (const precision of ["exact", "precise", "fast"] as const)
    test(precision, () => {
      const error = relativeRms(cache.attend(seq, 0, q, undefined, { precision }), want);
      expect(error).toBeLessThan(BOUNDS[precision]);
      // One bound above, so that "fast" that secretly is exact would show.
      const lossy = precision !== "exact" && /^turbo[1-4]/.test(shape.key);
      if (lossy) expect(error).toBeGreaterThan(BOUNDS.exact);
    });
});

test.each(["precise", "fast"] as const)(
  "%s: pages, queries at once and the backend do not matter",
  (precision: Precision) => {
    for (const [key, value, heads] of [
      ["turbo4", "turbo3", 2],
      ["turbo2+qjl", "turbo4", 8],
    ] as const) {
      const shape = { dim: 64, kvHeads: 2, heads, tokens: 150, pageTokens: 16, key, value };
      const q = normals(4 * heads * 64, 5);
      const options = { precision, window: 100, sinks: 3, sparse: 1e-4 };
      const attend = (pageTokens: number, backend: "wasm" | "reference") => {
        const { cache, seq } = fill({ ...shape, pageTokens }, backend);
        return { all: cache.attend(seq, 0, q, undefined, options), cache, seq };
      };
      const { all, cache, seq } = attend(16, "wasm");
      expect(attend(5, "wasm").all).toEqual(all);
      expect(attend(48, "reference").all).toEqual(all);
      const last = cache.attend(seq, 0, q.subarray(3 * heads * 64), undefined, options);
      expect(last).toEqual(all.slice(3 * heads * 64));
    }
  },
);

test.each(["precise", "fast"] as const)(
  "%s: a row in one call has the bits of tile after tile, at every length, in a fork",
  (precision) => {
    for (const [key, value] of [
      ["turbo4", "turbo3"],
      ["turbo2+qjl", "turbo4"],
    ] as const)
      for (const tokens of [1, 15, 16, 127, 128, 129, 500]) {
        const shape = { dim: 64, kvHeads: 2, heads: 2, tokens, pageTokens: 16, key, value };
        const q = normals(2 * 64, 5);
        const attend = (pageTokens: number, backend: "wasm" | "reference", more = {}) => {
          const { cache, seq } = fill({ ...shape, pageTokens }, backend);
          return cache.attend(cache.fork(seq), 0, q, undefined, { precision, ...more });
        };
        const whole = attend(16, "wasm");
        // Pages that have no tiles, and weights that may be too small, go tile after tile.
        expect(attend(5, "wasm")).toEqual(whole);
        expect(attend(16, "wasm", { sparse: 1e-38 })).toEqual(whole);
        // Eight tiles may begin in the middle of a page.
        for (const pageTokens of [48, 256]) expect(attend(pageTokens, "wasm")).toEqual(whole);
        // What a row in one call knows nothing of.
        for (const more of [{ window: 40 }, { window: 40, sinks: 3 }, { sparse: 0.3 }])
          expect(attend(16, "wasm", more)).toEqual(attend(5, "wasm", more));
        if (tokens < 200) expect(attend(48, "reference")).toEqual(whole);
      }
  },
);

test.each(["precise", "fast"] as const)("%s: what was released is no row in one call", (precision) => {
  const q = normals(2 * 64, 12);
  const [tiled, rows] = [16, 4].map((pageTokens) => {
    const shape = { dim: 64, kvHeads: 2, heads: 2, tokens: 600, pageTokens, key: "turbo4", value: "turbo4" };
    const { cache, seq } = fill(shape, "wasm");
    cache.slide(seq, 88, 16);
    return cache.attend(seq, 0, q, undefined, { precision });
  });
  expect(tiled).toEqual(rows);
});

test.each(["precise", "fast"] as const)(
  "%s: tokens in halves and a mean taken off keys are no row in one call",
  (precision) => {
    const rope = { pairing: "half-split", dimensions: 64, theta: 10_000, scaling: { type: "none" } } as const;
    const mean = normals(2 * 64, 7);
    const q = normals(2 * 64, 8);
    const extras: Partial<KvCacheOptions>[] = [
      { sinks: 3 },
      { recent: 20 },
      { center: { means: mean, rope } },
    ];
    for (const more of extras) {
      const [paged, tiled] = [5, 16].map((pageTokens) => {
        const shape = { layers: 1, kvHeads: 2, heads: 2, headDim: 64, pageTokens, pages: 40 };
        const cache = new KvCache({ ...shape, key: "turbo4", value: "turbo4", precision, ...more });
        const seq = cache.create();
        cache.append(seq, 0, normals(150 * 128, 9), normals(150 * 128, 10));
        return cache.attend(seq, 0, q);
      });
      expect(tiled).toEqual(paged);
    }
  },
);

/** Error of scores by lookup relative to the rms score: kernels/tables.ts. */
const SCORE_BOUNDS = { exact: 1e-6, precise: 3e-3, fast: 2e-2 } as const;

test.each(
  [64, 128, 256].flatMap((dim) => ["turbo4", "turbo3", "turbo2", "turbo1"].map((f) => [f, dim] as const)),
)("score of %s, d = %i, at each precision", (key, dim) => {
  const { cache, seq } = fill({ ...base, dim, key, value: "turbo4" }, "wasm");
  const [q, keys] = [normals(dim, 9), cache.read(seq, 0, "key")];
  const want = Float64Array.from({ length: base.tokens }, (_, t) => {
    const from = (t * base.kvHeads + 1) * dim;
    return q.reduce((sum, x, i) => sum + x * keys[from + i]!, 0);
  });
  for (const precision of ["exact", "precise", "fast"] as const) {
    const got = cache.score(seq, 0, 1, q, undefined, { precision });
    expect(relativeRms(got, want), precision).toBeLessThan(SCORE_BOUNDS[precision]);
    const part = cache.score(seq, 0, 1, q, undefined, { precision, from: 131, to: 300 });
    expect(part).toEqual(got.slice(131, 300));
  }
});

test("the constructor's precision is what attend and score do where they are not told, and restore may give another", () => {
  const shape = { ...base, dim: 64, key: "turbo4", value: "turbo4" };
  const exact = fill(shape, "wasm");
  const q = normals(shape.heads * 64, 4);
  const bytes = exact.cache.snapshot();
  for (const precision of ["exact", "precise", "fast"] as const) {
    const cache = KvCache.restore(bytes, { precision });
    expect(cache.config.precision).toBe(precision);
    expect(cache.attend(exact.seq, 0, q)).toEqual(
      exact.cache.attend(exact.seq, 0, q, undefined, { precision }),
    );
    expect(cache.score(exact.seq, 0, 1, q.subarray(0, 64))).toEqual(
      exact.cache.score(exact.seq, 0, 1, q.subarray(0, 64), undefined, { precision }),
    );
    // It is no part of what is stored.
    expect(cache.snapshot()).toEqual(bytes);
  }
  expect(exact.cache.config.precision).toBe("exact");
  const precision = "quick" as Precision;
  const options = {
    layers: 1,
    kvHeads: 1,
    headDim: 64,
    pageTokens: 16,
    pages: 1,
    key: "turbo4",
    value: "turbo4",
  };
  expect(() => new KvCache({ ...options, precision })).toThrow(/"precision"/);
  expect(() => exact.cache.score(exact.seq, 0, 0, q.subarray(0, 64), undefined, { precision })).toThrow(
    /"precision"/,
  );
});

describe("faults exceed the bounds", () => {
  const shape = { ...base, dim: 128, tokens: 300, key: "turbo4", value: "turbo4" };
  const right = loadWasmSync();
  const mutants: [string, "precise" | "fast", Partial<Kernels>][] = [
    [
      "the last tile of keys is not scored",
      "precise",
      {
        scoreTables16: (plan, tables, list, n, out) => right.scoreTables16(plan, tables, list, n - 1, out),
      },
    ],
    [
      "one token of a tile of keys is the one before",
      "precise",
      {
        tileKeys: (plan, rows, step, first, count, tile) => {
          right.tileKeys(plan, rows, step, first, count, tile);
          if (count > 1) right.tileKeys(plan, rows, step, first + 1, 1, tile);
        },
      },
    ],
    [
      "values of the last tile of a block are missing",
      "precise",
      {
        accumulateIntegers: (plan, levelBytes, w, ws, rows, list, n, acc, as, work) =>
          right.accumulateIntegers(plan, levelBytes, w, ws, rows, list, n - 1, acc, as, work),
      },
    ],
    [
      "sums stay in the order of lookups",
      "fast",
      {
        gatherSums: (_, acc, out) =>
          void right.arena.f32.copyWithin(out >>> 2, acc >>> 2, (acc >>> 2) + shape.dim),
      },
    ],
    ["a query is not rotated", "fast", { rotate: () => {} }],
    [
      "weights of an older maximum do not shrink",
      "precise",
      {
        weighTile: (x, n, state) => {
          right.weighTile(x, n, state);
          right.arena.f32[(state >>> 2) + 2] = 1;
        },
      },
    ],
  ];
  test.each(mutants)("%s", (_, precision, fault) => {
    const { cache, seq } = fill(shape, { ...right, ...fault });
    const sound = fill(shape, right);
    const q = normals(3 * shape.heads * shape.dim, 3);
    const [k, v] = (["key", "value"] as const).map((side) => sound.cache.read(sound.seq, 0, side)) as [
      Float32Array,
      Float32Array,
    ];
    const want = exactAttention(q, k, v, shape.heads, shape.kvHeads, shape.dim);
    const error = (of: typeof sound): number =>
      relativeRms(of.cache.attend(of.seq, 0, q, undefined, { precision }), want);
    expect(error(sound)).toBeLessThan(BOUNDS[precision]);
    expect(error({ cache, seq })).toBeGreaterThan(BOUNDS[precision]);
  });
});

test("an unknown precision is refused", () => {
  const { cache, seq } = fill({ ...base, dim: 64, key: "turbo4", value: "turbo4" }, "wasm");
  const precision = "quick" as Precision;
  expect(() => cache.attend(seq, 0, normals(128, 1), undefined, { precision })).toThrow(/"precision"/);
});
