import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fromF16, toF16 } from "../../src/core/float.js";
import { createQuantizer, createScratch, quantizeMse } from "../../src/core/quantizer.js";
import { SCALE_RULES } from "../../src/core/scale.js";
import { seededRotation } from "../../src/core/seeded-rotation.js";
import {
  createCodec,
  FormatError,
  findFormat,
  listFormats,
  loadWasm,
  randomStream,
  selectOutliers,
} from "../../src/index.js";

const normals = (n: number, seed = 1): Float32Array => {
  const stream = randomStream(seed, "data");
  return Float32Array.from({ length: n }, () => stream.normal());
};

describe("bytes are counted", () => {
  test("34 / 50 / 66 bytes at dim 128, and a residual norm and a sign bit per value with +qjl", () => {
    const bytes = (name: string, dim = 128): number => findFormat(name).vectorBytes(dim);
    expect([2, 3, 4].map((b) => bytes(`turbo${b}`))).toEqual([34, 50, 66]);
    expect(bytes("turbo3+qjl")).toBe(50 + 2 + 16);
    expect(bytes("turbo2.5")).toBe(40);
    expect(bytes("turbo3.5")).toBe(60);
    expect(bytes("polar3.875")).toBe(62);
    expect(bytes("turbo4", 96)).toBe(50);
  });
  test("what is listed is what encode writes, for every format and dimension", () => {
    for (const { name, bytesPerVector, bitsPerValue } of listFormats())
      for (const [dim, bytes] of Object.entries(bytesPerVector)) {
        const codec = createCodec(name, { dim: Number(dim) });
        expect(codec.encode(normals(2 * codec.dim)).length).toBe(2 * bytes!);
        expect(bitsPerValue[Number(dim) as 64]).toBe((8 * bytes!) / Number(dim));
        expect(codec.decode(codec.encode(normals(codec.dim))).length).toBe(codec.dim);
      }
  });
});

describe("scale rules", () => {
  test("least-squares ≤ norm-matching ≤ unbiased, and errors in the same order, for every vector", () => {
    const dim = 64;
    fc.assert(
      fc.property(
        fc.array(fc.float({ noNaN: true, min: -1000, max: 1000 }), { minLength: dim, maxLength: dim }),
        fc.integer({ min: 1, max: 8 }),
        fc.nat(100),
        (values, bits, seed) => {
          const x = Float32Array.from(values);
          const energy = x.reduce((sum, v) => sum + v * v, 0);
          if (energy < 1e-3) return;
          const results = SCALE_RULES.map((rule) => {
            const q = createQuantizer(seededRotation(dim, seed), bits, rule);
            const scratch = createScratch(dim);
            const scale = fromF16(quantizeMse(q, x, new Uint8Array(dim), scratch));
            // Σ(z·n/√d − scale·c/√d)², in f64 from z and c.
            const n = Math.sqrt(energy);
            const error =
              scratch.z.reduce((sum, z, i) => sum + (z * n - scale * scratch.c[i]!) ** 2, 0) / dim;
            return { scale, error };
          });
          const [ls, nm, ub] = results as [(typeof results)[0], (typeof results)[0], (typeof results)[0]];
          expect(ls.scale).toBeLessThanOrEqual(nm.scale);
          expect(nm.scale).toBeLessThanOrEqual(ub.scale);
          const slack = 1e-6 * energy; // z is f32
          expect(ls.error).toBeLessThanOrEqual(nm.error + slack);
          expect(nm.error).toBeLessThanOrEqual(ub.error + slack);
        },
      ),
      { numRuns: 400 },
    );
  });
  test("one-hot vectors, where the three coincide, keep the order too", () => {
    for (let i = 0; i < 128; i++) {
      const x = new Float32Array(128);
      x[i] = 0.1 * (i + 1);
      const scales = SCALE_RULES.map((scale) => {
        const bytes = createCodec("turbo3", { dim: 128, scale }).encode(x);
        return fromF16(bytes[0]! | (bytes[1]! << 8));
      });
      expect([...scales].sort((a, b) => a - b)).toEqual(scales);
    }
  });
  test("keys match norms, values are unbiased, unless told otherwise", () => {
    const x = normals(128);
    const bytes = (side: "key" | "value", scale?: "least-squares"): Uint8Array =>
      createCodec("turbo2", { dim: 128, side, ...(scale ? { scale } : {}) }).encode(x);
    expect(bytes("key")).toEqual(createCodec("turbo2", { dim: 128, scale: "norm-matching" }).encode(x));
    expect(bytes("value")).toEqual(createCodec("turbo2", { dim: 128, scale: "unbiased" }).encode(x));
    expect(bytes("value", "least-squares")).toEqual(bytes("key", "least-squares"));
  });
});

