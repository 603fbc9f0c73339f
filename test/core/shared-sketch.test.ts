/** A sketch is made once for those who share it, is the one that the seed gives, and the oldest give way. */
import { expect, test } from "vitest";
import { createSketch, sharedSketch } from "../../src/core/qjl.js";

test("shared by kind, dimension and seed; the same values as a new one", () => {
  const a = sharedSketch("gaussian", 64, 7);
  expect(sharedSketch("gaussian", 64, 7n)).toBe(a);
  expect(a.matrix).toEqual(createSketch("gaussian", 64, 7).matrix);
  expect(sharedSketch("gaussian", 64, 8).matrix).not.toEqual(a.matrix);
  expect(sharedSketch("orthogonal", 64, 7).kind).toBe("orthogonal");
});

test("what was not used for long is let go, what is used stays", () => {
  const old = sharedSketch("gaussian", 64, 7);
  const kept = sharedSketch("gaussian", 512, 100);
  for (let seed = 0; seed < 40; seed++) {
    sharedSketch("gaussian", 512, seed);
    expect(sharedSketch("gaussian", 512, 100)).toBe(kept);
  }
  expect(sharedSketch("gaussian", 64, 7)).not.toBe(old);
});
