/** realizar's blocks against blocks recorded from the Rust crate, and the corners of its rounding. */
import { readFileSync } from "node:fs";
import { decode } from "@msgpack/msgpack";
import { describe, expect, it } from "vitest";
import { f32Bits } from "../../src/core/float.js";
import { getF32 } from "../../src/core/little-endian.js";
import type { Block } from "../../src/formats/block-codec.js";
import { realizarQ4, realizarQ8 } from "../../src/formats/realizar-blocks.js";

interface RecordedBlock {
  in: string[];
  q8: number[];
  q8_scale: string;
  q8_deq: string[];
  q4: number[];
  q4_scale: string;
  q4_deq: string[];
}
const golden = decode(readFileSync(new URL("../../fixtures/realizar-golden.msgpack", import.meta.url))) as {
  quant: RecordedBlock[];
};

const hex = (value: number): string => f32Bits(value).toString(16).padStart(8, "0");
const floats = (bits: readonly string[]): Float32Array =>
  new Float32Array(Uint32Array.from(bits, (b) => Number.parseInt(b, 16)).buffer);

/** Bytes and decoded values of one block. */
function run(block: Block, x: Float32Array) {
  const bytes = new Uint8Array(block.bytes).fill(0xee);
  const y = new Float32Array(32);
  block.quantize(x, 0, x.length, bytes, 0);
  block.dequantize(bytes, 0, y, 0);
  return { bytes, scale: getF32(bytes, 0), codes: bytes.subarray(4), y };
}
const block32 = (...values: number[]): Float32Array => {
  const x = new Float32Array(32);
  x.set(values);
  return x;
};

describe("blocks recorded from the Rust crate", () => {
  it.each(golden.quant.map((q, i) => [i, q] as const))(
    "block %i: scale, codes and values, bit for bit",
    (_, q) => {
      const q8 = run(realizarQ8, floats(q.in));
      expect(hex(q8.scale)).toBe(q.q8_scale);
      expect(Array.from(new Int8Array(q8.codes))).toEqual(q.q8);
      expect(Array.from(q8.y, hex)).toEqual(q.q8_deq);
      const q4 = run(realizarQ4, floats(q.in));
      expect(hex(q4.scale)).toBe(q.q4_scale);
      expect(Array.from(q4.codes)).toEqual(q.q4);
      expect(Array.from(q4.y, hex)).toEqual(q.q4_deq);
    },
  );
});

describe("corners", () => {
  it("the ramp (i − 16)·0.1 has the documented bits", () => {
    const ramp = Float32Array.from({ length: 32 }, (_, i) => Math.fround((i - 16) * Math.fround(0.1)));
    const q8 = run(realizarQ8, ramp);
    expect(hex(q8.scale)).toBe("3c4e69a0");
    const codes = new Int8Array(q8.codes);
    expect([codes[0], codes[1], codes[16], codes[17], codes[31]]).toEqual([-127, -119, 0, 8, 119]);
    const q4 = run(realizarQ4, ramp);
    expect(hex(q4.scale)).toBe("3e6a0ea1");
    expect(Buffer.from(q4.codes).toString("hex")).toBe("11223344546576878899aabbccdcedfe");
    const worst = (y: Float32Array): number => Math.max(...y.map((v, i) => Math.abs(v - ramp[i]!)));
    expect(worst(q8.y)).toBeCloseTo(6.3e-3, 5);
    expect(worst(q4.y)).toBeCloseTo(0.1143, 4);
  });

  it("halves round away from zero", () => {
    const { codes } = run(realizarQ8, block32(127, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5));
    expect(Array.from(new Int8Array(codes).subarray(0, 7))).toEqual([127, 1, -1, 2, -2, 3, -3]);
  });

  it("amax 9.9e-11 is zero, 1e-10 is not", () => {
    for (const block of [realizarQ8, realizarQ4]) {
      expect(run(block, block32(9.9e-11)).bytes).toEqual(new Uint8Array(block.bytes));
      expect(run(block, block32(1e-10)).scale).toBeGreaterThan(0);
    }
  });

  it("a zero q4 block reads −0, a zero q8 block +0", () => {
    expect(run(realizarQ4, block32()).y.every((v) => Object.is(v, -0))).toBe(true);
    expect(run(realizarQ8, block32()).y.every((v) => Object.is(v, 0))).toBe(true);
  });

  it("a NaN reads 0 and leaves its neighbours alone; an infinity makes all 32 lanes NaN", () => {
    for (const block of [realizarQ8, realizarQ4]) {
      const { y } = run(block, block32(Number.NaN, 1, -1));
      expect([y[0], y[1], y[2]]).toEqual([0, 1, -1]);
      for (const inf of [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
        expect(run(block, block32(1, inf)).y.every(Number.isNaN)).toBe(true);
    }
  });

  it("q4 never uses nibble 0 for a block that is not zero", () => {
    const seen = new Set<number>();
    for (const q of golden.quant)
      for (const b of run(realizarQ4, floats(q.in)).codes) seen.add(b & 15).add(b >> 4);
    expect([...seen].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
  });

  it("a short block is a block padded with zeros", () => {
    const x = Float32Array.from({ length: 20 }, (_, i) => i - 7.25);
    for (const block of [realizarQ8, realizarQ4])
      expect(run(block, x).bytes).toEqual(run(block, block32(...x)).bytes);
  });
});
