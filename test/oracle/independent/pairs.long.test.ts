/** Pairs of faults written from the specification alone, a fixed sample of each format: how many are named, at least. */
import { expect, it } from "vitest";
import { dataOf } from "./data.js";
import { sweep, table } from "./sweep.js";

/** [format, side, dim, data, every, first, named of packed, named of decoded]: floors a little under what was measured. */
const SAMPLES = [
  ["llama/turbo2", "key", 128, "gauss", 67, 0, 0.93, 0.85],
  ["llama/turbo3", "key", 128, "mixed", 83, 7, 0.96, 0.53],
  ["llama/turbo4", "key", 128, "gauss", 67, 3, 0.96, 0.63],
  ["onnxruntime/q4", "key", 128, "gauss", 61, 5, 0.96, 0.65],
  ["vllm/4bit_nc", "key", 128, "gauss", 61, 6, 0.93, 0.66],
  ["ggml/q8_0", "key", 128, "gauss", 1, 0, 0.99, 0.99],
  ["ggml/q4_0", "key", 128, "mixed", 1, 0, 0.99, 0.99],
  ["ggml/q4_1", "key", 96, "heavy", 1, 0, 0.99, 0.99],
  ["ggml/q5_0", "key", 128, "mixed", 1, 0, 0.99, 0.99],
  ["ggml/q5_1", "key", 64, "gauss", 1, 0, 0.99, 0.99],
  ["realizar/q4", "key", 64, "gauss", 1, 0, 0.99, 0.99],
  ["vllm/3bit_nc", "value", 128, "gauss", 1, 0, 0.99, 0.99],
] as const;

it.each(SAMPLES)("%s, %s, dimension %i, %s", (format, side, dim, data, every, first, packed, decoded) => {
  const x = dataOf(data, dim, 1);
  const all = sweep({ format, side, dim, data, x, pairs: true, every, first });
  const lines = table(all, (o) => `${o.format} ${o.evidence}`);
  for (const [evidence, floor] of [
    ["packed", packed],
    ["decoded", decoded],
  ] as const) {
    const of = all.filter((o) => o.evidence === evidence);
    expect(of.length).toBeGreaterThan(5);
    expect(of.filter((o) => o.right).length / of.length, lines).toBeGreaterThanOrEqual(floor);
  }
});
