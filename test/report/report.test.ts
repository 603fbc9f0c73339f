/**
 * The report's figures against a second computation, written straight from their definitions in f64 with no code of
 * src/report, on a synthetic recording and on a part of the shipped one.
 */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { readSafetensors, tensorToF32, writeSafetensors } from "../../src/files/safetensors.js";
import { createCodec, randomStream } from "../../src/index.js";
import { parseConfiguration } from "../../src/report/configuration.js";
import { memoryOf } from "../../src/report/memory.js";
import { measureQuality, prepareRecording, type Quality } from "../../src/report/quality.js";
import { readRecording } from "../../src/report/recording.js";
import { turboquant } from "../cli/run.js";

const SHIPPED = new URL("../../fixtures/recordings/smollm2-hound-kv.safetensors", import.meta.url).pathname;
const dir = mkdtempSync(join(tmpdir(), "turboquant-report-"));
const path = join(dir, "synthetic.safetensors");
const shape = { dim: 64, kvHeads: 2, heads: 6, tokens: 40, queries: 7, layers: [2, 5] };

beforeAll(async () => {
  const stream = randomStream(9, "data");
  const { dim, kvHeads, heads, tokens, queries, layers } = shape;
  const make = (h: number, n: number, offset: number) => ({
    dtype: "F32" as const,
    shape: [h, n, dim],
    data: Float32Array.from({ length: h * n * dim }, (_, i) => stream.normal() + offset * Math.sin(i % dim)),
  });
  const tensors = new Map(
    layers.flatMap((l) => [
      [`layers.${l}.key`, make(kvHeads, tokens, 2)] as const,
      [`layers.${l}.value`, make(kvHeads, tokens, 0.1)] as const,
      [`layers.${l}.query`, make(heads, queries, 0)] as const,
    ]),
  );
  await writeSafetensors(path, { metadata: { model: "synthetic" }, tensors });
});

type Numbers = number[];
const rows = (x: Float32Array, h: number, n: number, dim: number): Numbers[] =>
  Array.from({ length: n }, (_, i) => Array.from(x.subarray((h * n + i) * dim, (h * n + i + 1) * dim)));
const dot = (a: Numbers, b: Numbers): number => a.reduce((s, v, i) => s + v * b[i]!, 0);
const average = (x: Numbers): number => x.reduce((a, b) => a + b, 0) / x.length;
const softmax = (l: Numbers): Numbers => {
  const e = l.map((v) => Math.exp(v - Math.max(...l)));
  const sum = e.reduce((a, b) => a + b, 0);
  return e.map((v) => v / sum);
};

/** Everything again, from the definitions. */
async function recompute(
  file: string,
  key: string,
  value: string,
  center: boolean,
  seeds: number[],
): Promise<Omit<Quality, "byHead">> {
  const { tensors } = await readSafetensors(file);
  let [ke, kk, ve, vv, le, ll, kl, cos, n] = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  const slopes: number[] = [];
  for (const name of [...tensors.keys()].filter((t) => t.endsWith(".key"))) {
    const K = tensors.get(name)!;
    const Q = tensors.get(name.replace("key", "query"))!;
    const [G, T, d] = K.shape as [number, number, number];
    const [H, N] = Q.shape as [number, number, number];
    for (let g = 0; g < G; g++) {
      const k = rows(tensorToF32(K), g, T, d);
      const v = rows(tensorToF32(tensors.get(name.replace("key", "value"))!), g, T, d);
      const m = k[0]!.map((_, j) => average(k.map((row) => row[j]!)));
      const flat = (x: Numbers[]): Float32Array => Float32Array.from(x.flat());
      const through = (
        format: string,
        x: Numbers[],
        side: "key" | "value",
        seed: number,
        c?: Numbers,
      ): Numbers[] => {
        const codec = createCodec(format, {
          dim: d,
          seed,
          side,
          ...(c ? { center: Float32Array.from(c) } : {}),
        });
        return rows(codec.decode(codec.encode(flat(x))), 0, T, d);
      };
      seeds.forEach((seed, round) => {
        const kc = through(key, k, "key", seed, center ? m : undefined);
        let cross = 0;
        let square = 0;
        for (let h = 0; h < H; h++) {
          if (Math.floor((h * G) / H) !== g) continue;
          rows(tensorToF32(Q), h, N, d).forEach((q, t) => {
            for (let i = 0; i <= T - N + t; i++) {
              const exact = dot(q, k[i]!) - dot(q, m);
              cross += exact * (dot(q, kc[i]!) - dot(q, m));
              square += exact * exact;
            }
          });
        }
        slopes.push(cross / square - 1);
        if (round > 0) return;
        const vc = through(value, v, "value", seed);
        k.forEach((row, i) => {
          row.forEach((x, j) => {
            ke += (x - kc[i]![j]!) ** 2;
            kk += (x - m[j]!) ** 2;
            ve += (v[i]![j]! - vc[i]![j]!) ** 2;
            vv += v[i]![j]! ** 2;
          });
        });
        for (let h = 0; h < H; h++) {
          if (Math.floor((h * G) / H) !== g) continue;
          rows(tensorToF32(Q), h, N, d).forEach((q, t) => {
            const seen = T - N + t + 1;
            const l = k.slice(0, seen).map((row) => dot(q, row) / Math.sqrt(d));
            const c = kc.slice(0, seen).map((row) => dot(q, row) / Math.sqrt(d));
            const e = c.map((x, i) => x - l[i]!);
            le += e.reduce((s, x) => s + (x - average(e)) ** 2, 0);
            ll += l.reduce((s, x) => s + (x - average(l)) ** 2, 0);
            const p = softmax(l);
            const r = softmax(c);
            kl += p.reduce((s, x, i) => s + x * Math.log(x / r[i]!), 0);
            const out = m.map((_, j) => p.reduce((s, x, i) => s + x * v[i]![j]!, 0));
            const coded = m.map((_, j) => r.reduce((s, x, i) => s + x * vc[i]![j]!, 0));
            cos += dot(out, coded) / Math.sqrt(dot(out, out) * dot(coded, coded));
            n++;
          });
        }
      });
    }
  }
  const bias = average(slopes);
  const spread = slopes.reduce((s, x) => s + (x - bias) ** 2, 0) / (slopes.length - 1);
  return {
    keyDistortion: ke / kk,
    valueDistortion: ve / vv,
    logitError: Math.sqrt(le / ll),
    softmaxKl: kl / n,
    outputCosine: cos / n,
    bias,
    biasSe: Math.sqrt(spread / slopes.length),
  };
}

function expectEqual(got: Quality, want: Omit<Quality, "byHead">): void {
  for (const name of Object.keys(want) as (keyof typeof want)[])
    expect(Math.abs(got[name] - want[name]), name).toBeLessThanOrEqual(1e-9 + 1e-7 * Math.abs(want[name]));
}

describe("quality", () => {
  test.each(["turbo3", "turbo4+mean", "turbo2+qjl/turbo2", "ggml/q8_0/turbo2"])(
    "%s on a synthetic recording",
    async (text) => {
      const c = parseConfiguration(text);
      const seeds = c.key.startsWith("turbo") ? [0, 1, 2] : [0];
      const got = measureQuality(prepareRecording(await readRecording(path)), c, [0, 1, 2]);
      expectEqual(got, await recompute(path, c.key, c.value, c.center, seeds));
    },
  );
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
