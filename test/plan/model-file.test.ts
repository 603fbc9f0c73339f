import { copyFile, mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { serializeGgufMetadata } from "@huggingface/gguf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FormatError } from "../../src/core/format-error.js";
import { registryBytes } from "../../src/plan/engine-bytes.js";
import { shapeFromGguf } from "../../src/plan/gguf-shape.js";
import { shapeFromHfConfig } from "../../src/plan/hf-shape.js";
import { kvBytes, uniformTypes } from "../../src/plan/kv-bytes.js";
import { readModelShape } from "../../src/plan/model-file.js";
import type { LayerShape, ModelShape } from "../../src/plan/model-shape.js";

const windows = (shape: ModelShape): number => shape.layers.filter((layer) => layer?.window != null).length;
const cached = (shape: ModelShape): LayerShape[] =>
  shape.layers.filter((layer): layer is LayerShape => layer !== null);
const f16Bytes = (shape: ModelShape, tokens: number): number =>
  kvBytes(shape, uniformTypes(shape.layers.length, "ggml/f16", "ggml/f16"), tokens, registryBytes).total;

describe("GGUF metadata", () => {
  const llama = {
    "general.architecture": "llama",
    "general.name": "Smollm2",
    "llama.block_count": 30,
    "llama.context_length": 8192,
    "llama.embedding_length": 576,
    "llama.attention.head_count": 9,
    "llama.attention.head_count_kv": 3,
  };

  test("a Llama: head size from the embedding", () => {
    const shape = shapeFromGguf(llama, 98_000_000);
    expect(shape).toMatchObject({
      name: "Smollm2",
      heads: 9,
      kvHeads: 3,
      weightBytes: 98_000_000,
      trainedContext: 8192,
      assumed: [],
    });
    expect(shape.layers).toHaveLength(30);
    expect(shape.layers[29]).toEqual({ kvHeads: 3, keyDim: 64, valueDim: 64, window: null });
  });

  test("stated key and value lengths win; missing KV heads are said to be assumed", () => {
    const shape = shapeFromGguf(
      {
        ...llama,
        "llama.attention.head_count_kv": undefined,
        "llama.attention.key_length": 192,
        "llama.attention.value_length": 128,
      },
      null,
    );
    expect(shape.layers[0]).toMatchObject({ kvHeads: 9, keyDim: 192, valueDim: 128 });
    expect(shape.assumed.join()).toContain("does not state KV heads");
  });

  test("KV heads by layer, zeros have no cache (qwen3next and other hybrids)", () => {
    const heads = Array.from({ length: 30 }, (_, il) => (il % 4 === 3 ? 2 : 0));
    const shape = shapeFromGguf({ ...llama, "llama.attention.head_count_kv": heads }, null);
    expect(cached(shape)).toHaveLength(7);
    expect(shape.kvHeads).toBe(2);
  });

  test("full_attention_interval: 8 of 32 layers cached", () => {
    const shape = shapeFromGguf(
      {
        "general.architecture": "qwen35",
        "qwen35.block_count": 32,
        "qwen35.embedding_length": 2560,
        "qwen35.attention.head_count": 16,
        "qwen35.attention.head_count_kv": 4,
        "qwen35.attention.key_length": 256,
        "qwen35.attention.value_length": 256,
        "qwen35.full_attention_interval": 4,
      },
      null,
    );
    expect(cached(shape)).toHaveLength(8);
    // 4,096 MiB f16 at 131,072 cells over 8 layers, as llama-server logs for this geometry
    expect(f16Bytes(shape, 131_072) / 2 ** 20).toBe(4096);
    expect(shape.assumed.join()).toContain("recurrent state");
  });

  test("sliding windows: a pattern of the file, of the architecture, or none known", () => {
    const base = { ...llama, "llama.attention.sliding_window": 1024 };
    const pattern = Array.from({ length: 30 }, (_, il) => il % 3 !== 2);
    expect(windows(shapeFromGguf({ ...base, "llama.attention.sliding_window_pattern": pattern }, null))).toBe(
      20,
    );
    const gemma = Object.fromEntries(
      Object.entries(base).map(([key, value]) => [key.replace("llama.", "gemma3."), value]),
    );
    expect(windows(shapeFromGguf({ ...gemma, "general.architecture": "gemma3" }, null))).toBe(25);
    const unknown = shapeFromGguf(base, null);
    expect(windows(unknown)).toBe(0);
    expect(unknown.assumed.join()).toContain("not its layers");
  });

  test("latent attention: no value cache", () => {
    const shape = shapeFromGguf(
      {
        "general.architecture": "deepseek2",
        "deepseek2.block_count": 6,
        "deepseek2.embedding_length": 2048,
        "deepseek2.attention.head_count": 16,
        "deepseek2.attention.head_count_kv": 1,
        "deepseek2.attention.key_length": 576,
        "deepseek2.attention.value_length": 512,
        "deepseek2.attention.kv_lora_rank": 512,
        "deepseek2.attention.key_length_mla": 192,
      },
      null,
    );
    // llama_kv_cache: size = 54.00 MiB (4096 cells, 6 layers, 2/2 seqs), K (f16): 54.00 MiB, V (f16): 0.00 MiB
    expect((f16Bytes(shape, 4096) * 2) / 2 ** 20).toBe(54);
  });

  test.each([
    [{ "general.architecture": undefined }, "general.architecture"],
    [{ "llama.block_count": undefined }, "llama.block_count is missing"],
    [{ "llama.block_count": -3 }, "llama.block_count is -3"],
    [{ "llama.attention.head_count": undefined }, "head_count is missing"],
    [{ "llama.attention.head_count": 7 }, "no multiple of 7 heads"],
    [{ "llama.attention.head_count_kv": [3, 3] }, "2 entries for 30 layers"],
    [{ "llama.attention.head_count_kv": Array(30).fill(0) }, "no layer has a KV cache"],
  ])("senseless metadata %j", (change, message) => {
    const call = () => shapeFromGguf({ ...llama, ...change }, null);
    expect(call).toThrow(FormatError);
    expect(call).toThrow(message);
  });
});

describe("config.json", () => {
  const qwen = {
    model_type: "qwen2",
    num_hidden_layers: 28,
    num_attention_heads: 28,
    num_key_value_heads: 4,
    hidden_size: 3584,
    max_position_embeddings: 32_768,
  };

  test("head_dim from hidden_size, and this is said", () => {
    const shape = shapeFromHfConfig(qwen, 15e9);
    expect(shape.layers[0]).toEqual({ kvHeads: 4, keyDim: 128, valueDim: 128, window: null });
    expect(shape).toMatchObject({ name: "qwen2", heads: 28, trainedContext: 32_768, weightBytes: 15e9 });
    expect(shape.assumed).toEqual(["head_dim is not stated: hidden_size / heads = 128 is assumed"]);
  });

  test("head_dim as stated, KV heads defaulted", () => {
    const shape = shapeFromHfConfig({ ...qwen, head_dim: 256, num_key_value_heads: null }, null);
    expect(shape.layers[0]).toMatchObject({ kvHeads: 28, keyDim: 256 });
    expect(shape.assumed.join()).toContain("num_key_value_heads is not stated: 28");
  });

  test("a vision model's text part", () => {
    const shape = shapeFromHfConfig({ model_type: "vl", text_config: qwen, vision_config: {} }, null);
    expect(shape.layers).toHaveLength(28);
    expect(shape.assumed[0]).toContain("text_config");
  });

  test("layer types: linear layers have no cache, sliding ones a window", () => {
    const kinds = ["linear_attention", "linear_attention", "sliding_attention", "full_attention"];
    const shape = shapeFromHfConfig(
      { ...qwen, sliding_window: 4096, layer_types: Array.from({ length: 28 }, (_, il) => kinds[il % 4]) },
      null,
    );
    expect([cached(shape).length, windows(shape)]).toEqual([14, 7]);
    expect(shape.assumed.join()).toContain("14 layers have no attention");
  });

  test("windows without layer types: switched off, from a layer on, by pattern, unknown", () => {
    const at = (more: object) => windows(shapeFromHfConfig({ ...qwen, sliding_window: 4096, ...more }, null));
    expect(at({ use_sliding_window: false })).toBe(0);
    expect(at({ use_sliding_window: false, sliding_window_pattern: 6 })).toBe(0);
    expect(at({ use_sliding_window: true, max_window_layers: 21 })).toBe(7);
    expect(at({ sliding_window_pattern: 6 })).toBe(24);
    expect(at({})).toBe(0);
  });

  test("latent attention and hybrid intervals", () => {
    const mla = shapeFromHfConfig({ ...qwen, kv_lora_rank: 512, qk_rope_head_dim: 64 }, null);
    expect(mla.layers[0]).toMatchObject({ kvHeads: 1, keyDim: 576, valueDim: 0 });
    expect(cached(shapeFromHfConfig({ ...qwen, full_attention_interval: 4 }, null))).toHaveLength(7);
  });

  test.each([
    [null, "top level"],
    [[], "expected object, received array"],
    [{ ...qwen, num_hidden_layers: 0 }, "num_hidden_layers"],
    [{ ...qwen, num_attention_heads: "28" }, "num_attention_heads"],
    [{ ...qwen, hidden_size: undefined }, "neither head_dim nor hidden_size"],
    [{ ...qwen, hidden_size: 3585 }, "no multiple of 28"],
    [{ ...qwen, layer_types: ["full_attention"] }, "1 entries for 28"],
    [{ text_config: { num_hidden_layers: 2 } }, "text_config.num_attention_heads"],
  ])("senseless config %#", (json, message) => {
    const call = () => shapeFromHfConfig(json, null);
    expect(call).toThrow(FormatError);
    expect(call).toThrow(message);
  });
});

describe("files", () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "plan-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  /** A GGUF with metadata only, as the writer of the same library makes it. */
  async function ggufFile(name: string): Promise<string> {
    const U32 = 4;
    const entry = (value: number) => ({ value, type: U32 });
    const bytes = serializeGgufMetadata({
      version: { value: 3, type: U32 },
      tensor_count: { value: 0n, type: 10 },
      kv_count: { value: 6n, type: 10 },
      "general.architecture": { value: "llama", type: 8 },
      "llama.block_count": entry(40),
      "llama.embedding_length": entry(5120),
      "llama.attention.head_count": entry(40),
      "llama.attention.head_count_kv": entry(8),
      "llama.context_length": entry(40_960),
    } as never);
    const path = join(folder, name);
    await writeFile(path, bytes);
    return path;
  }

  test("a GGUF file from disk, without the network", async () => {
    const before = globalThis.fetch;
    globalThis.fetch = () => Promise.reject(new Error("the network was used"));
    try {
      const path = await ggufFile("model.gguf");
      const shape = await readModelShape(path);
      expect(shape).toMatchObject({ heads: 40, kvHeads: 8, trainedContext: 40_960 });
      expect(f16Bytes(shape, 32_768) / 2 ** 20).toBe(5120);
    } finally {
      globalThis.fetch = before;
    }
  });

  /** A GGUF with one f32 tensor of 64 values, written by hand: header, keys, tensor table, padding, data. */
  function withTensor(): Buffer {
    const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);
    const u64 = (value: number): Buffer => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
    const text = (value: string): Buffer => Buffer.concat([u64(value.length), Buffer.from(value)]);
    const number = (key: string, value: number): Buffer => Buffer.concat([text(key), u32(4), u32(value)]);
    const table = Buffer.concat([
      Buffer.from("GGUF"),
      ...[u32(3), u64(1), u64(4)],
      ...[text("general.architecture"), u32(8), text("llama")],
      number("llama.block_count", 2),
      number("llama.embedding_length", 64),
      number("llama.attention.head_count", 1),
      ...[text("token_embd.weight"), u32(1), u64(64), u32(0), u64(0)],
    ]);
    return Buffer.concat([table, Buffer.alloc((32 - (table.length % 32)) % 32), Buffer.alloc(256)]);
  }

  test("cut short in its tensor table, or before its data: refused; whole: read", async () => {
    const bytes = withTensor();
    const path = join(folder, "tensor.gguf");
    await writeFile(path, bytes);
    expect(await readModelShape(path)).toMatchObject({ heads: 1, kvHeads: 1, weightBytes: bytes.length });
    for (const length of [bytes.length - 256, bytes.length - 256 - 40]) {
      await writeFile(path, bytes.subarray(0, length));
      await expect(readModelShape(path)).rejects.toThrow(/cut short/);
    }
  });

  test("parts are added up, and missing ones are said", async () => {
    const path = await ggufFile("m-00001-of-00003.gguf");
    const one = (await readModelShape(path)).weightBytes!;
    await copyFile(path, join(folder, "m-00002-of-00003.gguf"));
    const shape = await readModelShape(path);
    expect(shape.weightBytes).toBe(2 * one);
    expect(shape.assumed.join()).toContain("1 of 00003 parts");
  });

  test("not a GGUF, cut short, empty, another ending, missing", async () => {
    const garbage = join(folder, "garbage.gguf");
    await writeFile(garbage, "this is no model, whatever its name says");
    await expect(readModelShape(garbage)).rejects.toThrow(FormatError);
    const cut = await ggufFile("cut.gguf");
    await truncate(cut, 60);
    await expect(readModelShape(cut)).rejects.toThrow(FormatError);
    const empty = join(folder, "empty.gguf");
    await writeFile(empty, "");
    await expect(readModelShape(empty)).rejects.toThrow(FormatError);
    const other = join(folder, "model.bin");
    await writeFile(other, "GGUF");
    await expect(readModelShape(other)).rejects.toThrow(/does not end in .gguf/);
    await expect(readModelShape(join(folder, "none.gguf"))).rejects.toMatchObject({ code: "ENOENT" });
  });

  test("a folder with config.json and weights", async () => {
    const config = { num_hidden_layers: 2, num_attention_heads: 8, num_key_value_heads: 2, head_dim: 64 };
    await writeFile(join(folder, "config.json"), JSON.stringify(config));
    expect((await readModelShape(folder)).weightBytes).toBeNull();
    await writeFile(join(folder, "model.safetensors"), new Uint8Array(1000));
    expect((await readModelShape(folder)).weightBytes).toBe(1000);
    expect((await readModelShape(join(folder, "config.json"))).layers).toHaveLength(2);
    await writeFile(join(folder, "config.json"), "{ not json");
    await expect(readModelShape(folder)).rejects.toThrow(FormatError);
  });
});
