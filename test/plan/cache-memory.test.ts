import { expect, test } from "vitest";
import { KvCache } from "../../src/cache/index.js";
import { cacheMemory } from "../../src/plan/cache-memory.js";
import { registryBytes } from "../../src/plan/engine-bytes.js";
import { uniformTypes } from "../../src/plan/kv-bytes.js";
import { uniformShape } from "../../src/plan/model-shape.js";

const model = uniformShape({ layers: 3, kvHeads: 2, headDim: 64 });

test.each([
  ["turbo4", "turbo2"],
  ["ggml/q8_0", "turbo3"],
  ["llama/turbo3", "llama/turbo3"],
])("a running cache of %s/%s holds what is calculated", (key, value) => {
  const cache = new KvCache({
    layers: 3,
    kvHeads: 2,
    headDim: 64,
    pageTokens: 16,
    pages: 8,
    key,
    value,
    backend: "reference",
  });
  const sequence = cache.create();
  const types = uniformTypes(3, key, value);
  const measure = () => cacheMemory(cache.stats(), model, types, registryBytes);
  const add = (tokens: number): void => {
    const rows = Float32Array.from({ length: tokens * 2 * 64 }, (_, i) => Math.sin(i + 1));
    for (let layer = 0; layer < 3; layer++) cache.append(sequence, layer, rows, rows);
  };
  expect(measure()).toMatchObject({ measuredBytes: 0, calculatedBytes: 0, difference: 0 });
  add(64);
  const { token, difference, within } = measure();
  expect(token.measured).toBe(token.calculated);
  expect(within).toBe(true);
  expect(difference).toBeGreaterThanOrEqual(0); // pages may be rounded up to whole words
  add(1); // a page for one token
  expect(measure().measuredBytes).toBeGreaterThan(measure().calculatedBytes * 1.15);
  expect(measure().within).toBe(false);
  // the check can fail: other types than the cache's
  const other = cacheMemory(cache.stats(), model, uniformTypes(3, "ggml/f16", "ggml/f16"), registryBytes);
  expect(other.token.measured).not.toBe(other.token.calculated);
  cache.dispose();
});
