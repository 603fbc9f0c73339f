/** Random commands on the cache and on plain arrays; mutants show that the comparison can fail. */
import { afterEach, describe, expect, test } from "vitest";
import { HalfRows } from "../../src/attention/half-rows.js";
import { TileStore } from "../../src/attention/vector-store.js";
import { KeyCenter } from "../../src/cache/key-center.js";
import { PageTable, type TableNode } from "../../src/cache/page-table.js";
import { PageTables } from "../../src/cache/page-tables.js";
import { Pages } from "../../src/cache/pages.js";
import { RecentBlocks } from "../../src/cache/recent.js";
import { SinkBlocks } from "../../src/cache/sinks.js";
import { createReferenceKernels } from "../../src/kernels/reference.js";
import { loadWasmSync } from "../../src/kernels/wasm.js";
import { checkModel, EVERYTHING, ran, TILES_IN_PAGES } from "./model.js";

test("1,000 runs on WASM", () => {
  ran.clear();
  checkModel(loadWasmSync(), 1000, 1);
  // Fourteen commands, and what they are there for: all of it happened, often.
  expect([...ran.keys()].sort()).toEqual([
    "adopt",
    "append",
    "appendLayer",
    "create",
    "dropPrefixes",
    "evicted",
    "follow",
    "fork",
    "free",
    "matchPrefix",
    "prefix hit",
    "refused",
    "reserve",
    "restore",
    "slide",
    "storePrefix",
    "truncate",
  ]);
  for (const [what, times] of ran) expect(times, what).toBeGreaterThan(what === "evicted" ? 2 : 40);
  expect(ran.get("append")).toBeGreaterThan(2000);
});
test("runs with first and last tokens in halves, centred keys and trellis codes, on each backend", () => {
  ran.clear();
  checkModel(loadWasmSync(), 500, 4, EVERYTHING);
  checkModel(createReferenceKernels(), 100, 5, EVERYTHING);
  expect(ran.get("full window")).toBeGreaterThan(200);
});
test("250 runs with pages of tiles, on each backend", () => {
  checkModel(loadWasmSync(), 200, 7, {}, TILES_IN_PAGES);
  checkModel(loadWasmSync(), 30, 8, EVERYTHING, TILES_IN_PAGES);
  checkModel(createReferenceKernels(), 20, 9, {}, TILES_IN_PAGES);
});
test("1,000 runs on the reference", () => checkModel(createReferenceKernels(), 1000, 2));

