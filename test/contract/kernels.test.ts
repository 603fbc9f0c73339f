import { describe, expect, test } from "vitest";
import { fromF16, toF16 } from "../../src/core/float.js";
import { createSketch } from "../../src/core/qjl.js";
import { createQuantizer } from "../../src/core/quantizer.js";
import { seededRotation } from "../../src/core/seeded-rotation.js";
import { rotationFrom } from "../../src/core/wht.js";
import { createPlan } from "../../src/kernels/plan.js";
import { loadWasm, loadWasmSync } from "../../src/kernels/wasm.js";
import { compareBytes, compareFloats, run } from "./compare.js";
import { trickyVectors } from "./inputs.js";
import { checkDecode, checkEncode, contract, reference, setupOf, wasm } from "./suite.js";

describe("the WASM backend is really the WASM backend", () => {
  test("its name and its functions say so", async () => {
    expect(reference.name).toBe("reference");
    for (const kernels of [wasm, await loadWasm()]) {
      expect(kernels.name).toBe("wasm-simd");
      for (const [name, method] of Object.entries(kernels)) {
        if (typeof method !== "function") continue;
        // A table of functions takes functions of a WebAssembly instance and no others.
        const table = new WebAssembly.Table({ element: "anyfunc", initial: 1 });
        expect(() => table.set(0, method), name).not.toThrow();
        const impostor = (reference as unknown as Record<string, () => void>)[name];
        expect(typeof impostor, name).toBe("function");
        expect(() => table.set(0, impostor!), name).toThrow(TypeError);
      }
    }
  });

  test("each instance has a memory of its own, which grows under live plans", () => {
    const [a, b] = [loadWasmSync(), loadWasmSync()];
    expect(a.arena.u8.buffer).not.toBe(b.arena.u8.buffer);
    const at = a.arena.allocate(64);
    a.arena.f32.set([1, 2, 3, 4], at >>> 2);
    const large = a.arena.allocate(10 << 20);
    expect(large).toBeGreaterThan(at);
    a.f32ToF16(at, large, 4);
    expect([...a.arena.u16.subarray(large >>> 1, (large >>> 1) + 4)]).toEqual([1, 2, 3, 4].map(toF16));
    a.arena.release(large);
    a.arena.release(at);
    expect(a.arena.usedBytes).toBe(0);
  });
});

test("a plan refuses a sketch whose bits do not fill bytes", () => {
  const { q } = setupOf(32, 3, "unbiased");
  const sketch = { ...createSketch("gaussian", 32, 1), rows: 12 };
  expect(() => createPlan(reference.arena, q, sketch)).toThrow(RangeError);
});

describe("halves", () => {
  test("all 65,536 become the same f32", () => {
    const halves = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const bytes = new Float32Array(halves.buffer);
    const work = (k: typeof wasm) => run(k, [bytes], 4 * 65536, ([at], out) => k.f16ToF32(at!, out, 65536));
    expect(compareFloats(work(reference), work(wasm))).toEqual({ count: 0, first: "" });
  });

  test("f32 round alike: every half, its neighbours, the midpoints, and two million patterns", () => {
    const patterns: number[] = [];
    const scratch = new Float32Array(1);
    const word = new Uint32Array(scratch.buffer);
    for (let half = 0; half < 65536; half++) {
      scratch[0] = fromF16(half);
      const bits = word[0]!;
      for (const d of [-0x1001, -0x1000, -0xfff, -1, 0, 1, 0xfff, 0x1000, 0x1001]) patterns.push(bits + d);
    }
    for (let i = 0; i < 2 ** 21; i++) patterns.push((i * 2048 + ((i * 2654435761) >>> 21)) >>> 0);
    for (const n of [patterns.length, 1, 7, 9, 15]) {
      const x = new Float32Array(Uint32Array.from(patterns.slice(-n)).buffer);
      const work = (k: typeof wasm) => run(k, [x], 2 * n, ([at], out) => k.f32ToF16(at!, out, n));
      expect(compareBytes(work(reference), work(wasm))).toEqual({ count: 0, first: "" });
    }
  });

  test("any count, any even address", () => {
    const x = trickyVectors(1, 64, 3);
    for (let n = 0; n < 20; n++)
      for (const shift of [0, 2, 6]) {
        const work = (k: typeof wasm) =>
          run(k, [x], 256, ([at], out) => {
            k.f32ToF16(at!, out + shift, n);
            k.f16ToF32(out + shift, out + 128, n);
          });
        expect(compareFloats(work(reference), work(wasm))).toEqual({ count: 0, first: "" });
      }
  });
});

