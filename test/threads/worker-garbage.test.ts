/** A step leaves no garbage, neither where it is published nor where its units are done. */
import { expect, test } from "vitest";
import { KvCache } from "../../src/cache/index.js";
import { allocatedBy } from "../cache/allocated.js";
import { normals } from "../cache/vectors.js";
import { inlineWorker } from "./inline-worker.js";

const STEPS = 2000;
const BATCHES = 20;
/** An empty object a step would be 28 bytes, a number for every head 96. */
const MOST_BYTES = 16 * STEPS;

test.each([
  ["packed", {}],
  ["and in halves", { recent: 8, sinks: 4 }],
])("steps leave no garbage on either side: tokens %s", async (_, halves) => {
  const backend = await inlineWorker();
  const shape = { layers: 1, kvHeads: 8, headDim: 32, pageTokens: 16, pages: 140, ...halves };
  const cache = new KvCache({ ...shape, key: "turbo4", value: "turbo3", precision: "fast", backend });
  const seq = cache.create();
  const n = 2048 * 8 * 32;
  cache.append(seq, 0, normals(n, 1), normals(n, 2));
  const [queries, out] = [normals(8 * 32, 5), new Float32Array(8 * 32)];
  const run = (steps: number): void => {
    for (let i = 0; i < steps; i++) cache.attend(seq, 0, queries, out);
  };
  // Compilers come when they have time: until then numbers are garbage, and once they have come none is.
  let least = Number.POSITIVE_INFINITY;
  for (let batch = 0; batch < BATCHES && least >= MOST_BYTES; batch++) {
    const { helped } = backend;
    least = Math.min(
      least,
      allocatedBy(() => run(STEPS)),
    );
    expect(backend.helped - helped).toBe(8 * STEPS);
  }
  expect(least).toBeLessThan(MOST_BYTES);
});
