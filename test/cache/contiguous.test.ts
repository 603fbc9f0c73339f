import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { exportPastKeyValues, importPastKeyValues, KvCache } from "../../src/cache/index.js";
import { toF16Array } from "../../src/core/float.js";
import { normals } from "./vectors.js";

const SHAPE = { layers: 2, kvHeads: 3, headDim: 32, pageTokens: 4, pages: 8 };
const TOKENS = 7;
const dims = [1, 3, TOKENS, 32];
const past = Object.fromEntries(
  [0, 1].flatMap((layer) =>
    ["key", "value"].map((side, i) => [
      `past_key_values.${layer}.${side}`,
      { dims, data: normals(3 * TOKENS * 32, 10 * layer + i + 1) },
    ]),
  ),
);

describe("contiguous caches", () => {
  test("f32 comes back as it went in; f16 as its halves", () => {
    const cache = new KvCache({ ...SHAPE, key: "f32", value: "f32" });
    const seq = importPastKeyValues(cache, past);
    expect(exportPastKeyValues(cache, seq)).toEqual(past);
    const halves = exportPastKeyValues(cache, seq, "float16");
    const name = "past_key_values.1.value";
    expect(halves[name]).toEqual({ dims, data: toF16Array(past[name]!.data) });
    const again = new KvCache({ ...SHAPE, key: "f16", value: "f16" });
    const present = Object.fromEntries(
      Object.entries(halves).map(([key, { data }]) => [
        key.replace("past_key_values", "present"),
        { dims: [3, TOKENS, 32], data },
      ]),
    );
    expect(exportPastKeyValues(again, importPastKeyValues(again, present), "float16")).toEqual(halves);
  });

  test("head h of token t is at [h, t] outside and [t, h] inside", () => {
    const cache = new KvCache({ ...SHAPE, key: "f32", value: "f32" });
    const keys = cache.read(importPastKeyValues(cache, past), 0, "key");
    const { data } = past["past_key_values.0.key"]!;
    expect(keys[(5 * 3 + 2) * 32 + 9]).toBe(data[(2 * TOKENS + 5) * 32 + 9]);
  });

  test("what does not fit is refused and leaves nothing", () => {
    const cache = new KvCache({ ...SHAPE, key: "turbo4", value: "turbo4" });
    const { "past_key_values.1.value": last, ...missing } = past;
    const wrong = { dims: [1, 3, TOKENS, 16], data: last!.data };
    const shorter = { dims: [1, 3, 2, 32], data: new Float32Array(192) };
    expect(() => importPastKeyValues(cache, missing)).toThrow(/past_key_values.1.value.*missing/);
    expect(() => importPastKeyValues(cache, { ...missing, "past_key_values.1.value": wrong })).toThrow(
      RangeError,
    );
    expect(() =>
      importPastKeyValues(cache, {
        ...missing,
        "past_key_values.1.key": shorter,
        "past_key_values.1.value": shorter,
      }),
    ).toThrow(/expected 7 tokens/);
    expect([...cache]).toEqual([]);
    cache.audit();
  });

  test("the example runs", () => {
    const path = fileURLToPath(new URL("../../examples/prompt-cache.mjs", import.meta.url));
    const said = execFileSync(process.execPath, [path], { encoding: "utf8" });
    expect(said).toMatch(/compression\s+3\.76 times against f16/);
    expect(Number(/relative error (\S+)/.exec(said)![1])).toBeLessThan(0.2);
  });
});
