import { describe, expect, test } from "vitest";
import { registryBytes } from "../../src/plan/engine-bytes.js";
import {
  bitsPerValue,
  bytesPerToken,
  kvBytes,
  layerCells,
  MIB,
  nominalKvBytes,
  uniformTypes,
} from "../../src/plan/kv-bytes.js";
import { formatsOf, resolveLayers } from "../../src/plan/layer-types.js";
import { compareCacheLine, parseCacheLines } from "../../src/plan/llama-log.js";
import { memoryRow, parseFormats } from "../../src/plan/memory-table.js";
import { CLASS_27B, uniformShape } from "../../src/plan/model-shape.js";

const mib = (model: typeof CLASS_27B, format: string, tokens: number): number =>
  kvBytes(model, uniformTypes(model.layers.length, format, format), tokens, registryBytes).total / MIB;

describe("27B-class figures", () => {
  test.each([
    [32_768, 5_120, 1_360],
    [65_536, 10_240, 2_720],
  ])("%i tokens: f16 %i MiB, turbo4 %i MiB, 73.4 % saved", (tokens, f16, turbo4) => {
    expect(mib(CLASS_27B, "ggml/f16", tokens)).toBe(f16);
    expect(mib(CLASS_27B, "llama/turbo4", tokens)).toBe(turbo4);
    const [row] = parseFormats("llama/turbo4").map((pair) => memoryRow(CLASS_27B, pair, [tokens]));
    expect(row!.contexts[0]!.saved).toBe(1 - 4.25 / 16);
    expect((100 * row!.contexts[0]!.saved).toFixed(1)).toBe("73.4");
  });

  test("only L · heads · dim matters: any geometry of 40,960 values a side gives the same bytes", () => {
    const wide = uniformShape({ layers: 20, kvHeads: 16, headDim: 128 });
    expect(mib(wide, "llama/turbo4", 65_536)).toBe(2_720);
  });
});

describe("real bits per value", () => {
  const bits = (format: string, headDim: number): number =>
    bitsPerValue(
      uniformShape({ layers: 2, kvHeads: 4, headDim }),
      uniformTypes(2, format, format),
      registryBytes,
    );

  test.each([
    ["llama/turbo4", 4.25],
    ["llama/turbo3", 3.125],
    ["llama/turbo2", 2.125],
    ["ggml/q8_0", 8.5],
    ["ggml/q4_0", 4.5],
    ["ggml/f16", 16],
    ["turbo4", 4.125],
    ["turbo3", 3.125],
    ["turbo2", 2.125],
  ])("%s at 128: %d", (format, expected) => expect(bits(format, 128)).toBe(expected));

  test("padded heads cost what they cost", () => {
    expect(bits("llama/turbo4", 64)).toBe(8.5);
    expect(bits("llama/turbo3", 64)).toBe(6.25);
    expect(bits("llama/turbo2", 64)).toBe(4.25);
    expect(bits("llama/turbo3", 96)).toBeCloseTo((3.125 * 4) / 3, 12);
    expect(bits("llama/turbo3", 192)).toBeCloseTo((3.125 * 4) / 3, 12);
    expect(bits("llama/turbo3", 576)).toBeCloseTo((3.125 * 640) / 576, 12);
  });

  test("ggml packs rows: a head of 8 values with four KV heads fills one block of 32", () => {
    expect(bits("ggml/q8_0", 8)).toBe(8.5);
    expect(() => bits("turbo4", 8)).toThrow(RangeError);
  });

  test("layer modes and asymmetric pairs are counted by layer", () => {
    const types = formatsOf(
      resolveLayers({ mode: 7, typeK: "turbo4", typeV: "turbo4", layers: 48, heads: 32, kvHeads: 8 }),
    );
    const model = uniformShape({ layers: 48, kvHeads: 8, headDim: 128 });
    const { keys, values } = bytesPerToken(model, types, registryBytes);
    expect(keys).toBe(48 * 8 * 68);
    expect(values).toBe(4 * 8 * 136 + 44 * 8 * 34);
    expect(bitsPerValue(model, types, registryBytes)).toBeCloseTo(
      (4.25 + (4 * 8.5 + 44 * 2.125) / 48) / 2,
      12,
    );
  });

  test("a sliding window keeps window + 512 cells, rounded up to 256, and never more than the context", () => {
    const layer = { kvHeads: 4, keyDim: 128, valueDim: 128, window: 2048 };
    expect(layerCells(layer, 131_072)).toBe(2560);
    expect(layerCells({ ...layer, window: 128 }, 8192)).toBe(768);
    expect(layerCells(layer, 1024)).toBe(1024);
  });

  test("the old estimate (32,768 tokens, 48 layers, 8 KV heads of 128, 3.5 bits): positive, below 10 GB, monotone", () => {
    const model = uniformShape({ layers: 48, kvHeads: 8, headDim: 128 });
    const estimate = nominalKvBytes(model, 32_768, 3.5);
    expect(estimate).toBe((2 * 48 * 8 * 128 * 32_768 * 3.5) / 8);
    expect(estimate).toBeLessThan(10e9);
    expect(nominalKvBytes(model, 65_536, 3.5)).toBe(2 * estimate);
    expect(nominalKvBytes(model, 32_768, 4.25)).toBeGreaterThan(estimate);
    // superseded: the real bytes of uniform turbo4 are 4.25 / 3.5 of it
    expect((mib(model, "llama/turbo4", 32_768) * MIB) / estimate).toBeCloseTo(4.25 / 3.5, 12);
  });
});

