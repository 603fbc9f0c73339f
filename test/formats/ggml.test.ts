/** Rounding rules of ggml's blocks, one by one, each where another rule would give other bytes. */
import { describe, expect, it } from "vitest";
import { toF16 } from "../../src/core/float.js";
import { getU16 } from "../../src/core/little-endian.js";
import { findFormat } from "../../src/formats/registry.js";

const { fround } = Math;

function encode(name: string, x: ArrayLike<number>): Uint8Array {
  const codec = findFormat(`ggml/${name}`).open({ dim: x.length });
  const out = new Uint8Array(codec.bytesPerVector).fill(0xee);
  codec.encode(Float32Array.from(x), out);
  return out;
}

function decode(name: string, bytes: Uint8Array, dim = 32): number[] {
  const codec = findFormat(`ggml/${name}`).open({ dim });
  const out = new Float32Array(dim);
  codec.decode(bytes, out);
  return [...out];
}

const block = (...first: number[]): number[] => [...first, ...Array(32 - first.length).fill(0)];
const int8 = (bytes: Uint8Array): number[] => [...new Int8Array(bytes.slice(2).buffer)];

describe("q8_0", () => {
  it("rounds half away from zero", () => {
    const codes = int8(encode("q8_0", block(127, 0.5, -0.5, 1.5, -2.5, 2.499)));
    expect(codes.slice(0, 6)).toEqual([127, 1, -1, 2, -3, 2]);
  });

  it("multiplies by the reciprocal of the unrounded scale, not by that of the half", () => {
    const x = Array.from({ length: 32 }, (_, i) => Math.sin(i * 1.7) * 3.3);
    const amax = Math.max(...x.map((v) => Math.abs(fround(v))));
    const inverse = fround(1 / fround(amax / 127));
    const away = (v: number) => Math.sign(v) * Math.floor(Math.abs(v) + 0.5);
    expect(int8(encode("q8_0", x))).toEqual(x.map((v) => away(fround(fround(v) * inverse)) + 0));
  });

  it("displaces a NaN in the maximum by the next value, as C's MAX does", () => {
    const middle = encode("q8_0", block(100, Number.NaN, 1, 2));
    expect(getU16(middle, 0)).toBe(toF16(2 / 127)); // 100 is forgotten
    expect(int8(middle).slice(0, 4)).toEqual([((100 * 63.5) << 24) >> 24, 0, 64, 127]);
    const last = encode("q8_0", [...Array(31).fill(1), Number.NaN]);
    expect(getU16(last, 0)).toBe(0x7e00);
    expect(int8(last)).toEqual(Array(32).fill(0));
  });

  it("writes an infinite scale and zero codes for an infinity; that decodes to NaN", () => {
    const bytes = encode("q8_0", block(Number.POSITIVE_INFINITY, 5));
    expect(getU16(bytes, 0)).toBe(0x7c00);
    expect(int8(bytes)).toEqual(Array(32).fill(0));
    expect(decode("q8_0", bytes)).toEqual(Array(32).fill(Number.NaN));
  });
});

describe("q4_0 and q5_0", () => {
  it("take the sign of the value of largest magnitude, the first of equals", () => {
    expect(getU16(encode("q4_0", block(1, -8, 8)), 0)).toBe(toF16(1));
    expect(getU16(encode("q4_0", block(1, 8, -8)), 0)).toBe(toF16(-1));
    expect(getU16(encode("q5_0", block(16)), 0)).toBe(toF16(-1));
  });

  it("put element i in the low nibble of byte i and i + 16 in the high one", () => {
    const x = Array(32).fill(0);
    x[0] = -8;
    x[3] = 3;
    x[19] = -2;
    const bytes = encode("q4_0", x);
    expect(bytes[2]).toBe(0x80);
    expect(bytes[5]).toBe((6 << 4) | 11);
    expect(decode("q4_0", bytes)[19]).toBe(-2);
  });

  it("cap the level at the top: the opposite of the extreme value is one short", () => {
    expect(decode("q4_0", encode("q4_0", block(-8, 8))).slice(0, 2)).toEqual([-8, 7]);
    expect(decode("q5_0", encode("q5_0", block(-16, 16))).slice(0, 2)).toEqual([-16, 15]);
  });

  it("put the fifth bit of element i at bit i", () => {
    const x = Array(32).fill(-16);
    x[0] = 15;
    x[31] = 15;
    const bytes = encode("q5_0", x);
    expect([...bytes.slice(2, 6)]).toEqual([1, 0, 0, 0x80]);
    expect(decode("q5_0", bytes)).toEqual(x);
  });

  it("zeros are level 8, and −0 on reading", () => {
    expect(encode("q4_0", block()).slice(2)).toEqual(new Uint8Array(16).fill(0x88));
    expect(decode("q4_0", new Uint8Array(18))[0]).toBe(-0);
  });

  it("all codes zero when the reciprocal overflows", () => {
    const bytes = encode("q4_0", block(1e-44, -1e-45));
    expect([...bytes.slice(0, 3)]).toEqual([0x00, 0x80, 0x00]);
  });
});

describe("q4_1 and q5_1", () => {
  it("are exact on their own levels", () => {
    const levels = Array.from({ length: 32 }, (_, i) => i - 4);
    expect(decode("q5_1", encode("q5_1", levels))).toEqual(levels);
    const coarse = levels.map((v) => (v + 4) >> 1);
    expect(decode("q4_1", encode("q4_1", coarse))).toEqual(coarse);
  });

  it("round the product before they add the minimum", () => {
    const bytes = new Uint8Array(20);
    new DataView(bytes.buffer).setUint16(0, toF16(0.1), true);
    new DataView(bytes.buffer).setUint16(2, toF16(1000), true);
    bytes.fill(0x77, 4);
    const d = 0.0999755859375;
    expect(decode("q4_1", bytes)[0]).toBe(fround(fround(7 * d) + 1000));
  });

  it("a constant block has d = 0 and the constant as minimum", () => {
    const bytes = encode("q4_1", Array(32).fill(-0.5));
    expect([getU16(bytes, 0), getU16(bytes, 2)]).toEqual([0, toF16(-0.5)]);
    expect(decode("q4_1", bytes)).toEqual(Array(32).fill(-0.5));
  });

  it("skip NaN in the range; a block of nothing else has the range −∞", () => {
    expect(getU16(encode("q4_1", [Number.NaN, ...Array(31).fill(3)]), 2)).toBe(toF16(3));
    expect(getU16(encode("q5_1", Array(32).fill(Number.NaN)), 0)).toBe(0xfc00);
  });
});

it("f16 keeps the sign of a NaN, and is the nearest half with ties to even", () => {
  const x = new Float32Array([1, 65520, -65520, 2 ** -25, 1 + 2 ** -11, 1 + 3 * 2 ** -11]);
  const bits = (v: Float32Array) => {
    const out = new Uint8Array(2 * v.length);
    findFormat("ggml/f16").open({ dim: v.length }).encode(v, out);
    return [...new Uint16Array(out.buffer)];
  };
  expect(bits(x)).toEqual([0x3c00, 0x7c00, 0xfc00, 0, 0x3c00, 0x3c02]);
  const nan = new Float32Array(new Uint32Array([0x7fc00001, 0xffc00000, 0x7f800001]).buffer);
  expect(bits(nan)).toEqual([0x7e00, 0xfe00, 0x7e00]);
});
