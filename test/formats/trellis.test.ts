/** The trellis formats as codecs: bytes, D of the whole pipeline, scale rules, centring, and what fp16 cannot hold. */
import { describe, expect, test } from "vitest";
import { fromF16 } from "../../src/core/float.js";
import { lloydMax } from "../../src/core/lloyd-max.js";
import { TRELLIS_NAMES } from "../../src/core/trellis-tables.js";
import { createCodec, FormatError, findFormat, randomStream } from "../../src/index.js";
import { sample } from "../../src/properties/statistics.js";
import { sphereDistortion } from "../theory/expected-distortion.js";

const normals = (n: number, seed = 1): Float32Array => {
  const stream = randomStream(seed, "data");
  return Float32Array.from({ length: n }, () => stream.normal());
};

/** ‖x − x̂‖²/‖x‖² per vector. */
function errors(format: string, x: Float32Array, dim: number): number[] {
  const codec = createCodec(format, { dim, scale: "least-squares", seed: 5 });
  const y = codec.decode(codec.encode(x));
  return Array.from({ length: x.length / dim }, (_, v) => {
    let off = 0;
    let all = 0;
    for (let i = v * dim; i < (v + 1) * dim; i++) {
      off += (x[i]! - y[i]!) ** 2;
      all += x[i]! ** 2;
    }
    return off / all;
  });
}

/** D on N(0,1): the most that is allowed, and what test/core/trellis.test.ts holds the tables to. */
const FIGURES: Readonly<Record<string, readonly [number, number]>> = {
  trellis1: [1.01 * 0.301, 0.30348],
  trellis2: [1.01 * 0.0919, 0.08884],
  trellis3: [1.01 * 0.0272, 0.02743],
  trellis2x: [1.01 * 0.0812, 0.07939],
  trellis3x: [1.01 * 0.0236, 0.02196],
  trellis4x: [1.01 * 0.00688, 0.00634],
};

