/** Sums of waves against ⟨q, R_p μ⟩ in f64, for all pairings and scalings, at positions up to 131,072. */
import { describe, expect, test } from "vitest";
import { randomStream } from "../../src/core/random.js";
import { pairOf, type Rope, type RopeScaling, ropeFrequencies } from "../../src/core/rope.js";
import {
  createWaves,
  putSpanTurn,
  putWave,
  SPAN,
  sumWaves,
  waveError,
  waveFloats,
} from "../../src/core/waves.js";

const scalings: RopeScaling[] = [
  { type: "none" },
  { type: "linear", factor: 4 },
  { type: "llama3", factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 8192 },
  { type: "yarn", factor: 4, originalContext: 32_768, fast: 32, slow: 1 },
];
const shapes = [
  { dim: 128, dimensions: 128, theta: 10_000 },
  { dim: 64, dimensions: 64, theta: 100_000 },
  { dim: 96, dimensions: 24, theta: 10_000 },
  { dim: 128, dimensions: 128, theta: 1_000_000 },
  { dim: 80, dimensions: 38, theta: 500_000 },
  { dim: 256, dimensions: 256, theta: 10_000 },
];
const SPANS = [0, 1, 3, 255, 2047, 4095, 4096];

function exact(
  rope: Rope,
  frequencies: Float64Array,
  q: Float32Array,
  mean: Float32Array,
  p: number,
): number {
  let sum = 0;
  for (const [i, f] of frequencies.entries()) {
    const [x, y] = pairOf(rope, i);
    const [c, s] = [Math.cos(p * f), Math.sin(p * f)];
    sum += q[x]! * (mean[x]! * c - mean[y]! * s) + q[y]! * (mean[x]! * s + mean[y]! * c);
  }
  for (let a = rope.dimensions; a < q.length; a++) sum += q[a]! * mean[a]!;
  return sum;
}

describe.each(["adjacent", "half-split"] as const)("%s", (pairing) => {
  test.each(scalings)("%o", (scaling) => {
    for (const { dim, ...rest } of shapes) {
      const rope: Rope = { pairing, scaling, ...rest };
      const waves = createWaves(rope);
      const frequencies = ropeFrequencies(rope);
      const stream = randomStream(dim, "waves");
      const vector = (): Float32Array => Float32Array.from({ length: dim }, () => stream.normal());
      const [turn, b, out] = [waves.channels * 2, waves.channels * 2, SPAN].map((n) => new Float32Array(n));
      for (let round = 0; round < 3; round++) {
        const [q, mean] = [vector(), vector()];
        const wave = new Float32Array(waveFloats(waves));
        putWave(waves, q, mean, wave);
        const bound = waveError(waves, wave);
        const energy = Math.sqrt(wave.reduce((sum, a) => sum + a * a, 0));
        expect(bound).toBeLessThan(6e-6 * energy);
        let worst = 0;
        for (const span of SPANS) {
          putSpanTurn(waves, span, turn!);
          sumWaves(waves, wave, turn!, b!, out!);
          for (let t = 0; t < SPAN; t++) {
            const error = Math.abs(out![t]! - exact(rope, frequencies, q, mean, span * SPAN + t));
            expect(error).toBeLessThan(bound + 2e-6 * energy);
            worst = Math.max(worst, error);
          }
        }
        expect(worst).toBeLessThan(4e-6 * energy);
      }
    }
  });
});

test("what does not turn at all is its own sum", () => {
  const waves = createWaves({
    pairing: "adjacent",
    dimensions: 2,
    theta: 1,
    scaling: { type: "linear", factor: 1e12 },
  });
  const [q, mean] = [Float32Array.of(1, 2, 3, 4, 0, 0), Float32Array.of(5, 6, 7, 8, 0, 0)];
  const wave = new Float32Array(waveFloats(waves));
  putWave(waves, q, mean, wave);
  const out = new Float32Array(SPAN);
  const turn = new Float32Array(8);
  putSpanTurn(waves, 4000, turn);
  sumWaves(waves, wave, turn, new Float32Array(8), out);
  for (const s of out) expect(Math.abs(s - 70)).toBeLessThan(1e-4);
});
