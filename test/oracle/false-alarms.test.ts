/** Conforming outputs of somebody else's writing: other orders of sums, halves rounded after other sums. */
import { expect, it } from "vitest";
import { dataOf } from "./independent/data.js";
import { conforming } from "./independent/sweep.js";

it.each([
  ["vllm/4bit_nc", "key"],
  ["vllm/3bit_nc", "key"],
  ["vllm/4bit_nc", "value"],
  ["vllm/3bit_nc", "value"],
  ["onnxruntime/q4", "key"],
  ["llama/turbo2", "key"],
  ["llama/turbo3-qk32", "key"],
  ["llama/turbo4", "key"],
  ["ggml/q4_0", "key"],
  ["ggml/q5_1", "key"],
  ["realizar/q8", "key"],
] as const)("%s, %ss", (format, side) => {
  for (const kind of ["outliers", "heavy", "mixed"] as const)
    for (const seed of [6, 24])
      for (const verdict of conforming(format, side, 128, dataOf(kind, 128, seed, 40)))
        expect(verdict, `${kind}, ${seed}`).toMatch(/^(exact|tolerated)$/);
});