test("dense kernels take any dimension and any number of rows", () => {
  for (const dim of [1, 2, 3, 5, 30, 80, 83])
    for (const rows of [0, 1, 3, 4, 5, 11]) {
      const x = trickyVectors(rows + 1, dim, 11);
      const dots = (k: typeof wasm) =>
        run(k, [x], 4 * rows, ([at], out) => k.dotF32(at!, at! + 4 * dim, rows, dim, out));
      expect(compareFloats(dots(reference), dots(wasm))).toEqual({ count: 0, first: "" });
      const weights = trickyVectors(1, Math.max(rows, 1), 2);
      const sums = (k: typeof wasm) =>
        run(k, [x, weights], 4 * dim, ([at, w], acc) => k.accumulateF32(w!, at!, rows, dim, acc), {
          initial: x.subarray(0, dim),
        });
      expect(compareFloats(sums(reference), sums(wasm))).toEqual({ count: 0, first: "" });
    }
});

describe("ties", () => {
  // A one-hot vector has |z| = gain everywhere: with boundaries there, every coordinate is a tie.
  for (const dim of [64, 96])
    for (const [kind, inner] of [
      ["mirrored", -1],
      ["lopsided", -0.999],
    ] as const)
      test(`on ${kind} boundaries, d = ${dim}`, () => {
        const ones = new Float32Array(dim).fill(1);
        const q0 = createQuantizer(
          rotationFrom(ones, seededRotation(dim, 3).after, dim & -dim),
          2,
          "unbiased",
        );
        const codebook = {
          bits: 2,
          boundaries: Float32Array.of(inner * q0.gain, 0, q0.gain),
          centroids: q0.codebook.centroids,
        };
        const q = createQuantizer(q0.rotation, 2, "unbiased", undefined, codebook);
        expect(checkEncode({ q }, 960, 0)).toEqual({ count: 0, first: "" });
      });

  for (const bits of [2, 3, 4, 5, 6, 7, 8])
    test(`on each positive boundary of ${bits} bits in turn`, () => {
      const side = (1 << (bits - 1)) - 1;
      const { rotation, codebook, levels, ...rest } = createQuantizer(
        seededRotation(64, 3),
        bits,
        "unbiased",
      );
      for (let k = 0; k < side; k += Math.ceil(side / 9)) {
        const one = codebook.boundaries[side + 1 + k]!; // divided by itself it is 1, and so is |z|
        const scaled = { ...codebook, boundaries: codebook.boundaries.map((b) => b / one) };
        const q = { ...rest, rotation, levels, codebook: scaled };
        expect(checkEncode({ q }, 96, 0)).toEqual({ count: 0, first: "" });
      }
    });

  for (const bits of [5, 8])
    test(`mirrored boundaries of ${bits} bits too crowded for a grid`, () => {
      const q = createQuantizer(seededRotation(64, 3), bits, "unbiased");
      const boundaries = q.codebook.boundaries.map((b) => b * b * b);
      const crowded = { ...q, codebook: { ...q.codebook, boundaries } };
      expect(checkEncode({ q: crowded }, 480, 0)).toEqual({ count: 0, first: "" });
    });

  for (const bits of [1, 3, 4, 5, 8])
    test(`lopsided codebook of ${bits} bits`, () => {
      const q0 = createQuantizer(seededRotation(128, 3), bits, "least-squares");
      const codebook = {
        bits,
        boundaries: q0.codebook.boundaries.map((b) => b + 0.01),
        centroids: q0.codebook.centroids.map((c) => c + 0.01),
      };
      const q = createQuantizer(q0.rotation, bits, "least-squares", undefined, codebook);
      expect(checkEncode({ q }, 480, 0)).toEqual({ count: 0, first: "" });
    });
});

describe("the comparison sees a backend that is wrong", () => {
  const right = setupOf(128, 4, "norm-matching");
  const signs = right.q.rotation.after.slice();
  signs[77] = -signs[77]!;
  const levels = right.q.levels.slice();
  levels[15] = levels[15]! * (1 + 2 ** -23);
  const boundaries = right.q.codebook.boundaries.slice();
  boundaries[9] = boundaries[9]! * 1.001;
  const mutants = {
    "another scale rule": setupOf(128, 4, "unbiased"),
    "another seed": setupOf(128, 4, "norm-matching", { seed: 8 }),
    "a centre": setupOf(128, 4, "norm-matching", { centered: true }),
    "one sign": { q: { ...right.q, rotation: { ...right.q.rotation, after: signs } } },
    "one boundary by a thousandth": {
      q: { ...right.q, codebook: { ...right.q.codebook, boundaries } },
    },
  };
  for (const [name, mutant] of Object.entries(mutants))
    test(`encode: ${name}`, () => expect(checkEncode(right, 480, 0, mutant).count).toBeGreaterThan(0));
  test("decode: one level by one ulp", () => {
    const mutant = { q: { ...right.q, levels } };
    expect(checkDecode(right, "decodeRotated", 48, 240, mutant).count).toBeGreaterThan(0);
  });
});

for (const dim of [32, 64, 96, 128, 192, 256, 576]) contract(dim, 2_000);
