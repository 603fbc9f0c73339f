import { expect, test } from "vitest";
import { EXP_LEAST, expNegative } from "../../src/core/exp.js";

const f32 = new Float32Array(1);
const u32 = new Uint32Array(f32.buffer);

test("relative error at most 1.2e-7 on −87 … 0, against f64", () => {
  let worst = 0;
  // Every 977th f32 from −87 (0xc2ae0000) up to −2⁻⁶⁴, both far and near 0.
  for (let bits = 0x9f800000; bits <= 0xc2ae0000; bits += 977) {
    u32[0] = bits;
    const exact = Math.exp(f32[0]!);
    worst = Math.max(worst, Math.abs(expNegative(f32[0]!) - exact) / exact);
  }
  expect(worst).toBeLessThan(1.2e-7);
  expect(worst).toBeGreaterThan(3e-8); // f32 cannot do better than half a unit: the sweep saw something
});

test("1 at 0, 0 below the least argument, NaN for NaN, never rising as arguments fall", () => {
  expect(expNegative(0)).toBe(1);
  expect(expNegative(-0)).toBe(1);
  expect(expNegative(EXP_LEAST)).toBeGreaterThan(1e-38);
  expect(expNegative(Math.fround(EXP_LEAST - 1e-5))).toBe(0);
  expect(expNegative(Number.NEGATIVE_INFINITY)).toBe(0);
  expect(expNegative(Number.NaN)).toBeNaN();
});
