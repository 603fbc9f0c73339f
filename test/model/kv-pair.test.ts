import { expect, test } from "vitest";
import { kvPair } from "../../src/model/kv-pair.js";
import { inWords, pickedBy } from "../../src/model/picked-kv.js";

test("options and presets", () => {
  expect(kvPair("turbo3/turbo2+centre+sinks4")).toEqual({
    name: "turbo3/turbo2+centre+sinks4",
    key: "turbo3",
    value: "turbo2",
    centre: true,
    sinks: 4,
  });
  expect(kvPair("best3")).toEqual({
    name: "best3",
    key: "trellis3x",
    value: "trellis3x",
    centre: true,
    sinks: 4,
  });
  expect(kvPair("turbo4+recent64+centre")).toMatchObject({ recent: 64, centre: true });
  expect(inWords(pickedBy(kvPair("best3+recent8")))).toBe(
    "keys trellis3x (norm-matching, centred by position), values trellis3x (unbiased), 4 first tokens in f16, 8 last tokens in f16",
  );
  expect(inWords(pickedBy(kvPair("q8_0/turbo4+qjl")))).toBe(
    "keys ggml/q8_0, values turbo4+qjl (least-squares)",
  );
  expect(kvPair("best2+sinks8")).toMatchObject({ key: "trellis2x", sinks: 8 });
  expect(kvPair("simulated/kvarn-k4v4").simulated?.bits("key", 64)).toBe(4.5);
});

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
