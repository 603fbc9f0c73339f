/** The order in which weights are added up is part of the definition: here it is spelled out, and compared by bits. */
import { expect, test } from "vitest";
import { RunningSoftmax } from "../../src/attention/running-softmax.js";
import { createReferenceKernels } from "../../src/kernels/reference.js";
import { loadWasmSync } from "../../src/kernels/wasm.js";
import { bitsOf, normals } from "../cache/vectors.js";

const TILE = 128;
const { fround } = Math;

test.each([
  ["reference", createReferenceKernels()],
  ["wasm", loadWasmSync()],
])(
  "%s: four lanes by position, a tile before what came before it, joined as (0 + 2) + (1 + 3)",
  (_, kernels) => {
    const softmax = new RunningSoftmax(kernels);
    const { arena } = kernels;
    const space = arena.allocate(4 * TILE);
    softmax.scale[0] = 0.5;
    const read = (n: number): Float32Array => arena.f32.slice(space >>> 2, (space >>> 2) + n);
    for (let trial = 0; trial < 40; trial++) {
      softmax.open(1);
      const total = new Float32Array(4);
      // Falling maxima: the factor stays 1, so that weights of all tiles are of one scale.
      for (const [tile, n] of [TILE, TILE, 37].entries()) {
        arena.f32.set(
          normals(n, 100 * trial + tile).map((v) => v - 20 * tile),
          space >>> 2,
        );
        if (tile === 0) arena.f32[space >>> 2] = 9;
        expect(softmax.weigh(0, space, n)).toBe(false);
        const lanes = new Float32Array(4);
        for (const [i, weight] of read(n).entries()) lanes[i % 4]! += weight;
        for (let lane = 0; lane < 4; lane++) total[lane]! += lanes[lane]!;
      }
      const sum = fround(fround(total[0]! + total[2]!) + fround(total[1]! + total[3]!));
      const values = normals(8, trial);
      arena.f32.set(values, space >>> 2);
      const out = new Float32Array(8);
      softmax.divide(0, space, 8, out, 0);
      expect(bitsOf(out)).toEqual(bitsOf(values.map((v) => v * fround(1 / sum))));
    }
  },
);
