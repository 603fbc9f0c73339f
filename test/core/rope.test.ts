/** Frequencies against the formulas as papers and other implementations write them; turns against Math.cos and sin. */
import { sha256 } from "@noble/hashes/sha2.js";
import { describe, expect, test } from "vitest";
import {
  checkRope,
  MOST_POSITIONS,
  pairOf,
  type Rope,
  type RopeScaling,
  ropeFrequencies,
  Turns,
} from "../../src/core/rope.js";

const rope = (change: Partial<Rope> = {}): Rope => ({
  pairing: "adjacent",
  dimensions: 128,
  theta: 500_000,
  scaling: { type: "none" },
  ...change,
});
const plain = (theta: number, dimensions: number): number[] =>
  Array.from({ length: dimensions / 2 }, (_, i) => theta ** ((-2 * i) / dimensions));

/** Relative. */
function expectClose(got: Float64Array, want: readonly number[], within = 1e-13): void {
  expect(got).toHaveLength(want.length);
  for (const [i, f] of got.entries()) expect(Math.abs(f / want[i]! - 1)).toBeLessThan(within);
}

/** The wavelength form of the Llama 3.1 release. */
function llama31(
  f: number,
  { factor, lowFrequency, highFrequency, originalContext }: Extract<RopeScaling, { type: "llama3" }>,
): number {
  const wavelength = (2 * Math.PI) / f;
  if (wavelength < originalContext / highFrequency) return f;
  if (wavelength > originalContext / lowFrequency) return f / factor;
  const smooth = (originalContext / wavelength - lowFrequency) / (highFrequency - lowFrequency);
  return ((1 - smooth) * f) / factor + smooth * f;
}

/** With logarithms, as in the YaRN paper's repository. */
function yarn(theta: number, dimensions: number, s: Extract<RopeScaling, { type: "yarn" }>): number[] {
  const index = (turns: number) =>
    (dimensions * Math.log(s.originalContext / (turns * 2 * Math.PI))) / (2 * Math.log(theta));
  const low = Math.max(Math.floor(index(s.fast)), 0);
  const high = Math.min(Math.ceil(index(s.slow)), dimensions - 1);
  return plain(theta, dimensions).map((f, i) => {
    const ramp = Math.min(1, Math.max(0, (i - low) / (low === high ? 0.001 : high - low)));
    return (f / s.factor) * ramp + f * (1 - ramp);
  });
}

describe("frequencies", () => {
  test.each([
    [10_000, 64],
    [100_000, 64],
    [500_000, 128],
    [1_000_000, 256],
    [10_000, 32],
    [1, 64],
    [5_000_000, 2],
    [10_000.5, 96],
  ])("theta %d, %d dimensions", (theta, dimensions) => {
    expectClose(ropeFrequencies(rope({ theta, dimensions })), plain(theta, dimensions));
  });

  test("linear, factors", () => {
    const factors = Array.from({ length: 64 }, (_, i) => 1 + i / 7);
    const got = ropeFrequencies(rope({ scaling: { type: "linear", factor: 4 }, factors }));
    expectClose(
      got,
      plain(500_000, 128).map((f, i) => f / 4 / factors[i]!),
    );
  });

  test("llama3 is the release's formula", () => {
    const scaling = {
      type: "llama3",
      factor: 8,
      lowFrequency: 1,
      highFrequency: 4,
      originalContext: 8192,
    } as const;
    const want = plain(500_000, 128).map((f) => llama31(f, scaling));
    expectClose(ropeFrequencies(rope({ scaling })), want);
    expect(want.filter((f, i) => f !== plain(500_000, 128)[i]).length).toBeGreaterThan(20);
  });

  test.each([
    [1_000_000, 128, { factor: 4, originalContext: 32_768, fast: 32, slow: 1 }],
    [10_000, 64, { factor: 16, originalContext: 4096, fast: 32, slow: 1 }],
    [10_000, 96, { factor: 40, originalContext: 4096, fast: 8, slow: 2 }],
    [10_000, 64, { factor: 2, originalContext: 40, fast: 32, slow: 1 }],
  ])("yarn, theta %d, %d dimensions", (theta, dimensions, given) => {
    const scaling = { type: "yarn" as const, ...given };
    expectClose(ropeFrequencies(rope({ theta, dimensions, scaling })), yarn(theta, dimensions, scaling));
  });
});

