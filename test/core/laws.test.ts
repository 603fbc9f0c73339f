import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { packCodes, packedBytes, unpackCodes } from "../../src/core/bits.js";
import { haarRotation } from "../../src/core/haar.js";
import { inverseNormal } from "../../src/core/normal.js";
import { randomStream } from "../../src/core/random.js";
import { seededRotation } from "../../src/core/seeded-rotation.js";
import { assertRotates, rotate, unrotate, wht } from "../../src/core/wht.js";

const DIMS = [32, 64, 96, 128, 160, 192, 256, 320, 512, 576];
const norm = (x: ArrayLike<number>): number => Math.sqrt(Array.from(x).reduce((sum, v) => sum + v * v, 0));

describe("rotation", () => {
  test.each(DIMS)("dim %i: R keeps inner products, R⁻¹R = 1, R R⁻¹ = 1", (dim) => {
    fc.assert(
      fc.property(fc.nat(), fc.nat(), (seed, data) => {
        const r = seededRotation(dim, seed);
        const stream = randomStream(data, "data");
        const x = Float32Array.from({ length: dim }, () => stream.normal());
        const y = Float32Array.from({ length: dim }, () => stream.normal());
        const product = x.reduce((sum, v, i) => sum + v * y[i]!, 0);
        const [rx, ry] = [x.slice(), y.slice()];
        rotate(r, rx);
        rotate(r, ry);
        const rotated = rx.reduce((sum, v, i) => sum + v * ry[i]!, 0);
        expect(Math.abs(rotated - product)).toBeLessThan(2e-6 * norm(x) * norm(y));
        unrotate(r, rx);
        expect(norm(rx.map((v, i) => v - x[i]!))).toBeLessThan(2e-6 * norm(x));
        unrotate(r, ry);
        rotate(r, ry);
        unrotate(r, ry);
        expect(norm(ry.map((v, i) => v - y[i]!))).toBeLessThan(4e-6 * norm(y));
      }),
      { numRuns: 30 },
    );
  });

  test("a basis vector of each block becomes the Sylvester row, exactly", () => {
    for (const block of [32, 64, 128]) {
      for (let i = 0; i < block; i++) {
        const x = new Float32Array(block);
        x[i] = 1;
        wht(x, block);
        for (let j = 0; j < block; j++) {
          let ones = 0;
          for (let both = i & j; both; both >>= 1) ones += both & 1;
          if (x[j] !== (ones % 2 ? -1 : 1)) expect.fail(`H[${i},${j}] = ${x[j]}`);
        }
      }
    }
  });

  test("other dimensions are refused, and the message says which are allowed", () => {
    for (const dim of [0, 1, 16, 31, 33, 80, 112, 127, 1.5, -32, Number.NaN])
      expect(() => assertRotates(dim)).toThrow(RangeError);
    expect(() => seededRotation(80, 0)).toThrow(/expected a multiple of 32 .* got 80; zero-pad to 96/);
    expect(() => assertRotates("64")).toThrow(TypeError);
  });

  test("the dense Haar rotation is orthogonal to 1e-13", () => {
    const dim = 64;
    const m = haarRotation(dim, randomStream(5, "haar"));
    for (let a = 0; a < dim; a++)
      for (let b = 0; b <= a; b++) {
        let sum = 0;
        for (let i = 0; i < dim; i++) sum += m[a * dim + i]! * m[b * dim + i]!;
        if (Math.abs(sum - (a === b ? 1 : 0)) > 1e-13) expect.fail(`rows ${a}, ${b}: ${sum}`);
      }
  });
});

describe("packing", () => {
  test("code i is at stream bit i·bits, least significant first; unpack undoes pack", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        fc.uint8Array({ minLength: 1, maxLength: 100 }),
        (bits, raw) => {
          const codes = raw.map((v) => v & ((1 << bits) - 1));
          const bytes = new Uint8Array(packedBytes(codes.length, bits)).fill(0xa5);
          packCodes(codes, bits, bytes);
          codes.forEach((code, i) => {
            for (let k = 0; k < bits; k++) {
              const at = i * bits + k;
              if (((bytes[at >> 3]! >> (at & 7)) & 1) !== ((code >> k) & 1)) expect.fail(`bit ${at}`);
            }
          });
          const back = new Uint8Array(codes.length);
          unpackCodes(bytes, bits, back);
          expect(back).toEqual(codes);
        },
      ),
    );
  });
});

describe("random streams", () => {
  const take = (seed: number | bigint, label: string): number[] => {
    const stream = randomStream(seed, label);
    return Array.from({ length: 2000 }, () => stream.uint32());
  };
  /** Same values in the same places: what a shared seed looks like. */
  const shared = (a: number[], b: number[]): number => a.filter((v, i) => v === b[i]).length;

  test("labels and seeds part: no data stream is a rotation stream; the check sees a shared one", () => {
    const labels = ["rotation", "sketch", "data", "outlier"];
    for (const a of labels)
      for (const b of labels) if (a !== b) expect(shared(take(7, a), take(7, b))).toBe(0);
    expect(shared(take(7, "data"), take(8, "data"))).toBe(0);
    expect(shared(take(1n, "data"), take(1n + (1n << 32n), "data"))).toBe(0);
    expect(shared(take(7, "data"), take(7, "data"))).toBe(2000);
  });

  test("normal deviates: moments two-sided, and the inverse distribution's known points", () => {
    const stream = randomStream(11, "data");
    const n = 200_000;
    const sums = [0, 0, 0, 0];
    for (let i = 0; i < n; i++) {
      const x = stream.normal();
      for (let k = 0; k < 4; k++) sums[k]! += x ** (k + 1);
    }
    const [m1, m2, m3, m4] = sums.map((s) => s / n) as [number, number, number, number];
    expect(Math.abs(m1)).toBeLessThan(5 / Math.sqrt(n));
    expect(Math.abs(m2 - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    expect(Math.abs(m3)).toBeLessThan(5 * Math.sqrt(15 / n));
    expect(Math.abs(m4 - 3)).toBeLessThan(5 * Math.sqrt(96 / n));
    expect(inverseNormal(0.5)).toBe(0);
    expect(inverseNormal(0.975)).toBeCloseTo(1.959963984540054, 14);
    expect(inverseNormal(1e-10)).toBeCloseTo(-6.361340902404056, 13);
  });

  test("seeds are checked", () => {
    expect(() => randomStream(-1, "data")).toThrow(RangeError);
    expect(() => randomStream(1.5, "data")).toThrow(RangeError);
    expect(() => randomStream(1n << 64n, "data")).toThrow(RangeError);
    expect(() => randomStream("1" as never, "data")).toThrow(TypeError);
  });
});
