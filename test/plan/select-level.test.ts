/**
 * Levels, KV estimate and selection: what the old planner was tested for, by behaviour, and the examples of the
 * specification. SUPERSEDED, see docs/planning.md: nominal bits no longer decide; turbo2's mode 3 is 7.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { registryBytes } from "../../src/plan/engine-bytes.js";
import { givenHardware, type Hardware, memoryPool } from "../../src/plan/hardware.js";
import { GIB } from "../../src/plan/kv-bytes.js";
import { LEVELS, type LevelName } from "../../src/plan/levels.js";
import { DEFAULT_GEOMETRY, uniformShape } from "../../src/plan/model-shape.js";
import { contextTable, type Plan, planLevel } from "../../src/plan/select-level.js";

const K = 1024;
const model = (gb: number, more = {}) =>
  uniformShape({ ...DEFAULT_GEOMETRY, heads: 32, weightBytes: gb * GIB, ...more });
/** total / available GB, and VRAM where the old tests gave one. */
const machine = (
  total: number,
  available: number,
  gpu: number | null,
  chip: string | null = null,
): Hardware => ({
  ...givenHardware(total * GIB, chip),
  platform: "linux",
  method: "systeminformation",
  availableBytes: available * GIB,
  gpus: gpu === null ? [] : [{ vendor: "nvidia", name: "GPU", totalBytes: gpu * GIB, freeBytes: gpu * GIB }],
});
const plan = (hardware: Hardware, gb: number, context: number, prefer?: LevelName): Plan =>
  planLevel({ model: model(gb), context, hardware, ...(prefer ? { prefer } : {}) });

describe("levels", () => {
  test("turbo4, turbo3, turbo2, and q4_0 last; every field filled", () => {
    expect(LEVELS.map((level) => level.name)).toEqual(["turbo4", "turbo3", "turbo2", "q4_0"]);
    for (const level of LEVELS) {
      expect(level.bitsPerChannel).toBeGreaterThan(0);
      expect(level.compressionRatio).toBeGreaterThan(1);
      expect(level.quality).not.toBe("");
      expect(level.layerMode).toBeGreaterThanOrEqual(0);
      expect(level.kvType).toBe(level.name);
    }
    expect(LEVELS.map((level) => level.layerMode)).toEqual([7, 5, 7, 0]);
    expect(LEVELS.map((level) => level.headroomGb)).toEqual([4, 3, 2, 1.5]);
    expect(LEVELS.map((level) => level.nominalBits)).toEqual([3.5, 2.5, 1.5, 4.5]);
  });

  test("bits per channel are the formats' own at 128", () => {
    for (const level of LEVELS) {
      const format = level.fallback ? `ggml/${level.kvType}` : `llama/${level.kvType}`;
      expect(level.bitsPerChannel).toBe((registryBytes(format, 128, "key") * 8) / 128);
    }
  });

  test("turbo2's mode 3, which no engine has, is replaced and this is said", () => {
    const { env, notes } = plan(machine(64, 48, 64), 14, 32 * K, "turbo2");
    expect(env.TURBO_LAYER_ADAPTIVE).toBe("7");
    expect(notes.join("\n")).toContain("mode 3");
  });
});

