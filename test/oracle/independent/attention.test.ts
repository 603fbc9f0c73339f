/** Slips of an attention path written from the catalogue alone, on small shapes; attention.long.test.ts has the rest. */
import { expect, it } from "vitest";
import type { Shape, Sums } from "./attention-paths.js";
import { attentionConforms, attentionData, attentionSweep } from "./attention-sweep.js";

const shapes: readonly Shape[] = [
  { keyFormat: "llama/turbo3", valueFormat: "llama/turbo4", dim: 64, heads: 4, kvHeads: 2, causal: true },
  { keyFormat: "ggml/q8_0", valueFormat: "llama/turbo2", dim: 128, heads: 3, kvHeads: 3, causal: false },
];

it.each(shapes)("names every slip: $keyFormat + $valueFormat, $dim values", (shape) => {
  const data = attentionData(shape, 3, 20, "gauss", 5);
  const wrong = attentionSweep(shape, data, "gauss", false).filter((o) => !o.right);
  expect(wrong.map((o) => `${o.note} -> ${o.got}`)).toEqual([]);
});

it.each(["f64", "f32", "f32 backwards", "online f32", "half values"] satisfies Sums[])(
  "takes sums in %s for right",
  (sums) => {
    for (const shape of shapes)
      for (const kind of ["gauss", "outliers", "offset"] as const)
        expect(attentionConforms(shape, attentionData(shape, 3, 20, kind, 6), sums)).toBe("conforming");
  },
);
