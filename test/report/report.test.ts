/**
 * The report's figures against a second computation, written straight from their definitions in f64 with no code of
 * src/report, on a synthetic recording and on a part of the shipped one.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { toF16Array } from "../../src/core/float.js";
import { readSafetensors, tensorToF32, writeSafetensors } from "../../src/files/safetensors.js";
import { randomStream } from "../../src/index.js";
import { parseConfiguration } from "../../src/report/configuration.js";
import { memoryOf } from "../../src/report/memory.js";
import { measureQuality, prepareRecording } from "../../src/report/quality.js";
import { readRecording } from "../../src/report/recording.js";
import { turboquant } from "../cli/run.js";
import { expectEqual, recompute } from "./recompute.js";

const SHIPPED = new URL("../../fixtures/recordings/smollm2-hound-kv.safetensors", import.meta.url).pathname;
const dir = mkdtempSync(join(tmpdir(), "turboquant-report-"));
const SHAPES = {
  grouped: { dim: 64, kvHeads: 2, heads: 6, tokens: 40, queries: 7, layers: [2, 5], dtype: "F32" },
  "one layer, a head a head": {
    dim: 128,
    kvHeads: 3,
    heads: 3,
    tokens: 33,
    queries: 33,
    layers: [0],
    dtype: "F32",
  },
  "halves, one query, blocks of 96": {
    dim: 96,
    kvHeads: 1,
    heads: 4,
    tokens: 130,
    queries: 1,
    layers: [3, 7, 11],
    dtype: "F16",
  },
  "eight query heads a head, 256": {
    dim: 256,
    kvHeads: 1,
    heads: 8,
    tokens: 12,
    queries: 4,
    layers: [1],
    dtype: "F32",
  },
} as const;
const fileOf = (name: string): string => join(dir, `${name}.safetensors`);
const path = fileOf("grouped");

beforeAll(async () => {
  for (const [name, shape] of Object.entries(SHAPES)) await record(fileOf(name), shape);
});

async function record(file: string, shape: (typeof SHAPES)[keyof typeof SHAPES]): Promise<void> {
  const stream = randomStream(9, "data");
  const { dim, kvHeads, heads, tokens, queries, layers, dtype } = shape;
  const make = (h: number, n: number, offset: number) => {
    const x = Float32Array.from(
      { length: h * n * dim },
      (_, i) => stream.normal() + offset * Math.sin(i % dim),
    );
    const size = [h, n, dim];
    return dtype === "F16" ? { dtype, shape: size, data: toF16Array(x) } : { dtype, shape: size, data: x };
  };
  const tensors = new Map(
    layers.flatMap((l) => [
      [`layers.${l}.key`, make(kvHeads, tokens, 2)] as const,
      [`layers.${l}.value`, make(kvHeads, tokens, 0.1)] as const,
      [`layers.${l}.query`, make(heads, queries, 0)] as const,
    ]),
  );
  await writeSafetensors(file, { metadata: { model: "synthetic" }, tensors });
}

describe("quality", () => {
  const configurations = ["turbo3", "turbo4+mean", "turbo2+qjl/turbo2", "ggml/q8_0/turbo2"];
  const cases = Object.keys(SHAPES).flatMap((shape) => configurations.map((text) => [text, shape] as const));
  test.each(cases)("%s, %s", async (text, shape) => {
    const c = parseConfiguration(text);
    const seeds = c.key.startsWith("turbo") ? [0, 1, 2] : [0];
    const got = measureQuality(prepareRecording(await readRecording(fileOf(shape))), c, [0, 1, 2]);
    expectEqual(got, await recompute(fileOf(shape), c.key, c.value, c.center, seeds));
  });
  test("turbo2+mean/… on one head of the shipped recording", async () => {
    const { tensors } = await readSafetensors(SHIPPED);
    const one = join(dir, "one.safetensors");
    const cut = (name: string, heads: number, tokens: number) => {
      const [, n, d] = tensors.get(name)!.shape as [number, number, number];
      const x = tensorToF32(tensors.get(name)!);
      const data = Float32Array.from({ length: heads * tokens * d }, (_, i) => {
        const [h, t, j] = [Math.floor(i / (tokens * d)), Math.floor(i / d) % tokens, i % d];
        return x[(h * n + t) * d + j]!;
      });
      return { dtype: "F32" as const, shape: [heads, tokens, d], data };
    };
    const parts = new Map([
      ["layers.13.key", cut("layers.13.key", 1, 200)],
      ["layers.13.value", cut("layers.13.value", 1, 200)],
      ["layers.13.query", cut("layers.13.query", 3, 5)],
    ]);
    await writeSafetensors(one, { metadata: {}, tensors: parts });
    const got = measureQuality(
      prepareRecording(await readRecording(one)),
      parseConfiguration("turbo2+mean"),
      [0, 1],
    );
    expectEqual(got, await recompute(one, "turbo2", "turbo2", true, [0, 1]));
  });
});

test("memory is the registry's arithmetic", () => {
  const memory = memoryOf(parseConfiguration("turbo4/turbo2"), {
    layers: 30,
    kvHeads: 3,
    dim: 64,
  });
  expect(memory.bytesPerToken).toBe(30 * 3 * (34 + 18));
  expect(memory.bitsPerValue).toBe(3.25);
  expect(memory.bytesAt32K).toBe(32768 * memory.bytesPerToken);
  expect(memory.savingAgainstF16).toBe(1 - (34 + 18) / 256);
  const centred = memoryOf(parseConfiguration("turbo4+mean"), { layers: 2, kvHeads: 1, dim: 128 });
  expect(centred.fixedBytes).toBe(2 * 512);
  expect(centred.bytesAt128K).toBe(131072 * 2 * 132 + 1024);
});

describe("turbo report", () => {
  test("--from --kv --json", () => {
    const ran = turboquant([
      "report",
      "--from",
      path,
      "--kv",
      "f16,turbo4,q8_0/turbo3,turbo3+mean",
      "--json",
    ]);
    expect(ran.status).toBe(0);
    const report = JSON.parse(ran.stdout.toString());
    expect(report.layers).toBe(2);
    expect(report.rows.map((r: { name: string }) => r.name)).toEqual([
      "f16",
      "turbo4",
      "q8_0/turbo3",
      "turbo3+mean",
    ]);
    expect(report.agreement).toMatchObject({ backend: "wasm-simd", differences: 0 });
    expect(report.native.mismatches).toBe(0);
    expect(report.native.cases).toBeGreaterThan(400);
    for (const row of report.rows)
      for (const value of Object.values(row))
        if (typeof value === "number") expect(Number.isFinite(value)).toBe(true);
  });
  test("a recording that is none, an unknown format, no layers: one line and the right code", () => {
    expect(turboquant(["report", "--from", join(dir, "absent")])).toMatchObject({ status: 1 });
    expect(turboquant(["report", "--from", new URL(import.meta.url).pathname]).status).toBe(1);
    expect(turboquant(["report", "--from", path, "--kv", "turbo9"]).status).toBe(2);
    expect(turboquant(["report", "--from", path, "--layers", "0"]).status).toBe(2);
  });
});