describe("turns", () => {
  const scalings: RopeScaling[] = [
    { type: "none" },
    { type: "linear", factor: 3 },
    { type: "llama3", factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 8192 },
    { type: "yarn", factor: 4, originalContext: 32_768, fast: 32, slow: 1 },
  ];
  test.each(scalings)("%o: within half a unit of f32 of cos and sin, up to 1,048,576", (scaling) => {
    const turns = new Turns(rope({ scaling }));
    const out = new Float32Array(128);
    for (const position of [
      0,
      1,
      2,
      127,
      128,
      129,
      1000,
      8191,
      65_537,
      131_071,
      131_072,
      1e6 + 7,
      MOST_POSITIONS,
    ]) {
      turns.put(position, out);
      for (const [i, f] of turns.frequencies.entries()) {
        expect(Math.abs(out[2 * i]! - Math.cos(position * f))).toBeLessThan(2 ** -25 + 1e-9);
        expect(Math.abs(out[2 * i + 1]! - Math.sin(position * f))).toBeLessThan(2 ** -25 + 1e-9);
      }
    }
  });

  test("every host has these bits", () => {
    const turns = new Turns(rope());
    const rows = new Float32Array(128 * 300);
    for (let n = 0; n < 300; n++) turns.put(n * 439, rows.subarray(128 * n, 128 * (n + 1)));
    const digest = Buffer.from(sha256(new Uint8Array(rows.buffer))).toString("hex");
    expect(digest).toBe("a231c8393d2dea6139b359e1c45f6662dd2284bdb322ab26764a5f115c985b55");
  });

  test("order of questions does not matter", () => {
    const [a, b, again] = [new Float32Array(128), new Float32Array(128), new Float32Array(128)];
    const turns = new Turns(rope());
    turns.put(5000, a);
    turns.put(3, b);
    turns.put(5000, again);
    expect(again).toEqual(a);
    expect(b).not.toEqual(a);
  });
});

describe("description", () => {
  test("pairs", () => {
    expect(pairOf(rope(), 3)).toEqual([6, 7]);
    expect(pairOf(rope({ pairing: "half-split" }), 3)).toEqual([3, 67]);
  });

  test.each([
    [{ pairing: "neox" }, RangeError, /"rope.pairing" expected one of adjacent, half-split, got "neox"/],
    [{ dimensions: 130 }, RangeError, /"rope.dimensions" expected an integer in 2..128, got 130/],
    [{ dimensions: 33 }, RangeError, /even/],
    [{ theta: "1e4" }, TypeError, /"rope.theta" expected a number, got string/],
    [{ theta: 0.5 }, RangeError, /"rope.theta" expected at least 1, got 0.5/],
    [{ scaling: { type: "ntk" } }, RangeError, /"rope.scaling.type"/],
    [{ scaling: { type: "linear" } }, TypeError, /"rope.scaling.factor" expected a number, got undefined/],
    [{ scaling: { type: "linear", factor: 0 } }, RangeError, /above 0, got 0/],
    [
      { scaling: { type: "llama3", factor: 8, lowFrequency: 4, highFrequency: 4, originalContext: 1 } },
      RangeError,
      /lowFrequency/,
    ],
    [{ factors: [1] }, RangeError, /"rope.factors" expected 64 numbers, got 1/],
    [{ factors: Array.from({ length: 64 }, () => 0) }, RangeError, /"rope.factors\[0\]"/],
  ])("%o is refused", (change, kind, message) => {
    const call = (): unknown => checkRope({ ...rope(), ...change }, 128);
    expect(call).toThrow(kind);
    expect(call).toThrow(message);
  });

  test("only what it means is kept", () => {
    const given = { ...rope(), more: 1, scaling: { type: "none", factor: 3 } };
    expect(checkRope(given, 128)).toEqual(rope());
    expect(() => checkRope(null, 128)).toThrow(TypeError);
  });
});