describe("selection: the specification's examples and the old tests", () => {
  test("64 GB, 14 GB model, 32K: turbo4 with positive headroom", () => {
    const { chosen, warnings } = plan(machine(64, 48, 64), 14, 32 * K);
    expect(chosen.level.name).toBe("turbo4");
    expect(chosen.headroomBytes).toBeGreaterThan(4 * GIB);
    expect(warnings).toEqual([]);
  });

  test("16 GB, 14 GB model, 128K: at most 4 bits", () => {
    const { chosen } = plan(machine(16, 12, 16), 14, 128 * K);
    expect(chosen.level.bitsPerChannel).toBeLessThanOrEqual(4);
    expect(chosen.bitsPerValue).toBeLessThanOrEqual(4);
  });

  test("a preferred level is taken, also where it does not fit", () => {
    expect(plan(machine(64, 48, null), 14, 32 * K, "turbo2").chosen.level.name).toBe("turbo2");
    const forced = plan(machine(8, 6, 8), 16, 128 * K, "turbo4");
    expect(forced.chosen.level.name).toBe("turbo4");
    expect(forced.warnings.join()).toContain("OVERCOMMITTED");
  });

  test("environment and server flags", () => {
    const { env, serverFlags } = plan(machine(64, 48, null), 14, 32 * K);
    expect(env).toEqual({ TURBO_LAYER_ADAPTIVE: "7" });
    expect(serverFlags).toEqual(["-ctk", "turbo4", "-ctv", "turbo4", "-c", "32768"]);
  });

  test("18 GB, 16 GB model, 64K: at least one warning", () => {
    expect(plan(machine(18, 14, 18), 16, 64 * K).warnings.length).toBeGreaterThan(0);
  });

  test("8 GB, 16 GB model, 128K: turbo2 with a warning, not the fallback", () => {
    const { chosen, warnings } = plan(machine(8, 6, 8), 16, 128 * K);
    expect(chosen.level.name).toBe("turbo2");
    expect(warnings.join("\n")).toMatch(/OVERCOMMITTED/);
    expect(warnings.join("\n")).toMatch(/no level fits/);
  });

  test("32 GB Apple M4 Max, 14 GB model, 32K: turbo4, and the reason names chip, memory and level", () => {
    const { chosen, reason, pool } = plan(machine(32, 24, null, "Apple M4 Max"), 14, 32 * K);
    expect(chosen.level.name).toBe("turbo4");
    expect(reason).toContain("turbo4");
    expect(reason).toContain("Apple M4 Max");
    expect(reason).toContain("32.0 GB");
    expect(reason.match(/\. |\.$/g)).toHaveLength(1); // one sentence
    expect(pool.usableBytes).toBe(27 * GIB);
  });

  test("the fallback is chosen only where its smaller headroom suffices and turbo's does not", () => {
    // tiny cache: turbo2 would leave 1.9 GB, q4_0 1.8 GB
    const tiny = uniformShape({ layers: 4, kvHeads: 1, headDim: 128, heads: 4, weightBytes: 14 * GIB });
    const hardware = givenHardware(15.95 * GIB);
    expect(planLevel({ model: tiny, context: 8 * K, hardware }).chosen.level.name).toBe("q4_0");
  });

  test("where nothing fits, the fallback is named but never taken for the level that compresses most", () => {
    // heads of 64 are padded to 128: turbo2 takes 4.53 bits a value here, q4_0 4.5
    const small = uniformShape({ layers: 30, kvHeads: 3, heads: 9, headDim: 64, weightBytes: 2 * GIB });
    const { chosen, warnings } = planLevel({ model: small, context: 128 * K, hardware: givenHardware(GIB) });
    expect(chosen.level.name).toBe("turbo2");
    expect(warnings.join()).toContain("q4_0 would take less");
  });

  test("an asymmetric model (7:1): the levels count its q8_0 keys", () => {
    const qwen = uniformShape({ layers: 28, kvHeads: 4, heads: 28, headDim: 128, weightBytes: 5 * GIB });
    const { chosen, notes } = planLevel({ model: qwen, context: 32 * K, hardware: givenHardware(24 * GIB) });
    expect(chosen.layers.typeK).toBe("q8_0");
    expect(chosen.bitsPerValue).toBeCloseTo((8.5 + (4 * 8.5 + 24 * 2.125) / 28) / 2, 12);
    expect(notes.join("\n")).toContain("7:1");
  });
});

