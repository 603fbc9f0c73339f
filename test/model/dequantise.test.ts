/**
 * The kernels' reading of packed weights against the block layouts' formulas, written here value by value, on
 * random blocks; scales are small numbers, so that f32 products are exact and the comparison is exact (a zero's sign aside).
 */
import { beforeAll, expect, test } from "vitest";
import { fromF16, toF16 } from "../../src/core/float.js";
import { Engine } from "../../src/model/engine.js";
import { tensorType } from "../../src/model/tensor-types.js";

let engine: Engine;
beforeAll(async () => {
  engine = await Engine.start();
});

let state = 1;
const random = (): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state >>> 8;
};

/** A random block whose f16 fields (at `halves`) are multiples of 1/64 below 4. */
function randomBlock(bytes: number, halves: readonly number[]): DataView {
  const block = new DataView(new ArrayBuffer(bytes));
  for (let i = 0; i < bytes; i++) block.setUint8(i, random());
  for (const at of halves) block.setUint16(at, toF16(((random() % 511) - 255) / 64), true);
  return block;
}

const half = (block: DataView, at: number): number => fromF16(block.getUint16(at, true));
/** Nibble i of a 32-block: low nibbles first. */
const nibble = (block: DataView, at: number, i: number): number =>
  (block.getUint8(at + (i % 16)) >> (i < 16 ? 0 : 4)) & 15;
const bit = (block: DataView, at: number, i: number): number =>
  (block.getUint8(at + (i >> 3)) >> (i & 7)) & 1;

/** 6-bit scale and min of group j of a Q4_K block: 0–3 in bytes 0–7, 4–7 in nibbles of 8–11 and the high pairs. */
function group4K(block: DataView, j: number): [number, number] {
  const b = (i: number) => block.getUint8(4 + i);
  if (j < 4) return [b(j) % 64, b(j + 4) % 64];
  return [(b(j + 4) % 16) + 16 * (b(j - 4) >> 6), (b(j + 4) >> 4) + 16 * (b(j) >> 6)];
}

/** Value i of a block, by type. */
const VALUE: Record<string, { id: number; halves: number[]; value: (block: DataView, i: number) => number }> =
  {
    q4_0: { id: 2, halves: [0], value: (b, i) => half(b, 0) * (nibble(b, 2, i) - 8) },
    q4_1: { id: 3, halves: [0, 2], value: (b, i) => half(b, 0) * nibble(b, 4, i) + half(b, 2) },
    q5_0: { id: 6, halves: [0], value: (b, i) => half(b, 0) * (nibble(b, 6, i) + 16 * bit(b, 2, i) - 16) },
    q5_1: {
      id: 7,
      halves: [0, 2],
      value: (b, i) => half(b, 0) * (nibble(b, 8, i) + 16 * bit(b, 4, i)) + half(b, 2),
    },
    q8_0: { id: 8, halves: [0], value: (b, i) => half(b, 0) * b.getInt8(2 + i) },
    q4_k: {
      id: 12,
      halves: [0, 2],
      value: (b, i) => {
        const j = i >> 5;
        const [scale, least] = group4K(b, j);
        const q = (b.getUint8(16 + 32 * (j >> 1) + (i & 31)) >> (4 * (j & 1))) & 15;
        return half(b, 0) * scale * q - half(b, 2) * least;
      },
    },
    q6_k: {
      id: 14,
      halves: [208],
      value: (b, i) => {
        const part = i >> 7; // 128 values each
        const quarter = (i >> 5) & 3;
        const l = i & 31;
        const low = (b.getUint8(64 * part + 32 * (quarter & 1) + l) >> (4 * (quarter >> 1))) & 15;
        const high = (b.getUint8(128 + 32 * part + l) >> (2 * quarter)) & 3;
        return half(b, 208) * b.getInt8(192 + (i >> 4)) * (low + 16 * high - 32);
      },
    },
  };

test.each(Object.keys(VALUE))("%s", (name) => {
  const { id, halves, value } = VALUE[name]!;
  const type = tensorType(id, "test");
  expect(type.name).toBe(name);
  const blocks = Array.from({ length: 40 }, () => randomBlock(type.bytes, halves));
  const n = blocks.length * type.block;
  const from = engine.allocate(blocks.length * type.bytes + 1) + 1; // rows lie at any byte
  const to = engine.allocate(4 * n);
  for (const [i, block] of blocks.entries())
    engine.u8(from + i * type.bytes, type.bytes).set(new Uint8Array(block.buffer));
  engine.kernels.dequantise(id, from, to, n);
  const expected = Float32Array.from(
    { length: n },
    (_, i) => value(blocks[Math.floor(i / type.block)]!, i % type.block) + 0,
  );
  expect(engine.f32(to, n).map((x) => x + 0)).toEqual(expected);
});

test("f16: every finite half; bf16: the upper half of an f32", () => {
  const halves = Uint16Array.from({ length: 65_536 }, (_, i) => i).filter((h) => (h & 0x7c00) !== 0x7c00);
  const from = engine.allocate(2 * halves.length);
  const to = engine.allocate(4 * halves.length);
  engine.u8(from, 2 * halves.length).set(new Uint8Array(halves.buffer));
  engine.kernels.dequantise(1, from, to, halves.length);
  expect(engine.f32(to, halves.length).slice()).toEqual(Float32Array.from(halves, fromF16));
  // And back again, with values between the halves, which tie or round either way.
  const values = Float32Array.from(halves, (h, i) => fromF16(h) * (1 + (i % 5) * 2 ** -12)).filter(
    (x) => Math.abs(x) < 65_500,
  );
  engine.f32(to, values.length).set(values);
  engine.kernels.halves(to, from, values.length);
  const back = new Uint16Array(engine.u8(from, 2 * values.length).slice().buffer);
  expect(back).toEqual(Uint16Array.from(values, toF16));
  engine.u8(from, 8).set([0x80, 0x3f, 0x40, 0xc0, 0, 0, 0x01, 0x7f]);
  engine.kernels.dequantise(30, from, to, 4);
  expect([...engine.f32(to, 4)]).toEqual([1, -3, 0, (129 / 128) * 2 ** 127]);
});

test("an unknown type has no reader: UNKNOWN_FORMAT", () => {
  expect(() => tensorType(16, "x")).toThrow(expect.objectContaining({ code: "UNKNOWN_FORMAT" }));
});
