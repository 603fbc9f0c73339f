/** Slips of an attention path, alone and in pairs, over formats, shapes and data: at least 95 % are named first. */
import { expect, it } from "vitest";
import type { Shape } from "./attention-paths.js";
import { attentionData, attentionSweep } from "./attention-sweep.js";
import { table } from "./sweep.js";

const PAIRS: readonly (readonly [string, string, number])[] = [
  ["llama/turbo4", "llama/turbo4", 128],
  ["llama/turbo3", "llama/turbo2", 256],
  ["ggml/q8_0", "llama/turbo4", 128],
  ["llama/turbo4", "llama/turbo3", 96],
  ["vllm/4bit_nc", "vllm/4bit_nc", 128],
  ["onnxruntime/q4", "onnxruntime/q4", 64],
];

it.each(PAIRS)("%s + %s, %i values", (keyFormat, valueFormat, dim) => {
  const outcomes = [
    { heads: 8, kvHeads: 2, causal: true },
    { heads: 4, kvHeads: 4, causal: false },
  ].flatMap((heads, seed) => {
    const shape: Shape = { keyFormat, valueFormat, dim, ...heads };
    const data = attentionData(shape, 5, 32, seed === 0 ? "outliers" : "gauss", seed);
    return [false, true].flatMap((pairs) => attentionSweep(shape, data, "", pairs));
  });
  const lines = table(outcomes, (o) => o.format);
  expect(outcomes.every((o) => o.detected)).toBe(true);
  expect(outcomes.filter((o) => o.right).length / outcomes.length, lines).toBeGreaterThan(0.95);
});
