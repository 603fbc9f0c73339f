/** Vectors in pages of tiles: the bytes that come out are those that went in, as in pages of rows. */
import { expect, test } from "vitest";
import { openSide } from "../../src/attention/open-side.js";
import { RowStore, TileStore } from "../../src/attention/vector-store.js";
import { randomStream } from "../../src/core/random.js";
import { createReferenceKernels } from "../../src/kernels/reference.js";
import { loadWasmSync } from "../../src/kernels/wasm.js";

const TOKENS = 48;

for (const [backend, kernels] of [
  ["wasm", loadWasmSync()],
  ["reference", createReferenceKernels()],
] as const)
  for (const format of ["turbo1", "turbo2", "turbo3", "turbo4", "turbo2+qjl", "turbo3+qjl"])
    for (const side of ["key", "value"] as const)
      test(`${format} ${side}s, ${backend}: random puts, wipes and copies as rows have them`, () => {
        const random = randomStream(3, "tiles");
        const below = (n: number): number => Math.floor(random.uniform() * n);
        const codec = openSide(format, kernels, { dim: 96, side, seed: 1, pageTokens: TOKENS });
        const { stride, store: tiles } = codec;
        expect(tiles).toBeInstanceOf(TileStore);
        const { arena } = kernels;
        const rows = new RowStore(arena, stride);
        const bytes = TOKENS * stride;
        const [inTiles, inRows, source, out, other, otherRows] = Array.from({ length: 6 }, () =>
          arena.allocate(2 * bytes),
        ) as [number, number, number, number, number, number];
        const taken = (store: TileStore | RowStore, base: number, at: number, count: number): Uint8Array => {
          store.take(base, at, count, out);
          return arena.bytes(out, count * stride).slice();
        };
        const wipeAll = (at: number): void => void arena.u8.fill(0, at, at + bytes);
        wipeAll(inTiles);
        wipeAll(inRows);
        for (let round = 0; round < 24; round++) {
          const at = below(TOKENS);
          const count = 1 + below(TOKENS - at);
          const step = stride + below(2) * 7;
          for (let i = 0; i < count * step; i++) arena.u8[source + i] = below(256);
          if (round % 4 === 3) {
            tiles.wipe(inTiles, at, at + count);
            rows.wipe(inRows, at, at + count);
          } else {
            tiles.put(source, step, at, count, inTiles);
            rows.put(source, step, at, count, inRows);
          }
          const from = below(TOKENS);
          const n = TOKENS - from;
          expect(taken(tiles as TileStore, inTiles, from, n)).toEqual(taken(rows, inRows, from, n));
          wipeAll(other);
          wipeAll(otherRows);
          tiles.copy(inTiles, other, count);
          rows.copy(inRows, otherRows, count);
          expect(taken(tiles as TileStore, other, 0, TOKENS)).toEqual(taken(rows, otherRows, 0, TOKENS));
        }
        // Really tiles: the same bytes in another order.
        const [a, b] = [arena.bytes(inTiles, bytes), arena.bytes(inRows, bytes)];
        expect(a.some((byte, i) => byte !== b[i])).toBe(true);
        codec.release();
      });

test("pages that hold no whole tiles, and formats without tiles, keep rows", () => {
  const kernels = loadWasmSync();
  const store = (format: string, pageTokens: number, dim = 64) =>
    openSide(format, kernels, { dim, side: "key", seed: 1, pageTokens }).store;
  expect(store("turbo4", 24)).toBeInstanceOf(RowStore);
  expect(store("turbo5", 16)).toBeInstanceOf(RowStore);
  expect(store("turbo4", 16, 512)).toBeInstanceOf(RowStore);
  expect(store("f16", 16)).toBeInstanceOf(RowStore);
  expect(store("turbo4", 16)).toBeInstanceOf(TileStore);
});
