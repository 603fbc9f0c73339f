/** A cache that is disposed of gives a backend all of its memory back, whatever its formats hold of it. */
import { expect, test } from "vitest";
import { KvCache } from "../../src/cache/index.js";
import { allFormats } from "../../src/formats/registry.js";
import { loadWasmSync } from "../../src/kernels/wasm.js";
import { normals } from "./vectors.js";

const kernels = loadWasmSync();
const DIM = 128;

test.each(
  allFormats()
    .filter((format) => format.supports(DIM))
    .map(({ name }) => name),
)("%s", (format) => {
  const before = kernels.arena.usedBytes;
  const shape = { layers: 2, kvHeads: 1, headDim: DIM, pageTokens: 16, pages: 4 };
  const cache = new KvCache({ ...shape, key: format, value: format, backend: kernels });
  const seq = cache.create();
  for (const layer of [0, 1]) cache.append(seq, layer, normals(20 * DIM, 1), normals(20 * DIM, 2));
  cache.attend(seq, 0, normals(DIM, 3));
  expect(kernels.arena.usedBytes).toBeGreaterThan(before);
  cache.dispose();
  expect(kernels.arena.usedBytes).toBe(before);
});
