/** What holds for the formats of every engine: sizes, whole overwriting, independence of neighbours, refusals. */
import { describe, expect, it } from "vitest";
import { allFormats, bitsPerValue, findFormat } from "../../src/formats/registry.js";

const FAMILIES = ["ggml", "llama", "realizar", "vllm", "onnxruntime"];
const engines = allFormats().filter((format) => FAMILIES.includes(format.family));
const random = (n: number, seed: number): Float32Array => {
  let state = seed;
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return (state / 2 ** 31) * (state & 64 ? 8 : 0.5);
  });
};

it("the registry has them all", () => {
  const names = engines.map(({ name }) => name);
  const llama = ["turbo2", "turbo3", "turbo4", "turbo2-qk32", "turbo3-qk32", "turbo3-qjl", "turbo4-qjl"];
  expect(names.sort()).toEqual(
    [
      ...["q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "f16"].map((n) => `ggml/${n}`),
      ...[...llama, "tq3_1s", "tq4_1s"].map((n) => `llama/${n}`),
      ...["q8", "q4"].map((n) => `realizar/${n}`),
      ...["k8v4", "4bit_nc", "k3v4_nc", "3bit_nc"].map((n) => `vllm/${n}`),
      "onnxruntime/q4",
    ].sort(),
  );
});

it.each([
  ["ggml/q8_0", 8.5],
  ["ggml/q4_0", 4.5],
  ["ggml/q4_1", 5],
  ["ggml/q5_0", 5.5],
  ["ggml/q5_1", 6],
  ["ggml/f16", 16],
  ["llama/turbo2", 2.125],
  ["llama/turbo3", 3.125],
  ["llama/turbo4", 4.25],
  ["llama/turbo2-qk32", 2.5],
  ["llama/turbo3-qk32", 3.5],
  ["llama/turbo3-qjl", 3.25],
  ["llama/turbo4-qjl", 4.25],
  ["llama/tq3_1s", 4],
  ["llama/tq4_1s", 5],
  ["realizar/q8", 9],
  ["realizar/q4", 5],
  ["vllm/4bit_nc", 4.125],
  ["onnxruntime/q4", 4.25],
])("%s: %f bits per value at d = 128", (name, bits) => {
  expect(bitsPerValue(findFormat(name), 128)).toBe(bits);
});

it("padding is counted: llama/turbo3 at d = 64 has 6.25 bits per value", () => {
  expect(bitsPerValue(findFormat("llama/turbo3"), 64)).toBe(6.25);
});

describe.each(engines)("$name", (format) => {
  for (const side of ["key", "value"] as const)
    it(`${side}s: whole overwriting, vectors independent, shapes as promised`, () => {
      const dim = 64;
      const codec = format.open({ dim, side });
      expect(codec.bytesPerVector).toBe(format.vectorBytes(dim, side));
      const n = 5;
      const x = random(n * dim, 7);
      const clean = new Uint8Array(n * codec.bytesPerVector);
      const dirty = new Uint8Array(n * codec.bytesPerVector).fill(0xff);
      codec.encode(x, clean);
      codec.encode(x, dirty);
      expect(dirty).toEqual(clean);
      const decoded = new Float32Array(n * dim);
      const native = new Float32Array(n * codec.width);
      codec.decode(clean, decoded);
      codec.decodeNative(clean, native);
      for (let v = 0; v < n; v++) {
        const bytes = new Uint8Array(codec.bytesPerVector);
        codec.encode(x.slice(v * dim, (v + 1) * dim), bytes);
        expect(bytes).toEqual(clean.slice(v * bytes.length, (v + 1) * bytes.length));
        const one = new Float32Array(dim);
        codec.decode(bytes, one);
        expect(one).toEqual(decoded.slice(v * dim, (v + 1) * dim));
      }
      const errors = x.map((value, i) => value - decoded[i]!);
      const energy = (y: Float32Array) => y.reduce((sum, value) => sum + value * value, 0);
      const relative = energy(errors) / energy(x);
      expect(relative).toBeLessThan(0.15);
      expect(format.name === "ggml/f16" ? relative <= 1e-7 : relative > 1e-7).toBe(true);
    });

  it("refuses other dimensions, spans of the wrong size and what is no span", () => {
    for (const dim of [0, -32, 1.5, Number.NaN, 65537])
      expect(() => format.open({ dim })).toThrow(RangeError);
    const codec = format.open({ dim: 64 });
    const bytes = new Uint8Array(codec.bytesPerVector);
    expect(() => codec.encode(new Float32Array(63), bytes)).toThrow(RangeError);
    expect(() => codec.encode(new Float32Array(128), bytes)).toThrow(RangeError);
    expect(() => codec.decode(bytes.subarray(1), new Float32Array(64))).toThrow(RangeError);
    expect(() => codec.decode(bytes, new Float32Array(65))).toThrow(RangeError);
    expect(() => codec.encode([1] as unknown as Float32Array, bytes)).toThrow(TypeError);
  });
});
