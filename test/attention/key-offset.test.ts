/** A mean that does not turn has one share in all scores of a query: its rounding is part of the definition. */
import { expect, test } from "vitest";
import { KeyOffset } from "../../src/attention/key-offset.js";
import { createReferenceKernels } from "../../src/kernels/reference.js";
import { loadWasmSync } from "../../src/kernels/wasm.js";
import { bitsOf, normals } from "../cache/vectors.js";

const { fround } = Math;

test.each([
  ["reference", createReferenceKernels()],
  ["wasm", loadWasmSync()],
])("%s: products and sums are rounded one after another", (_, kernels) => {
  const [dim, kvHeads, layers, tile] = [96, 2, 3, 128];
  const means = normals(layers * kvHeads * dim, 1);
  const offset = new KeyOffset(kernels, dim, kvHeads, { means, rope: undefined }, 4, tile);
  const { arena } = kernels;
  const query = arena.allocate(4 * dim);
  const out = arena.allocate(4 * tile);
  for (let trial = 0; trial < 50; trial++) {
    const [row, layer, head] = [trial % 4, trial % layers, trial % kvHeads];
    const q = normals(dim, 100 + trial);
    const scores = normals(tile, 200 + trial);
    arena.f32.set(q, query >>> 2);
    arena.f32.set(scores, out >>> 2);
    offset.prepare(row, layer, head, query);
    offset.add(row, 128, 100, out);
    const mean = means.subarray((layer * kvHeads + head) * dim);
    let share = 0;
    for (let i = 0; i < dim; i++) share = fround(share + fround(q[i]! * mean[i]!));
    const due = scores.map((s, i) => (i < 100 ? s + share : s));
    expect(bitsOf(arena.f32.slice(out >>> 2, (out >>> 2) + tile))).toEqual(bitsOf(due));
  }
});
