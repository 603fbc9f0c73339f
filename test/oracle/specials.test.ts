/** Real engines that keep to their own bytes and still lose, and one that is broken: each is told with its cost. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { parseRecorded } from "../../src/oracle/recorded/parse.js";
import { judgeRecorded } from "../../src/oracle/recorded/recorded.js";
import type { Verdict } from "../../src/oracle/verdict.js";
import { verify } from "../../src/oracle/verify.js";

type Case = Record<string, number | string | Uint8Array>;

const load = (name: string): { cases: Case[] } =>
  parseRecorded(readFileSync(new URL(`../../fixtures/native/${name}.msgpack`, import.meta.url))) as {
    cases: Case[];
  };
const floats = (bytes: unknown): Float32Array =>
  new Float32Array(Uint8Array.from(bytes as Uint8Array).buffer);
const reported = (v: Verdict): string[] => v.checks.filter((c) => c.status === "fail").map((c) => c.id);
const cost = (v: Verdict): number =>
  Number(/([\d.]+) times/.exec(String(v.checks.find((c) => c.id.startsWith("codebook"))?.value))?.[1]);

it("the llama fork's turbo4 conforms, and its table costs twice the distortion", () => {
  for (const one of load("turbo4").cases.filter((c) => c.padded_head_dim === 128)) {
    const v = verify({
      format: "llama/turbo4",
      dim: 128,
      input: floats(one.input),
      packed: one.packed as Uint8Array,
    });
    expect(v.verdict, String(one.name)).toBe("exact");
    expect(reported(v)).toEqual(["codebook-unconverged", "1a-codebook"]);
    expect(cost(v)).toBeGreaterThan(1.9);
    expect(cost(v)).toBeLessThan(2.3);
  }
});

describe("the legacy head variant is broken", () => {
  const ordinary = load("turbo4_legacy_head").cases.filter(
    (c) => c.padded_head_dim === 128 && !c.nonfinite_or_overflow && /gauss_d|student/.test(String(c.name)),
  );
  const named = (options: Partial<Parameters<typeof verify>[0]>, one: Case): readonly string[] => {
    const v = verify({ format: "llama/turbo4-qjl", dim: 128, input: floats(one.input), ...options });
    return [v.verdict, v.faults[0]!.id, v.faults[0]!.evidence];
  };

  it("has such cases", () => expect(ordinary.length).toBeGreaterThan(0));

  it("from its bytes, its values, or its bytes taken for the format of today", () => {
    for (const one of ordinary) {
      const packed = one.packed as Uint8Array;
      const broken = expect.stringContaining("TURBO4_USE_4BIT = 0");
      expect(named({ packed }, one)).toEqual(["faulty", "rotation-dense-vs-wht", broken]);
      expect(named({ decoded: floats(one.dequant) }, one)).toEqual([
        "faulty",
        "rotation-dense-vs-wht",
        broken,
      ]);
      expect(named({ format: "llama/turbo4", packed }, one)).toEqual([
        "faulty",
        "pack-legacy-layout+rotation-dense-vs-wht",
        broken,
      ]);
    }
  });

  it("and the recording says so", () => {
    const { findings } = judgeRecorded(load("turbo4_legacy_head"));
    expect(findings).toHaveLength(1);
    expect(findings![0]!.evidence).toMatch(/^broken: .*cosine with the inputs 0\.0/);
  });
});

it.each([
  [64, 2, 2.3],
  [256, 1.3, 1.5],
])("ONNX Runtime's q4 conforms at %i, and its table is of another variance", (dim, least, most) => {
  for (const one of load("onnxruntime_q4").cases.filter((c) => c.head_dim === dim)) {
    const [tokens, heads] = [one.tokens as number, one.kv_heads as number];
    const key = floats(one.key);
    const input = new Float32Array(key.length); // the cache is (heads, tokens)
    for (let t = 0; t < tokens; t++)
      for (let h = 0; h < heads; h++)
        input.set(key.subarray((t * heads + h) * dim, (t * heads + h + 1) * dim), (h * tokens + t) * dim);
    const v = verify({ format: "onnxruntime/q4", dim, input, packed: one.present_key as Uint8Array });
    expect(["exact", "tolerated"]).toContain(v.verdict);
    expect(reported(v)).toEqual(["codebook-sigma", "1a-codebook"]);
    expect(cost(v)).toBeGreaterThan(least);
    expect(cost(v)).toBeLessThan(most);
  }
  const ids = judgeRecorded(load("onnxruntime_q4")).findings!.map((f) => `${f.id} ${f.evidence}`);
  expect(ids.some((text) => text.startsWith(`codebook-sigma heads of ${dim}: D = `))).toBe(true);
});
