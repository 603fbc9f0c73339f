/** Which coordinates of a query are looked up twice, and what it is good for: the step of its tables. */
import { describe, expect, test } from "vitest";
import { lookedUpTwice, MOST_TWICE, makeTables8, tableBytes } from "../../src/kernels/tables.js";

const LEVELS = Float32Array.from({ length: 16 }, (_, j) => (j - 7.5) / 8);

/** ±1 all over, but for `count` coordinates of `size`. */
const query = (dim: number, count: number, size: number): Float32Array =>
  Float32Array.from({ length: dim }, (_, i) => (i < count ? size : 1) * (i % 2 ? -1 : 1));

describe("coordinates above 2.25 times the rms", () => {
  test("are listed in order, whatever their sign", () => {
    const x = query(128, 0, 0);
    x[3] = -3;
    x[100] = 2.9;
    expect(lookedUpTwice(x)).toEqual([3, 100]);
  });
  test("are not listed where they are at the limit or below", () => {
    expect(lookedUpTwice(query(64, 0, 0))).toEqual([]);
    expect(lookedUpTwice(query(64, 1, 2.25))).toEqual([]);
  });
  test("are no more than the list has room for", () => {
    expect(lookedUpTwice(query(256, MOST_TWICE, 3)).length).toBe(MOST_TWICE);
    expect(lookedUpTwice(query(256, MOST_TWICE + 1, 3))).toEqual([]);
  });
  test("are below 4.5 times it, or halves would not do", () => {
    expect(lookedUpTwice(query(256, 1, 4.4))).toEqual([0]);
    expect(lookedUpTwice(query(256, 1, 6))).toEqual([]);
    expect(lookedUpTwice(query(256, 1, Number.NaN))).toEqual([]);
    expect(lookedUpTwice(query(256, 1, Number.POSITIVE_INFINITY))).toEqual([]);
  });
});

test("a coordinate four times as large as the others makes a step of twice theirs, not of four times", () => {
  const step = (x: Float32Array, bits: number): number => {
    const out = new Uint8Array(tableBytes(x.length, bits, 1));
    makeTables8(LEVELS.subarray(0, 1 << bits), bits, x, out);
    return new DataView(out.buffer).getFloat32(0, true);
  };
  expect(step(query(128, 1, 4), 4) / step(query(128, 0, 0), 4)).toBe(2);
  expect(step(query(128, 1, 4), 3) / step(query(128, 0, 0), 3)).toBe(4);
});
