import { expect, test } from "vitest";
import { kvPair } from "../../src/model/kv-pair.js";

test.each([
  ["turbo4", "turbo4", "turbo4"],
  ["q8_0", "ggml/q8_0", "ggml/q8_0"],
  ["ggml/q8_0", "ggml/q8_0", "ggml/q8_0"],
  ["q8_0/turbo3", "ggml/q8_0", "turbo3"],
  ["turbo3/ggml/q4_0", "turbo3", "ggml/q4_0"],
  ["ggml/q4_0/llama/turbo3", "ggml/q4_0", "llama/turbo3"],
  ["f32/f16", "f32", "f16"],
])("%s is %s and %s", (name, key, value) => {
  expect(kvPair(name)).toEqual({ name, key, value });
});

test("+mean asks for centred keys", () => {
  expect(kvPair("q8_0/turbo3+mean")).toEqual({
    name: "q8_0/turbo3+mean",
    key: "ggml/q8_0",
    value: "turbo3",
    mean: true,
  });
});

test.each([
  "",
  "+mean",
  "turbo4+mean+mean",
  "turbo9",
  "turbo4/",
  "/turbo4",
  "turbo4/turbo3/turbo2",
  "constructor",
])("%j is no pair", (name) => {
  expect(() => kvPair(name)).toThrow(
    expect.objectContaining({ name: "FormatError", code: "UNKNOWN_FORMAT" }),
  );
});
