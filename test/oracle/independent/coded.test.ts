/** Weight types, polar and trellis codes, written from the specification alone: a sample of slips, and what is no slip. */
import { expect, it } from "vitest";
import { findFormat } from "../../../src/formats/registry.js";
import { verify } from "../../../src/oracle/verify.js";
import { codedSweep } from "./coded.js";
import { dataOf } from "./data.js";
import { Dice, f32 } from "./numbers.js";
import { table } from "./sweep.js";

it.each([
  ["llama/tq3_1s", 7],
  ["polar3.875", 5],
  ["trellis2", 7],
] as const)("%s", (format, every) => {
  const { conforming, outcomes } = codedSweep(format, 64, "few", dataOf("few", 64, 3), { every, first: 1 });
  expect(conforming).toEqual(["exact", "exact"]);
  expect(outcomes.length).toBeGreaterThan(4);
  expect(outcomes.every((o) => o.detected)).toBe(true);
  const lines = table(outcomes, (o) => `${o.evidence} ${o.note} -> ${o.got}`);
  expect(outcomes.filter((o) => !o.right).length, lines).toBeLessThanOrEqual(1);
});

it.each([
  "llama/tq3_1s",
  "llama/tq4_1s",
  "polar3.875",
  "trellis3",
  "trellis2x",
  "turbo1",
  "turbo2.5",
  "turbo3.5",
])("%s: values that another order of sums leaves, and their codes, are no fault", (format) => {
  const dim = 128;
  const dice = new Dice(9);
  for (const kind of ["mixed", "heavy"] as const) {
    const input = dataOf(kind, dim, 5, 64);
    const codec = findFormat(format).open({ dim });
    const packed = new Uint8Array((input.length / dim) * codec.bytesPerVector);
    const near = (by: number) => (v: number) => f32(v * (1 + by * (dice.uniform() - 0.5)));
    codec.encode(input.map(near(1.2e-7)), packed);
    const decoded = new Float32Array(input.length);
    codec.decode(packed, decoded);
    expect(verify({ format, dim, input, packed }).verdict).not.toBe("faulty");
    expect(verify({ format, dim, input, decoded: decoded.map(near(2e-7)) }).verdict).not.toBe("faulty");
  }
});