describe("formats as written", () => {
  const names = (list: string) => parseFormats(list).map(({ keys, values }) => [keys, values]);
  test("names, pairs, and names with a slash in pairs", () => {
    expect(names("q8_0")).toEqual([["ggml/q8_0", "ggml/q8_0"]]);
    expect(names("ggml/q8_0/llama/turbo3")).toEqual([["ggml/q8_0", "llama/turbo3"]]);
    expect(names("f16,realizar/q8")).toEqual([
      ["ggml/f16", "ggml/f16"],
      ["realizar/q8", "realizar/q8"],
    ]);
  });
  test("a plain turbo name brings llama-server's type of the same name along", () => {
    expect(names("turbo4")).toEqual([
      ["turbo4", "turbo4"],
      ["llama/turbo4", "llama/turbo4"],
    ]);
    expect(names("q8_0/turbo3")).toEqual([
      ["ggml/q8_0", "turbo3"],
      ["ggml/q8_0", "llama/turbo3"],
    ]);
  });
  test("a choice by name counts its sinks and means, as the cache of SmolLM2's shape does", () => {
    const [pair, ...more] = parseFormats("best3,best3");
    expect([pair!.keys, pair!.values, more.length]).toEqual(["trellis3x", "trellis3x", 0]);
    const row = memoryRow(uniformShape({ layers: 30, kvHeads: 3, headDim: 64 }), pair!, [8192]);
    // 4 tokens of f16, and a mean key in f32: 30 layers, 3 heads, 64 values.
    expect(row.fixedBytes).toBe(4 * 30 * 3 * 64 * 4 + 30 * 3 * 64 * 4);
    expect(row.contexts[0]!.bytes).toBe(8192 * 30 * 3 * 2 * 26 + row.fixedBytes);
  });
  test("unknown names", () => {
    expect(() => parseFormats("turbo9")).toThrow(RangeError);
    expect(() => parseFormats("")).toThrow(RangeError);
    expect(() => parseFormats("q8_0/nothing")).toThrow(/got "q8_0\/nothing"/);
  });
});