describe("what fp16 cannot hold", () => {
  const bad = (value: number, vector = 1): Float32Array => {
    const x = normals(3 * 64);
    x[vector * 64 + 7] = value;
    return x;
  };
  test.each([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])(
    "%f is refused and the vector named",
    (value) => {
      for (const format of ["turbo4", "turbo2+qjl", "turbo3.5", "polar3.875"]) {
        const codec = createCodec(format, { dim: 64 });
        expect(() => codec.encode(bad(value))).toThrow(
          expect.objectContaining({
            name: "FormatError",
            code: "NON_FINITE",
            vector: 1,
            message: expect.stringContaining("vector 1"),
          }),
        );
      }
    },
  );
  test.each([1e6, 3.4e38])("a norm of about %d is refused as an overflow", (value) => {
    const codec = createCodec("turbo4", { dim: 64 });
    expect(() => codec.encode(bad(value, 2))).toThrow(
      expect.objectContaining({ code: "SCALE_OVERFLOW", vector: 2 }),
    );
  });
  test("a refused call leaves the caller's buffer and the counters alone", () => {
    const codec = findFormat("turbo4").open({ dim: 64 });
    const out = new Uint8Array(3 * codec.bytesPerVector).fill(0x5a);
    expect(() => codec.encode(bad(Number.NaN, 2), out)).toThrow(FormatError);
    expect(out.every((b) => b === 0x5a)).toBe(true);
    expect(codec.counts).toEqual({ nonFinite: 0, overflow: 0, underflow: 0 });
  });
  test("sanitize mends and counts, and other vectors keep their bytes", () => {
    const codec = createCodec("turbo4", { dim: 64, nonFinite: "sanitize" });
    const clean = createCodec("turbo4", { dim: 64 }).encode(normals(3 * 64));
    const x = bad(Number.NaN);
    x[64 * 2] = 3.4e38;
    const bytes = codec.encode(x);
    expect(codec.counts).toEqual({ nonFinite: 1, overflow: 1, underflow: 0 });
    expect(bytes.subarray(0, 34)).toEqual(clean.subarray(0, 34));
    expect(codec.decode(bytes).every(Number.isFinite)).toBe(true);
    expect(toF16(65504)).toBe(bytes[68]! | (bytes[69]! << 8));
  });
  test("a scale below fp16 decodes to zeros and is counted; a zero vector is zeros and is not", () => {
    const codec = createCodec("turbo3", { dim: 64 });
    const x = new Float32Array(128);
    x[3] = 1e-12;
    const back = codec.decode(codec.encode(x));
    expect(back.every((v) => v === 0)).toBe(true);
    expect(codec.counts).toEqual({ nonFinite: 0, overflow: 0, underflow: 1 });
  });
  test("zero vectors decode to zeros in every format", () => {
    for (const { name } of listFormats()) {
      const codec = createCodec(name, { dim: 128 });
      expect(codec.decode(codec.encode(new Float32Array(256))).every((v) => v === 0)).toBe(true);
    }
  });
});

describe("codec", () => {
  test("score is the inner product with the decoded vector, centring and sketch included", async () => {
    const x = normals(20 * 128);
    const query = normals(128, 2);
    const center = normals(128, 3);
    const wasm = await loadWasm();
    for (const { name, family } of listFormats())
      for (const options of family === "turboquant" ? [{}, { center }, { backend: wasm }] : [{}]) {
        const codec = createCodec(name, { dim: 128, ...options });
        const bytes = codec.encode(x);
        const decoded = codec.decode(bytes);
        codec.score(query, bytes).forEach((score, i) => {
          const exact = query.reduce((sum, v, j) => sum + v * decoded[i * 128 + j]!, 0);
          expect(Math.abs(score - exact)).toBeLessThan(2e-4);
        });
      }
  });
  test("centring takes the offset off the quantiser: a large common offset costs nothing", () => {
    const offset = new Float32Array(128).map((_, i) => 20 * Math.sin(i));
    const x = normals(50 * 128).map((v, i) => v + offset[i % 128]!);
    const error = (center?: Float32Array): number => {
      const codec = createCodec("turbo4", { dim: 128, ...(center ? { center } : {}) });
      const y = codec.decode(codec.encode(x));
      return x.reduce((sum, v, i) => sum + (v - y[i]!) ** 2, 0) / x.length;
    };
    expect(error(offset)).toBeLessThan(0.0105);
    expect(error()).toBeGreaterThan(1);
  });
  test("outlier channels are chosen by mean square, and treated apart", () => {
    const loud = [3, 40, 41, 99];
    const x = normals(100 * 128).map((v, i) => (loud.includes(i % 128) ? 30 * v : v));
    const outliers = selectOutliers(x, 128, 32);
    expect(loud.every((c) => outliers.includes(c))).toBe(true);
    const quiet = (codec: {
      encode(x: Float32Array): Uint8Array;
      decode(b: Uint8Array): Float32Array;
    }): number => {
      const y = codec.decode(codec.encode(x));
      return x.reduce((sum, v, i) => (outliers.includes(i % 128) ? sum : sum + (v - y[i]!) ** 2), 0);
    };
    expect(quiet(createCodec("turbo2.5", { dim: 128, outliers }))).toBeLessThan(
      quiet(createCodec("turbo3", { dim: 128 })) / 3,
    );
    expect(() => createCodec("turbo2.5", { dim: 128, outliers: [1, 2] })).toThrow(
      /"outliers" expected 32 ascending/,
    );
  });
  test("wrong arguments: type, value, length", () => {
    expect(() => createCodec("turbo4", { dim: 80 })).toThrow(/multiple of 32.*got 80/);
    expect(() => createCodec("turbo4", { dim: "128" as never })).toThrow(TypeError);
    expect(() => createCodec("turbo9", { dim: 128 })).toThrow(
      expect.objectContaining({ code: "UNKNOWN_FORMAT" }),
    );
    expect(() => createCodec("turbo4", { dim: 128, seed: -1 })).toThrow(RangeError);
    expect(() => createCodec("turbo4", { dim: 128, scale: "best" as never })).toThrow(
      /"scale" expected one of/,
    );
    const codec = createCodec("turbo4", { dim: 128 });
    expect(() => codec.encode(new Float32Array(130))).toThrow(
      /"x" expected a multiple of 128 values, got 130/,
    );
    expect(() => codec.encode([1, 2] as never)).toThrow(TypeError);
    expect(() => codec.decode(new Uint8Array(67))).toThrow(/multiple of 66 bytes, got 67/);
    expect(() => codec.score(new Float32Array(64), new Uint8Array(66))).toThrow(RangeError);
  });
});
