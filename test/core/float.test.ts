import { describe, expect, test } from "vitest";
import { dot, fromF16, sumOfSquares, toF16 } from "../../src/core/float.js";
import { randomStream } from "../../src/core/random.js";

/** binary16 read off its definition: (−1)^s · 2^(e−15) · 1.m, subnormals 2^−14 · 0.m. */
function halfValue(bits: number): number {
  const sign = bits >> 15 ? -1 : 1;
  const e = (bits >> 10) & 31;
  const m = bits & 1023;
  if (e === 31) return m ? Number.NaN : sign * Number.POSITIVE_INFINITY;
  return e === 0 ? sign * m * 2 ** -24 : sign * (1 + m / 1024) * 2 ** (e - 15);
}

describe("binary16", () => {
  test("all 65,536 halves read as defined, and write back to themselves", () => {
    for (let bits = 0; bits < 65536; bits++) {
      const value = fromF16(bits);
      expect(Object.is(value, halfValue(bits))).toBe(true);
      if (Number.isNaN(value)) expect(toF16(value)).toBe(0x7e00);
      else if (toF16(value) !== bits) expect.fail(`${bits} → ${value} → ${toF16(value)}`);
    }
  });

  test("every midpoint between neighbours goes to the even one, and its f32 neighbours to the nearer one", () => {
    const f32 = new Float32Array(1);
    const u32 = new Uint32Array(f32.buffer);
    for (let bits = 0; bits < 0x7bff; bits++) {
      f32[0] = (fromF16(bits) + fromF16(bits + 1)) / 2; // exact in f32
      expect(toF16(f32[0])).toBe(bits % 2 === 0 ? bits : bits + 1);
      u32[0]! -= 1;
      expect(toF16(f32[0])).toBe(bits);
      u32[0]! += 2;
      expect(toF16(f32[0])).toBe(bits + 1);
    }
    expect(toF16(65519.996)).toBe(0x7bff);
    expect(toF16(65520)).toBe(0x7c00);
    expect(toF16(-65520)).toBe(0xfc00);
    expect(toF16(2 ** -25)).toBe(0);
    expect(toF16(Math.fround(2 ** -25 * 1.0000002))).toBe(1);
  });
});

describe("reductions run in four lanes", () => {
  test("they equal the four-lane sum written out, and differ from the naive order somewhere", () => {
    const stream = randomStream(3, "data");
    let naiveDiffers = 0;
    for (let round = 0; round < 200; round++) {
      const x = Float32Array.from({ length: 64 }, () => stream.normal());
      const y = Float32Array.from({ length: 64 }, () => stream.normal());
      const lanes = [0, 0, 0, 0];
      for (let i = 0; i < 64; i++) lanes[i & 3] = Math.fround(lanes[i & 3]! + Math.fround(x[i]! * y[i]!));
      const [a, b, c, d] = lanes as [number, number, number, number];
      expect(dot(x, y)).toBe(Math.fround(Math.fround(a + c) + Math.fround(b + d)));
      expect(sumOfSquares(x)).toBe(dot(x, x));
      let naive = 0;
      for (let i = 0; i < 64; i++) naive = Math.fround(naive + Math.fround(x[i]! * y[i]!));
      if (naive !== dot(x, y)) naiveDiffers++;
    }
    expect(naiveDiffers).toBeGreaterThan(20);
  });
});