describe("mutants fail", () => {
  let undo: () => void = () => {};
  afterEach(() => undo());

  function mutate<T extends object, K extends keyof T>(of: T, name: K, to: (original: T[K]) => T[K]): void {
    const original = of[name];
    of[name] = to(original);
    undo = () => {
      of[name] = original;
    };
  }
  const fails = (): void => expect(() => checkModel(loadWasmSync(), 1000, 3)).toThrow(/Property failed/);

  test("without copy-on-write", () => {
    mutate(PageTable.prototype, "isShared", () => () => false);
    fails();
  });

  test("a fork that takes no reference to the page table", () => {
    mutate(
      PageTable.prototype,
      "fork",
      (original) =>
        function (this: PageTable) {
          const child = original.call(this);
          const nodes = new Map<TableNode, number>();
          child.survey(nodes, () => {});
          const [root] = nodes.keys();
          if (root) root.references--;
          return child;
        },
    );
    fails();
  });

  test("leaking a reference", () => {
    mutate(
      Pages.prototype,
      "retain",
      (original) =>
        function (this: Pages, page) {
          original.call(this, page);
          if (this.references[page]! === 3) original.call(this, page);
        },
    );
    fails();
  });

  test("sharing a length between forks", () => {
    mutate(
      PageTables.prototype,
      "fork",
      (original) =>
        function (this: PageTables, parent) {
          return Object.assign(original.call(this, parent), { fill: parent.fill });
        },
    );
    fails();
  });

  test("without zeroing a page that is used again", () => {
    mutate(
      Pages.prototype,
      "take",
      (original) =>
        function (this: Pages) {
          const next = this.freeList.at(-1)!;
          const arena = this.arena;
          const old =
            this.pointer(next) === 0 ? undefined : arena.bytes(this.pointer(next), this.pageBytes).slice();
          const page = original.call(this);
          if (old) arena.u8.set(old, this.pointer(page));
          return page;
        },
    );
    fails();
  });

  test("without wiping what a truncation forgot", () => {
    mutate(
      PageTables.prototype,
      "claim",
      () =>
        function (this: PageTables, page, layer, _at, end) {
          this.written[page * (this.written.length / this.pages.count) + layer] = end;
        },
    );
    fails();
  });

  const LAST = loadWasmSync();
  const failsWithEverything = (): void =>
    expect(() => checkModel(LAST, 700, 6, EVERYTHING)).toThrow(/Property failed/);

  const failsWithTiles = (): void =>
    expect(() => checkModel(loadWasmSync(), 200, 7, {}, TILES_IN_PAGES)).toThrow(/Property failed/);

  test("a copied tile with tokens beyond what the sequence has", () => {
    mutate(
      TileStore.prototype,
      "copy",
      (original) =>
        function (this: TileStore, from, to, count) {
          original.call(this, from, to, Math.ceil(count / 16) * 16);
        },
    );
    failsWithTiles();
  });
  test("wiping a tile as if it had rows", () => {
    mutate(
      TileStore.prototype,
      "wipe",
      (original) =>
        function (this: TileStore, base, at, end) {
          original.call(this, base, at - (at % 16), end);
        },
    );
    failsWithTiles();
  });
  test("halves that do not go with a copied page", () => {
    mutate(SinkBlocks.prototype, "copy", () => () => {});
    failsWithEverything();
  });
  test("halves of a former life of a page", () => {
    mutate(SinkBlocks.prototype, "close", () => () => {});
    failsWithEverything();
  });
  test("halves that a truncation forgot", () => {
    mutate(SinkBlocks.prototype, "wipe", () => () => {});
    failsWithEverything();
  });
  test("a fork that writes into the halves it shares", () => {
    mutate(
      RecentBlocks.prototype,
      "own",
      (original) =>
        function (this: RecentBlocks, recent) {
          return recent.block ?? original.call(this, recent);
        },
    );
    failsWithEverything();
  });
  test("a window that keeps tokens of before a truncation", () => {
    mutate(RecentBlocks.prototype, "truncate", () => () => {});
    failsWithEverything();
  });
  test("a window one token too long", () => {
    mutate(
      RecentBlocks.prototype,
      "advance",
      () =>
        function (this: RecentBlocks, { from }, layer, fill, sinks) {
          from[layer] = Math.max(from[layer]!, fill - this.tokens - 1, Math.min(sinks, fill));
        },
    );
    failsWithEverything();
  });
  test("halves that are not given back", () => {
    mutate(RecentBlocks.prototype, "drop", () => () => {});
    failsWithEverything();
  });
  test("last tokens attended to in halves and once more in codes", () => {
    mutate(
      HalfRows.prototype,
      "accumulate",
      (original) =>
        function (this: HalfRows, row, tile, limit, weights, sparse) {
          const { f32 } = LAST.arena;
          const kept = f32.slice(weights >>> 2, (weights >>> 2) + limit);
          original.call(this, row, tile, limit, weights, sparse);
          f32.set(kept, weights >>> 2);
        },
    );
    failsWithEverything();
  });
  test("means of the position before", () => {
    mutate(
      KeyCenter.prototype,
      "restore",
      (original) =>
        function (this: KeyCenter, layer, position, keys) {
          original.call(this, layer, Math.max(0, position - 1), keys);
        },
    );
    // Every cache is wrong alike, so only reads from elsewhere than the expected row's position show it.
    failsWithEverything();
  });
});