describe("headroom and its inverse", () => {
  test("longest context: exactly the last multiple of 256 that leaves the headroom", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 64 }), (memory, weights) => {
        const hardware = givenHardware(memory * GIB);
        for (const { level, longestContext } of plan(hardware, weights, 4096).levels) {
          const at = (context: number) =>
            plan(hardware, weights, context).levels.find((entry) => entry.level === level)!;
          if (longestContext > 0) expect(at(longestContext).fits).toBe(true);
          expect(at(longestContext + 256).fits).toBe(false);
        }
      }),
      { seed: 9, numRuns: 60 },
    );
  });

  test("less memory, a larger model or more context never improve the level", () => {
    const rank = (memory: number, weights: number, context: number) => {
      const { chosen } = plan(givenHardware(memory * GIB), weights, context);
      return chosen.fits ? LEVELS.indexOf(chosen.level) : LEVELS.length;
    };
    fc.assert(
      fc.property(
        fc.double({ min: 2, max: 96, noNaN: true }),
        fc.double({ min: 0.5, max: 48, noNaN: true }),
        fc.integer({ min: 1, max: 200_000 }),
        (memory, weights, context) => {
          const here = rank(memory, weights, context);
          expect(rank(memory - 1, weights, context)).toBeGreaterThanOrEqual(here);
          expect(rank(memory, weights + 1, context)).toBeGreaterThanOrEqual(here);
          expect(rank(memory, weights, context * 2)).toBeGreaterThanOrEqual(here);
        },
      ),
      { seed: 9, numRuns: 200 },
    );
  });

  test("warnings at their edges: below 2 GB, below 0", () => {
    const at = (memory: number) => {
      const { chosen, warnings } = plan(givenHardware(memory * GIB), 14, 32 * K, "turbo4");
      return { headroom: chosen.headroomBytes / GIB, text: warnings.join("\n") };
    };
    const cache = plan(givenHardware(64 * GIB), 14, 32 * K, "turbo4").chosen.kvBytes / GIB;
    expect(at(14 + cache - 0.01).text).toContain("OVERCOMMITTED");
    expect(at(14 + cache + 0.01).text).toContain("below 2 GB");
    expect(at(14 + cache + 1.99).text).toContain("below 2 GB");
    expect(at(14 + cache + 2.01).text).toContain("wants 4 GB");
    expect(at(14 + cache + 4.01).text).toBe("");
  });

  test("table of levels and contexts agrees with single plans", () => {
    const hardware = givenHardware(32 * GIB);
    const rows = contextTable({ model: model(14), hardware }, [32 * K, 64 * K, 128 * K]);
    expect(rows.map((row) => row.context)).toEqual([32 * K, 64 * K, 128 * K]);
    for (const row of rows) {
      const single = plan(hardware, 14, row.context);
      expect(row.choice).toBe(single.chosen.level.name);
      expect(row.levels.map((l) => l.kvBytes)).toEqual(single.levels.map((l) => l.kvBytes));
    }
  });

  test("nominal figures are reported, and do not choose: real types take 21, 25 and 42 % more", () => {
    const more = LEVELS.filter((entry) => !entry.fallback).map((l) => l.bitsPerChannel / l.nominalBits - 1);
    expect(more.map((share) => Math.round(100 * share))).toEqual([21, 25, 42]);
    // turbo2 at the edge: its nominal 1.5 bits would fit, its real bytes do not
    const cache = plan(givenHardware(64 * GIB), 14, 32 * K).levels[2]!;
    const hardware = givenHardware(14 * GIB + cache.nominalKvBytes + 2 * GIB);
    const { levels } = plan(hardware, 14, 32 * K);
    expect(levels[2]!.fits).toBe(false);
  });
});

describe("memory pools", () => {
  test("NVIDIA: free memory; forced to the processor: system memory", () => {
    const hardware = {
      ...machine(64, 48, null),
      gpus: [{ vendor: "nvidia" as const, name: "RTX 4090", totalBytes: 24 * GIB, freeBytes: 20 * GIB }],
    };
    const gpu = memoryPool(hardware);
    expect([gpu.kind, gpu.totalBytes, gpu.usableBytes]).toEqual(["nvidia", 24 * GIB, 20 * GIB]);
    const cpu = memoryPool(hardware, { forceCpu: true });
    expect([cpu.kind, cpu.usableBytes]).toEqual(["system", 48 * GIB]);
  });
  test("several cards are added up", () => {
    const card = { vendor: "nvidia" as const, name: "A", totalBytes: 24 * GIB, freeBytes: 23 * GIB };
    expect(memoryPool({ ...machine(64, 48, null), gpus: [card, card] }).usableBytes).toBe(46 * GIB);
  });
  test("a Mac keeps 5 GB", () => {
    expect(memoryPool(givenHardware(18 * GIB, "Apple M3 Pro")).usableBytes).toBe(13 * GIB);
    expect(memoryPool(givenHardware(4 * GIB, "Apple M1")).usableBytes).toBe(0);
    expect(memoryPool(givenHardware(18 * GIB)).usableBytes).toBe(18 * GIB);
  });
});

test("limits besides the pool: trained context, what a Mac has free at this moment", () => {
  const trained = planLevel({
    model: model(4, { trainedContext: 8192 }),
    context: 16_384,
    hardware: givenHardware(64 * GIB),
  });
  expect(trained.warnings.join()).toContain("trained for 8192 tokens, 16384 are asked for");
  expect(trained.notes.join()).toContain("longer contexts fit than the 8192 tokens");
  const busy = { ...givenHardware(64 * GIB, "Apple M4 Max"), availableBytes: 6 * GIB };
  expect(plan(busy, 14, 32 * K).notes.join()).toContain("only 6.0 GB are available");
  expect(plan({ ...busy, availableBytes: 40 * GIB }, 14, 32 * K).notes.join()).not.toContain("available");
});

test("bad requests", () => {
  const hardware = givenHardware(8 * GIB);
  const bare = uniformShape({ ...DEFAULT_GEOMETRY });
  expect(() => planLevel({ model: bare, context: 4096, hardware })).toThrow(/weights/);
  expect(() => plan(hardware, 4, 0)).toThrow(RangeError);
  expect(() => plan(hardware, 4, 4096, "turbo9" as LevelName)).toThrow(RangeError);
});
