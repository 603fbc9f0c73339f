/** The path search of both backends, bit for bit: all formats, dimensions, rules, centres, and awkward values. */
import { describe, expect, test } from "vitest";
import { randomStream } from "../../src/core/random.js";
import { SCALE_RULES } from "../../src/core/scale.js";
import { TRELLIS_NAMES } from "../../src/core/trellis-tables.js";
import { createCodec } from "../../src/formats/codec.js";
import { createPlan, trellisWorkBytes } from "../../src/kernels/plan.js";
import { reference, setupOf, wasm } from "./suite.js";

const normals = (n: number, seed: number): Float32Array => {
  const stream = randomStream(seed, "data");
  return Float32Array.from({ length: n }, () => stream.normal());
};

const bytesOf = (x: Float32Array, name: string, options: object, backend: typeof wasm): Uint8Array =>
  createCodec(name, { dim: 128, nonFinite: "sanitize", ...options, backend }).encode(x);

describe.each(TRELLIS_NAMES)("%s", (name) => {
  test.each([32, 64, 96, 128, 160, 256, 576])("dim %i: the same bytes, with and without a centre", (dim) => {
    for (const scale of SCALE_RULES)
      for (const center of [undefined, normals(dim, 7)]) {
        const options = { dim, scale, seed: dim, ...(center ? { center } : {}) };
        const x = normals(60 * dim, dim);
        expect(bytesOf(x, name, options, wasm)).toEqual(bytesOf(x, name, options, reference));
      }
  });

  test("awkward vectors: zeros, one-hot, constant, tiny, huge, ties", () => {
    const dim = 128;
    const rows: Float32Array[] = [new Float32Array(dim), new Float32Array(dim).fill(1)];
    for (const value of [1, -3, 1e-7, 1e-30, 6e4, 1e18, 3e38, Number.NaN, Number.POSITIVE_INFINITY]) {
      const hot = new Float32Array(dim);
      hot[value < 0 ? 5 : 77] = value;
      rows.push(
        hot,
        new Float32Array(dim).fill(value).map((v, i) => (i % 3 ? v : -v)),
      );
    }
    const x = new Float32Array(rows.length * dim);
    rows.forEach((row, i) => {
      x.set(row, i * dim);
    });
    expect(bytesOf(x, name, {}, wasm)).toEqual(bytesOf(x, name, {}, reference));
  });
});

test("tables with equal entries, where every choice is a tie, give the same codes", () => {
  for (const [bits, window] of [
    [1, 4],
    [2, 4],
    [3, 4],
    [2, 6],
    [3, 6],
    [4, 6],
  ] as const)
    for (const levels of [1, 2, 3]) {
      const dim = 64;
      const table = new Float32Array(1 << window).map((_, w) => (w % levels) - 1);
      const run = (k: typeof wasm): number[] => {
        const { q } = setupOf(dim, bits, "least-squares");
        const codebook = { bits, boundaries: new Float32Array(0), centroids: table };
        const plan = createPlan(k.arena, { ...q, codebook, levels: table });
        const x = k.arena.allocate(4 * dim * 8);
        const out = k.arena.allocate(8 * (2 + (dim * bits) / 8));
        const work = k.arena.allocate(trellisWorkBytes(dim, bits, window));
        k.arena.f32.set(normals(dim * 8, 3), x >>> 2);
        k.encodeTrellis(plan.pointer, window, x, 8, out, work);
        const bytes = [...k.arena.bytes(out, 8 * (2 + (dim * bits) / 8))];
        for (const at of [work, out, x]) k.arena.release(at);
        plan.release();
        return bytes;
      };
      expect(run(wasm)).toEqual(run(reference));
    }
});
