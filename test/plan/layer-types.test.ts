import { describe, expect, test } from "vitest";
import { type EngineType, type LayerRequest, resolveLayers } from "../../src/plan/layer-types.js";

const base: LayerRequest = {
  mode: 0,
  typeK: "turbo4",
  typeV: "turbo4",
  layers: 48,
  heads: 32,
  kvHeads: 8,
};
const resolve = (request: Partial<LayerRequest>) => resolveLayers({ ...base, ...request });
/** "q8_0×4 turbo4×40 q8_0×4": runs of equal types. */
function runs(types: readonly EngineType[]): string {
  const out: [string, number][] = [];
  for (const type of types)
    if (out.at(-1)?.[0] === type) out.at(-1)![1]++;
    else out.push([type, 1]);
  return out.map(([type, count]) => `${type}×${count}`).join(" ");
}

describe("TURBO_LAYER_ADAPTIVE, the fork's table (48 layers)", () => {
  test.each([
    [0, "turbo4×48", "turbo4×48"],
    [1, "q8_0×4 turbo4×40 q8_0×4", "q8_0×4 turbo4×40 q8_0×4"],
    [2, "turbo4×40 q8_0×8", "turbo4×40 q8_0×8"],
    [3, "turbo4×48", "turbo4×48"],
    [4, "turbo4×48", "turbo4×48"],
    [5, "turbo4×48", "turbo4×2 turbo2×44 turbo4×2"],
    [6, "turbo4×48", "turbo2×40 turbo4×8"],
    [7, "turbo4×48", "q8_0×2 turbo2×44 q8_0×2"],
    [9, "turbo4×48", "turbo4×48"],
    [null, "turbo4×48", "turbo4×48"],
  ])("mode %s", (mode, keys, values) => {
    const layers = resolve({ mode });
    expect(runs(layers.keys)).toBe(keys);
    expect(runs(layers.values)).toBe(values);
  });

  test("eight layers are the least on which a mode acts; seven are left as asked, and it says so", () => {
    expect(runs(resolve({ mode: 7, layers: 8 }).values)).toBe("q8_0×2 turbo2×4 q8_0×2");
    expect(runs(resolve({ mode: 1, layers: 8 }).keys)).toBe("q8_0×8");
    expect(runs(resolve({ mode: 6, layers: 8 }).values)).toBe("turbo4×8");
    for (const mode of [1, 2, 5, 6, 7]) {
      const seven = resolve({ mode, layers: 7 });
      expect([runs(seven.keys), runs(seven.values)]).toEqual(["turbo4×7", "turbo4×7"]);
      expect(seven.changes.join()).toContain("no effect");
    }
  });

  test("unset: mode 7 for turbo2 values, off when it is set to 0, and not below 8 layers", () => {
    const unset = resolve({ mode: null, typeK: "q8_0", typeV: "turbo2" });
    expect([unset.mode, runs(unset.values)]).toEqual([7, "q8_0×2 turbo2×44 q8_0×2"]);
    expect(unset.changes[0]).toContain("turns mode 7 on");
    expect(runs(resolve({ mode: 0, typeV: "turbo2" }).values)).toBe("turbo2×48");
    expect(resolve({ mode: null, typeV: "turbo2", layers: 7 }).mode).toBe(0);
    expect(resolve({ mode: null, typeV: "turbo3" }).mode).toBe(0);
  });

  test("modes 1 and 2 test the key type, modes 5 to 7 the value type", () => {
    for (const mode of [1, 2])
      expect(runs(resolve({ mode, typeK: "q8_0", typeV: "turbo3" }).values)).toBe("turbo3×48");
    for (const mode of [5, 6, 7])
      expect(runs(resolve({ mode, typeK: "turbo3", typeV: "q8_0" }).values)).toBe("q8_0×48");
    expect(runs(resolve({ mode: 1, typeK: "turbo3", typeV: "f16" }).values)).toBe("q8_0×4 f16×40 q8_0×4");
  });

  test("what is changed in silence is named: turbo2 in the middle although turbo4 was asked for", () => {
    expect(resolve({ mode: 7 }).changes.join("\n")).toMatch(/other 44 layers as turbo2, although turbo4/);
    expect(resolve({ mode: 6 }).changes.join("\n")).toMatch(/other 40 layers as turbo2/);
    expect(resolve({ mode: 0 }).changes).toEqual([]);
    expect(resolve({ mode: 3 }).changes).toEqual(["mode 3 does not exist in the engine: it does nothing"]);
  });
});

describe("auto-asymmetric", () => {
  test("from 6 query heads per KV head on (integer division), turbo keys of a symmetric pair become q8_0", () => {
    const key = (heads: number, kvHeads: number, more: Partial<LayerRequest> = {}) =>
      resolve({ heads, kvHeads, typeK: "turbo3", typeV: "turbo3", ...more }).typeK;
    expect(key(28, 4)).toBe("q8_0"); // Qwen2.5-7B, 7:1
    expect(key(48, 8)).toBe("q8_0");
    expect(key(47, 8)).toBe("turbo3"); // 5.875 divides to 5
    expect(key(28, 4, { autoAsymmetric: false })).toBe("turbo3");
    expect(key(28, 4, { typeK: "turbo4" })).toBe("turbo4"); // an asymmetric pair is left alone
    expect(key(28, 4, { typeK: "f16", typeV: "f16" })).toBe("f16");
    expect(resolve({ heads: 28, kvHeads: 4 }).changes[0]).toContain("(7:1)");
  });

  test("it runs before the modes, so 1 and 2 then do nothing, and this is said", () => {
    const layers = resolve({ heads: 28, kvHeads: 4, mode: 1 });
    expect([runs(layers.keys), runs(layers.values)]).toEqual(["q8_0×48", "turbo4×48"]);
    expect(layers.changes.join("\n")).toContain("the auto-asymmetric rule has made the keys q8_0");
  });

  test("unknown query heads: the rule is not guessed", () => {
    const layers = resolve({ heads: null });
    expect(layers.typeK).toBe("turbo4");
    expect(layers.changes.join()).toContain("unknown");
  });
});

test("bad arguments", () => {
  expect(() => resolve({ layers: 0 })).toThrow(RangeError);
  expect(() => resolve({ kvHeads: 1.5 })).toThrow(RangeError);
  expect(() => resolve({ typeK: "turbo5" as EngineType })).toThrow(/"typeK" expected one of/);
  expect(() => resolve({ heads: "8" as unknown as number })).toThrow(TypeError);
});