describe("llama-server logs", () => {
  const turbo4 = uniformTypes(40, "llama/turbo4", "llama/turbo4");

  test("the line of §5.1's model: measured = calculated", () => {
    const [line, ...more] = parseCacheLines(
      "llama_kv_cache: size = 2720.00 MiB ( 65536 cells, 40 layers, 1/1 seqs), K (turbo4): 1360.00 MiB, V (turbo4): 1360.00 MiB\n",
    );
    expect(more).toEqual([]);
    expect(line).toEqual({
      mib: 2720,
      cells: 65_536,
      layers: 40,
      streams: 1,
      typeK: "turbo4",
      typeV: "turbo4",
      keyMib: 1360,
      valueMib: 1360,
    });
    const comparison = compareCacheLine(line!, CLASS_27B, turbo4, registryBytes)!;
    expect(comparison.calculatedMib).toBe(2720);
    expect(comparison.difference).toBe(0);
    expect(comparison.within).toBe(true);
    const off = compareCacheLine({ ...line!, mib: 2720 * 1.16 }, CLASS_27B, turbo4, registryBytes)!;
    expect(off.within).toBe(false);
  });

  // Shapes as llama.cpp has printed them over time; the figures are of real models at real contexts.
  const windowed = {
    ...uniformShape({ layers: 52, kvHeads: 2, headDim: 128, heads: 16 }),
    layers: Array.from({ length: 52 }, (_, il) => ({
      kvHeads: 2,
      keyDim: 128,
      valueDim: 128,
      window: il % 4 < 3 ? 2048 : null,
    })),
  };
  const log = `0.48.540.324 I llama_kv_cache_iswa: creating non-SWA KV cache, size = 32768 cells
0.48.547.909 I llama_kv_cache:        CPU KV buffer size =   416.00 MiB
0.49.565.811 I llama_kv_cache: size =  416.00 MiB ( 32768 cells,  13 layers,  1/1 seqs), K (f16):  208.00 MiB, V (f16):  208.00 MiB
llama_kv_cache_iswa: creating     SWA KV cache, size =  2560 cells
llama_kv_cache: size =   97.50 MiB (  2560 cells,  39 layers,  1/1 seqs), K (f16):   48.75 MiB, V (f16):   48.75 MiB
`;
  test("a model with sliding windows has two caches, told apart by their layers", () => {
    const lines = parseCacheLines(log);
    expect(lines.map((line) => [line.cells, line.layers])).toEqual([
      [32_768, 13],
      [2_560, 39],
    ]);
    const f16 = uniformTypes(52, "ggml/f16", "ggml/f16");
    for (const line of lines)
      expect(compareCacheLine(line, windowed, f16, registryBytes)!.calculatedMib).toBe(line.mib);
    const total = kvBytes(windowed, f16, 32_768, registryBytes).total / MIB;
    expect(total).toBe(416 + 97.5); // and the prediction without a log is the same
  });

  test("older names, several streams, lines without sides, no value cache", () => {
    const lines = parseCacheLines(
      [
        "llama_kv_cache_unified: size = 3072.00 MiB (131072 cells,  12 layers,  1/1 seqs), K (f16): 1536.00 MiB, V (f16): 1536.00 MiB",
        "llama_kv_cache: size =  765.00 MiB (  4608 cells,  40 layers,  4/4 seqs)",
        "llama_kv_cache_unified: size =   36.00 MiB (  1024 cells,  12 layers,  2 seqs), K (f16): 18.00 MiB, V (f16): 18.00 MiB",
        "llama_kv_cache: size = 54.00 MiB (4096 cells, 6 layers, 2/2 seqs), K (f16): 54.00 MiB, V (f16): 0.00 MiB\r",
        "llama_kv_cache: garbage",
        "llama_kv_cache:      CUDA0 KV buffer size =   512.00 MiB",
      ].join("\n"),
    );
    expect(lines.map((line) => [line.mib, line.streams, line.typeK, line.valueMib])).toEqual([
      [3072, 1, "f16", 1536],
      [765, 4, null, null],
      [36, 1, "f16", 18],
      [54, 2, "f16", 0],
    ]);
    expect(parseCacheLines("nothing here")).toEqual([]);
  });

  test("several streams have cells of their own", () => {
    const log =
      "llama_kv_cache: size = 5440.00 MiB ( 65536 cells, 40 layers, 2/2 seqs), K (turbo4): 2720.00 MiB, V (turbo4): 2720.00 MiB";
    const comparison = compareCacheLine(parseCacheLines(log)[0]!, CLASS_27B, turbo4, registryBytes)!;
    expect([comparison.calculatedMib, comparison.difference]).toEqual([5440, 0]);
  });

  test("a line of another model is not compared", () => {
    const [line] = parseCacheLines("llama_kv_cache: size = 1.00 MiB ( 256 cells, 7 layers, 1/1 seqs)");
    expect(compareCacheLine(line!, CLASS_27B, turbo4, registryBytes)).toBeNull();
  });
});