describe.each(TRELLIS_NAMES)("%s", (name) => {
  const bits = Number(name[7]);
  const scalar = `turbo${bits}`;

  test("takes the bytes of the scalar format", () => {
    for (const dim of [32, 64, 96, 128, 256, 576])
      expect(findFormat(name).vectorBytes(dim)).toBe(findFormat(scalar).vectorBytes(dim));
  });

  test.each([64, 96, 128, 256])(
    "dim %i: D is what it should be on the sphere, and below the scalar format's",
    (dim) => {
      const x = normals(1500 * 128 - ((1500 * 128) % dim), dim);
      const own = sample(errors(name, x, dim));
      const [most, gaussian] = FIGURES[name]!;
      expect(own.mean - 4 * own.se).toBeLessThan(most);
      // On the sphere D is less than on N(0,1), as it is for the scalar code; the scale of least error takes a little more.
      const sphere =
        (gaussian * sphereDistortion(dim, bits)) / lloydMax({ bits, distribution: "gaussian" }).distortion;
      expect(Math.abs(own.mean - sphere)).toBeLessThan(4 * own.se + 0.015 * sphere);
      expect(own.mean).toBeLessThan(0.87 * sample(errors(scalar, x, dim)).mean);
    },
  );

  test("heavy-tailed vectors are coded no worse than by the scalar format", () => {
    const heavy = normals(400 * 128, 9).map((v) => v ** 3);
    expect(sample(errors(name, heavy, 128)).mean).toBeLessThan(sample(errors(scalar, heavy, 128)).mean);
  });

  test("a constant vector costs what a random one costs, on average over rotations", () => {
    const dim = 64;
    const x = new Float32Array(dim).fill(3);
    const constant = Array.from({ length: 80 }, (_, seed) => {
      const codec = createCodec(name, { dim, seed, scale: "least-squares" });
      const y = codec.decode(codec.encode(x));
      return y.reduce((sum, v) => sum + (v - 3) ** 2, 0) / (9 * dim);
    });
    const found = sample(constant);
    const random = sample(errors(name, normals(400 * dim, 9), dim));
    expect(found.mean - 3 * found.se).toBeLessThan(1.03 * random.mean);
  });

  test("the scale follows the side, in the order of the rules", () => {
    const x = normals(128);
    const scaleOf = (options: object): number => {
      const bytes = createCodec(name, { dim: 128, ...options }).encode(x);
      return fromF16(bytes[0]! | (bytes[1]! << 8));
    };
    const rules = ["least-squares", "norm-matching", "unbiased"].map((scale) => scaleOf({ scale }));
    expect([...rules].sort((a, b) => a - b)).toEqual(rules);
    expect(rules[0]).toBeLessThan(rules[2]!);
    expect(scaleOf({ side: "key" })).toBe(rules[1]);
    expect(scaleOf({ side: "value" })).toBe(rules[2]);
  });

  test("a large common offset costs nothing with centring", () => {
    const dim = 64;
    const center = new Float32Array(dim).map((_, i) => 20 * Math.sin(i));
    const noise = normals(50 * dim);
    const x = noise.map((v, i) => v + center[i % dim]!);
    const error = (options: object, data: Float32Array): number => {
      const codec = createCodec(name, { dim, ...options });
      const y = codec.decode(codec.encode(data));
      return data.reduce((sum, v, i) => sum + (v - y[i]!) ** 2, 0);
    };
    expect(error({ center }, x) / error({}, noise)).toBeCloseTo(1, 2);
    expect(error({}, x)).toBeGreaterThan(10 * error({ center }, x));
  });

  test("zero vectors are zeros; NaN, infinities and overflowing norms are refused, or mended and counted", () => {
    const dim = 64;
    const codec = findFormat(name).open({ dim });
    const out = new Uint8Array(3 * codec.bytesPerVector).fill(0x5a);
    const zeros = new Float32Array(dim);
    const zero = createCodec(name, { dim });
    expect(zero.decode(zero.encode(zeros)).every((v) => v === 0)).toBe(true);
    expect(zero.counts).toEqual({ nonFinite: 0, overflow: 0, underflow: 0 });
    const clean = normals(3 * dim);
    const bytes = createCodec(name, { dim }).encode(clean);
    for (const [value, code] of [
      [Number.NaN, "NON_FINITE"],
      [Number.POSITIVE_INFINITY, "NON_FINITE"],
      [-3e38, "SCALE_OVERFLOW"],
    ] as const) {
      const x = clean.slice();
      x[dim + 7] = value;
      expect(() => codec.encode(x, out)).toThrow(FormatError);
      expect(() => codec.encode(x, out)).toThrow(expect.objectContaining({ code, vector: 1 }));
      expect(out.every((b) => b === 0x5a)).toBe(true);
      const mending = createCodec(name, { dim, nonFinite: "sanitize" });
      const mended = mending.encode(x);
      expect(mending.counts?.nonFinite).toBe(code === "NON_FINITE" ? 1 : 0);
      expect(mending.decode(mended).every(Number.isFinite)).toBe(true);
      expect(mended.subarray(0, codec.bytesPerVector)).toEqual(bytes.subarray(0, codec.bytesPerVector));
      expect(mended.subarray(2 * codec.bytesPerVector)).toEqual(bytes.subarray(2 * codec.bytesPerVector));
    }
    const tiny = createCodec(name, { dim });
    zeros[3] = 1e-12;
    expect(tiny.decode(tiny.encode(zeros)).every((v) => v === 0)).toBe(true);
    expect(tiny.counts?.underflow).toBe(1);
  });

  test("wrong arguments: type, value, length", () => {
    expect(() => createCodec(name, { dim: 80 })).toThrow(/multiple of 32.*got 80/);
    expect(() => createCodec(name, { dim: 64, seed: -1 })).toThrow(RangeError);
    expect(() => createCodec(name, { dim: 64, scale: "best" as never })).toThrow(/"scale" expected one of/);
    expect(() => createCodec(name, { dim: 64, center: new Float32Array(3) })).toThrow(/"center" expected 64/);
    const codec = createCodec(name, { dim: 64 });
    expect(() => codec.encode(new Float32Array(65))).toThrow(RangeError);
    expect(() => codec.decode(new Uint8Array(7))).toThrow(RangeError);
    expect(() => codec.score(new Float32Array(32), new Uint8Array(0))).toThrow(RangeError);
  });
});
