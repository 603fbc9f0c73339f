/** Sums of waves on both backends, bit for bit, and nothing written outside. */
import { describe, expect, test } from "vitest";
import { randomStream } from "../../src/core/random.js";
import { createWaves, putSpanTurn, SPAN, waveFloats } from "../../src/core/waves.js";
import type { Kernels } from "../../src/kernels/kernels.js";
import { createWavePlan } from "../../src/kernels/wave-plan.js";
import { compareFloats, run } from "./compare.js";
import { reference, wasm } from "./suite.js";

const SPANS = 5;

describe.each([
  [128, 10_000],
  [64, 1_000_000],
  [2, 10_000],
  [6, 1e9],
  [24, 1.5],
  [256, 500_000],
])("%d dimensions, theta %d", (dimensions, theta) => {
  const waves = createWaves({ pairing: "adjacent", dimensions, theta, scaling: { type: "none" } });
  const turns = new Float32Array(SPANS * 2 * waves.channels);
  for (let span = 0; span < SPANS; span++) {
    const turn = turns.subarray(span * 2 * waves.channels, (span + 1) * 2 * waves.channels);
    putSpanTurn(waves, 1000 * span, turn);
  }
  const stream = randomStream(dimensions, "data");
  const normals = (n: number): Float32Array => Float32Array.from({ length: n }, () => stream.normal());
  const scores = normals(SPANS * SPAN);
  const sum = (kernels: Kernels, wave: Float32Array): Uint8Array => {
    const plan = createWavePlan(kernels.arena, waves);
    const out = run(
      kernels,
      [wave, turns],
      4 * scores.length,
      ([w, t], to) => kernels.addWaves(plan.pointer, w!, t!, SPANS, to),
      { initial: scores },
    );
    plan.release();
    return out;
  };

  test("random waves", () => {
    for (let round = 0; round < 50; round++) {
      const wave = normals(waveFloats(waves)).map((x) => x * 10 ** (round - 25));
      expect(compareFloats(sum(reference, wave), sum(wasm, wave))).toEqual({ count: 0, first: "" });
    }
  });

  test("awkward ones: zeros, infinities, NaN, subnormal", () => {
    for (const value of [0, -0, 1e-42, 3e38, Number.POSITIVE_INFINITY, Number.NaN]) {
      const wave = normals(waveFloats(waves));
      wave[1] = value;
      wave[wave.length - 1] = value;
      expect(compareFloats(sum(reference, wave), sum(wasm, wave))).toEqual({ count: 0, first: "" });
    }
  });
});
