/** vLLM's presets and FP8: sizes, rounding, floors; the recorded vectors are judged in test/oracle. */
import { describe, expect, it } from "vitest";
import { toF16 } from "../../src/core/float.js";
import { fromE4M3, toE4M3 } from "../../src/core/fp8.js";
import { getU16 } from "../../src/core/little-endian.js";
import { findFormat } from "../../src/formats/registry.js";
import { putRotatedKey } from "../../src/formats/vllm.js";
import { vllmCodebook } from "../../src/formats/vllm-centroids.js";

describe("E4M3", () => {
  const codes = Array.from({ length: 256 }, (_, i) => i).filter((c) => (c & 0x7f) !== 0x7f);

  it("every code comes back, NaN as 0x7f", () => {
    for (const code of codes) expect(toE4M3(fromE4M3(code))).toBe(code);
    expect([fromE4M3(0x7f), fromE4M3(0xff)]).toEqual([Number.NaN, Number.NaN]);
    expect(toE4M3(Number.NaN)).toBe(0x7f);
    expect([fromE4M3(0x7e), fromE4M3(1), fromE4M3(0x38)]).toEqual([448, 2 ** -9, 1]);
  });

  it("rounds to nearest, ties to even, between every two neighbours", () => {
    for (let code = 0; code < 0x7e; code++) {
      const [a, b] = [fromE4M3(code), fromE4M3(code + 1)];
      const tie = (a + b) / 2;
      const even = code & 1 ? code + 1 : code;
      expect(toE4M3(tie)).toBe(even);
      expect(toE4M3(-tie)).toBe(even | 0x80);
      expect(toE4M3(tie - (b - a) / 64)).toBe(code);
      expect(toE4M3(tie + (b - a) / 64)).toBe(code + 1);
    }
  });

  it("saturates, and keeps the sign of zero", () => {
    expect([449, 1e30, Infinity, -Infinity, -0].map(toE4M3)).toEqual([0x7e, 0x7e, 0x7e, 0xfe, 0x80]);
  });
});

it.each([
  ["k8v4", 128, 68, 196],
  ["4bit_nc", 66, 68, 134],
  ["k3v4_nc", 50, 68, 118],
  ["3bit_nc", 50, 52, 102],
])("%s at d = 128: %i + %i = %i bytes", (name, key, value, slot) => {
  const format = findFormat(`vllm/${name}`);
  expect([format.vectorBytes(128, "key"), format.vectorBytes(128, "value")]).toEqual([key, value]);
  expect(key + value).toBe(slot);
  expect(format.vectorBytes(128)).toBe(key);
});

it("a slot is even: k3v4_nc pads its value at d = 8, and the pad is zero", () => {
  const format = findFormat("vllm/k3v4_nc");
  expect([format.vectorBytes(8, "key"), format.vectorBytes(8, "value")]).toEqual([5, 9]);
  const out = new Uint8Array(9).fill(0xee);
  format.open({ dim: 8, side: "value" }).encode(Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8), out);
  expect(out[8]).toBe(0);
});

it.each([0, 1, 7, 12, 96, 100])("heads of %i values are refused", (dim) => {
  expect(() => findFormat("vllm/4bit_nc").open({ dim })).toThrow(/powers of two/);
});

describe("keys", () => {
  const key = (name: string, x: Float32Array): Uint8Array => {
    const codec = findFormat(`vllm/${name}`).open({ dim: x.length });
    const out = new Uint8Array(codec.bytesPerVector);
    codec.encode(x, out);
    return out;
  };

  it("index = number of boundaries <= y: ties go up, NaN to the bottom", () => {
    const book = vllmCodebook(64, 4);
    const y = new Float32Array(64);
    y.set(book.boundaries);
    y[15] = Number.NaN;
    const out = new Uint8Array(34);
    putRotatedKey(y, 1.5, 4, out, 0);
    const codes = Array.from({ length: 17 }, (_, i) => (out[i >> 1]! >> (4 * (i & 1))) & 15);
    expect(codes).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 8]);
    expect(getU16(out, 32)).toBe(toF16(1.5));
  });

  it("a zero key has norm 0, the codes of 0, and decodes to zeros", () => {
    const bytes = key("4bit_nc", new Float32Array(64));
    expect(bytes.subarray(0, 32)).toEqual(new Uint8Array(32).fill(0x88));
    const out = new Float32Array(64).fill(1);
    findFormat("vllm/4bit_nc").open({ dim: 64 }).decode(bytes, out);
    expect([...out].every((v) => v === 0)).toBe(true);
  });

  it.each(["4bit_nc", "k3v4_nc", "3bit_nc"])("%s: decoding keeps the norm and the direction", (name) => {
    // Sums of four LCG draws: near-Gaussian, and not smooth, since a transform without signs does not spread tones.
    let state = 1;
    const draw = (): number => (state = (Math.imul(state, 1664525) + 1013904223) | 0) / 2 ** 31;
    const x = Float32Array.from({ length: 256 }, () => draw() + draw() + draw() + draw());
    const out = new Float32Array(256);
    findFormat(`vllm/${name}`).open({ dim: 256 }).decode(key(name, x), out);
    const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, v, i) => sum + v * b[i]!, 0);
    expect(Math.sqrt(dot(out, out) / dot(x, x))).toBeCloseTo(1, 2);
    const cosine = dot(x, out) / Math.sqrt(dot(x, x) * dot(out, out));
    // 1 − cos² is the codebook's distortion: .0095 at 4 bits, .034 at 3.
    expect(1 - cosine ** 2).toBeGreaterThan(name === "4bit_nc" ? 0.007 : 0.026);
    expect(1 - cosine ** 2).toBeLessThan(name === "4bit_nc" ? 0.013 : 0.044);
  });
});

describe("values", () => {
  const value = (x: number[]): Uint8Array => {
    const codec = findFormat("vllm/4bit_nc").open({ dim: x.length, side: "value" });
    const out = new Uint8Array(codec.bytesPerVector);
    codec.encode(Float32Array.from(x), out);
    return out;
  };

  it("min–max, half up, nibbles low first, then scale and zero as halves", () => {
    const bytes = value([-2, 13, -1.5, -1.51, 0, 1, 2, 12.49]);
    expect([...bytes.subarray(0, 4)]).toEqual([0xf0, 0x01, 0x32, 0xe4]);
    expect([getU16(bytes, 4), getU16(bytes, 6)]).toEqual([toF16(1), toF16(-2)]);
  });

  it("a constant vector: the scale floor underflows to half 0, and the constant comes back", () => {
    const bytes = value(Array(8).fill(0.25));
    expect([...bytes.subarray(0, 6)]).toEqual([0, 0, 0, 0, 0, 0]);
    const out = new Float32Array(8);
    findFormat("vllm/4bit_nc").open({ dim: 8, side: "value" }).decode(bytes, out);
    expect([...out]).toEqual(Array(8).fill(0.25));
  });
});
