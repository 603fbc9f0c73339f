/** Engine profiles, profiles by measured sensitivity, server commands and agent profiles. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { FormatError } from "../../src/core/format-error.js";
import { engineProfile } from "../../src/plan/engine-profile.js";
import { givenHardware } from "../../src/plan/hardware.js";
import { GIB } from "../../src/plan/kv-bytes.js";
import type { EngineType } from "../../src/plan/layer-types.js";
import { uniformShape } from "../../src/plan/model-shape.js";
import { planLevel } from "../../src/plan/select-level.js";
import { type Option, parseSensitivity, profileWithinBudget } from "../../src/plan/sensitivity.js";
import {
  agentProfile,
  agentProfileYaml,
  parseAgentProfile,
  serverCommand,
} from "../../src/plan/server-config.js";

describe("engine profile", () => {
  const profile = (typeK: EngineType, typeV: EngineType, more = {}) =>
    engineProfile({ mode: 0, typeK, typeV, layers: 32, heads: 32, kvHeads: 8, ...more });

  test("environment and flags", () => {
    expect(profile("turbo4", "turbo4", { mode: 7, autoAsymmetric: false })).toMatchObject({
      env: { TURBO_LAYER_ADAPTIVE: "7", TURBO_AUTO_ASYMMETRIC: "0" },
      serverFlags: ["-ctk", "turbo4", "-ctv", "turbo4", "-fa", "on"],
    });
    expect(profile("f16", "f16", { mode: null })).toMatchObject({
      env: {},
      serverFlags: ["-ctk", "f16", "-ctv", "f16"],
    });
  });

  test.each([
    ["turbo4", "turbo4", "turboquant_4bit_nc"],
    ["turbo3", "turbo4", "turboquant_k3v4_nc"],
    ["turbo3", "turbo3", "turboquant_3bit_nc"],
    ["q8_0", "turbo4", "turboquant_k8v4"],
    ["f16", "f16", "auto"],
    ["turbo2", "turbo2", null],
    ["q8_0", "turbo3", null],
  ] as const)("vLLM for %s/%s: %s", (k, v, dtype) => expect(profile(k, v).vllm.dtype).toBe(dtype));

  test("vLLM: none where layers differ or the head size is no power of two", () => {
    expect(profile("turbo4", "turbo4", { mode: 7 }).vllm.dtype).toBeNull();
    expect(profile("turbo4", "turbo4", { headDim: 96 }).vllm).toMatchObject({ dtype: null });
  });

  test("kernels that a backend does not have", () => {
    const notes = (k: EngineType, v: EngineType, backend: string, more = {}) =>
      profile(k, v, { backend, ...more }).backendNotes.join("\n");
    expect(notes("turbo4", "f16", "cuda")).toContain("abort");
    expect(notes("f16", "turbo4", "cuda")).toBe("");
    expect(notes("f16", "turbo4", "metal")).toContain("Metal has no attention kernel");
    expect(notes("q8_0", "turbo4", "metal")).toBe("");
    expect(notes("turbo3", "turbo3", "vulkan")).toBe("");
    expect(notes("turbo4", "turbo4", "vulkan")).toContain("CPU");
    expect(notes("turbo4", "turbo4", "metal", { headDim: 320 })).toContain("384");
    expect(notes("turbo4", "f16", "cpu")).toBe("");
  });
});

describe("profile within a KL budget", () => {
  const bytes: Record<string, number> = { f16: 512, q8_0: 272, turbo4: 136, turbo2: 68 };
  const size = (_: number, { k }: Option): number => bytes[k]!;
  const options = (...kls: number[]): Option[] =>
    Object.keys(bytes).map((k, i) => ({ k, v: k, kl: kls[i]! }));

  test("sensitive layers get the better type", () => {
    const layers = [
      options(0, 0.001, 0.1, 1),
      options(0, 0.0001, 0.001, 0.01),
      options(0, 0.001, 0.002, 0.003),
    ];
    const { layers: chosen, bytes: total, kl } = profileWithinBudget(layers, 0.015, size);
    expect(chosen.map((option) => option.k)).toEqual(["q8_0", "turbo2", "turbo2"]);
    expect([total, kl]).toEqual([272 + 68 + 68, 0.001 + 0.01 + 0.003]);
  });

  test("equals the best of all combinations", () => {
    const layer = fc
      .tuple(...Array.from({ length: 4 }, () => fc.integer({ min: -2, max: 100 })))
      .map((kls) => options(...kls));
    fc.assert(
      fc.property(
        fc.array(layer, { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 0, max: 400 }),
        (layers, budget) => {
          let best = Number.POSITIVE_INFINITY;
          for (let code = 0; code < 4 ** layers.length; code++) {
            const picked = layers.map((entry, il) => entry[Math.floor(code / 4 ** il) % 4]!);
            const kl = picked.reduce((sum, option) => sum + option.kl, 0);
            if (kl <= budget)
              best = Math.min(
                best,
                picked.reduce((sum, option) => sum + size(0, option), 0),
              );
          }
          if (best === Number.POSITIVE_INFINITY) {
            expect(() => profileWithinBudget(layers, budget, size)).toThrow(RangeError);
            return;
          }
          const found = profileWithinBudget(layers, budget, size);
          expect(found.bytes).toBe(best);
          expect(found.kl).toBeLessThanOrEqual(budget);
          expect(found.layers).toHaveLength(layers.length);
          expect(found.layers.reduce((sum, option) => sum + size(0, option), 0)).toBe(best);
        },
      ),
      { seed: 9, numRuns: 300 },
    );
  });

  test("80 layers with 9 options each take no time", () => {
    const layers = Array.from({ length: 80 }, (_, il) =>
      Array.from({ length: 9 }, (_, i) => ({ k: "x", v: "x", kl: Math.exp(-i) * (1 + (il % 7)) * 1e-3 })),
    );
    const start = performance.now();
    profileWithinBudget(layers, 0.05, (_, option) => Math.round(-Math.log(option.kl) * 8) * 16);
    expect(performance.now() - start).toBeLessThan(10_000);
  });

  test("files", () => {
    const entry = (layer: number) => ({ layer, options: [{ k: "q8_0", v: "turbo3", kl: 0.01 }] });
    expect(parseSensitivity({ layers: [entry(1), entry(0)] })).toHaveLength(2);
    for (const bad of [
      null,
      {},
      { layers: [] },
      { layers: [entry(1)] },
      { layers: [{ layer: 0, options: [] }] },
    ])
      expect(() => parseSensitivity(bad)).toThrow(FormatError);
    expect(() => parseSensitivity({ layers: [entry(0), entry(0)] })).toThrow(/layers are 0..1/);
  });
});

describe("agent profile", () => {
  const model = uniformShape({
    name: "qwen",
    layers: 48,
    kvHeads: 8,
    heads: 32,
    headDim: 128,
    weightBytes: 14 * GIB,
  });
  const plan = (context: number, memory = 64) =>
    planLevel({ model, context, hardware: givenHardware(memory * GIB) });

  test("the YAML holds what the old tests ask of it", () => {
    const text = agentProfileYaml(
      agentProfile(plan(32_768), { modelPath: "/models/it's a model.gguf" }),
      plan(32_768),
    );
    const { primary } = parse(text).providers;
    expect(primary.endpoint).toMatch(/^http/);
    expect(primary.api_path).toContain("/chat/completions");
    expect(primary.turboquant).toEqual({ enabled: true, kv_type: "turbo4", layer_mode: 7 });
    expect(["turbo2", "turbo3", "turbo4"]).toContain(primary.turboquant.kv_type);
    expect(primary.context.max_tokens).toBeGreaterThanOrEqual(8192);
    expect(primary.server.command).toMatch(/ -ctk turbo4 -ctv turbo4 -c 32768 /);
    expect(primary.server.command).toContain(`'/models/it'\\''s a model.gguf'`);
    expect(primary.server.env).toEqual({ TURBO_LAYER_ADAPTIVE: "7" });
    expect(text.startsWith("# given memory")).toBe(true);
  });

  test("reads back what it wrote", () => {
    const profile = agentProfile(plan(65_536), {
      modelPath: "m.gguf",
      host: "::1",
      port: 9000,
      alias: "a: b",
    });
    expect(profile.providers.primary.endpoint).toBe("http://[::1]:9000");
    expect(parseAgentProfile(agentProfileYaml(profile, plan(65_536)))).toEqual(profile);
  });

  test("a context that no agent can use is refused", () => {
    expect(() => agentProfile(plan(4096), { modelPath: "m" })).toThrow(/8192 or more/);
  });

  test("the command for a shell has the environment in front", () => {
    expect(serverCommand(plan(32_768), { modelPath: "m.gguf" })).toBe(
      "TURBO_LAYER_ADAPTIVE=7 llama-server -m m.gguf -ctk turbo4 -ctv turbo4 -c 32768 -fa on --jinja --host 127.0.0.1 --port 8080",
    );
  });

  test.each([
    ["", "not an agent profile"],
    ["a: [", "not YAML"],
    ["providers: {}", "providers.primary"],
    [(text: string) => text.replace("http://", "ftp://"), "providers.primary.endpoint"],
    [(text: string) => text.replace("/v1/chat/completions", "/v1/embeddings"), "api_path"],
    [(text: string) => text.replace("kv_type: turbo4", "kv_type: turbo9"), "kv_type"],
    [(text: string) => text.replace("max_tokens: 32768", "max_tokens: 4096"), "max_tokens"],
    [(text: string) => text.replace(" -ctv turbo4", ""), "-ctv"],
    [(text: string) => text.replace(" -c 32768", " -c many"), "-c NUMBER"],
    [(text: string) => text.replace("TURBO_LAYER_ADAPTIVE", "OTHER"), "TURBO_LAYER_ADAPTIVE"],
  ])("a broken profile is refused and the field named: %#", (broken, message) => {
    const text = agentProfileYaml(agentProfile(plan(32_768), { modelPath: "m.gguf" }), plan(32_768));
    const changed = typeof broken === "string" ? broken : broken(text);
    expect(() => parseAgentProfile(changed)).toThrow(FormatError);
    expect(() => parseAgentProfile(changed)).toThrow(message);
  });
});
