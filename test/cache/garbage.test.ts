/** A decode step leaves no garbage: what 10⁵ of them allocate, by V8's sampling of every allocation's site. */
import { expect, test } from "vitest";
import { KvCache } from "../../src/cache/index.js";
import { allocatedBy } from "./allocated.js";
import { normals } from "./vectors.js";

const STEPS = 100_000;
/** Compilers and page tables: one number a step would be 12. */
const MOST_BYTES = 6 * STEPS;

/** prompt: tokens that are there; garbage: 1 lets every step make its output; halves: the last tokens in halves. */
function steps(precision: "exact" | "precise" | "fast", prompt: number, garbage = 0, halves = 0) {
  const shape = { layers: 1, kvHeads: 1, heads: 2, headDim: 32, pageTokens: 16, pages: prompt / 16 + 4 };
  const cache = new KvCache({
    ...shape,
    key: "turbo4",
    value: "turbo3",
    precision,
    sinks: halves,
    recent: halves,
  });
  const seq = cache.create();
  cache.append(seq, 0, normals(prompt * 32, 1), normals(prompt * 32, 2));
  const [key, value, queries, out] = [normals(32, 3), normals(32, 4), normals(64, 5), new Float32Array(64)];
  return (n: number): void => {
    for (let i = 0; i < n; i++) {
      cache.append(seq, 0, key, value);
      cache.attend(seq, 0, queries, garbage > 0 ? undefined : out);
      if (i % 32 === 31) cache.truncate(seq, prompt);
    }
  };
}

test.each(["exact", "precise", "fast"] as const)("10⁵ steps of append and attend, %s", (precision) => {
  const run = steps(precision, 64);
  run(10_000);
  expect(allocatedBy(() => run(STEPS))).toBeLessThan(MOST_BYTES);
});

test("10⁵ steps with the first and the last tokens in halves", () => {
  const run = steps("fast", 64, 0, 8);
  run(10_000);
  expect(allocatedBy(() => run(STEPS))).toBeLessThan(MOST_BYTES);
});

test("as little where the context is 32 times as long: nothing per tile", () => {
  const run = steps("fast", 2048);
  run(2000);
  // A number for each row and tile would be 1.9 MB; compilers take .13.
  expect(allocatedBy(() => run(5000))).toBeLessThan(600_000);
});

test("one output a step would show", () => {
  const run = steps("fast", 64, 1);
  run(10_000);
  expect(allocatedBy(() => run(STEPS / 10))).toBeGreaterThan(MOST_BYTES / 10);
});
