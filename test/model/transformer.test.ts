import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { fromF16 } from "../../src/core/float.js";
import { DenseKv } from "../../src/model/dense-kv.js";
import { greedy } from "../../src/model/generate.js";
import { openGguf } from "../../src/model/gguf-file.js";
import { type Model, openModel } from "../../src/model/open-model.js";
import type { Transformer } from "../../src/model/transformer.js";
import { naiveForward } from "./naive-forward.js";
import { houndText, NOVELS_MODEL } from "./novels.js";

const folder = mkdtempSync(join(tmpdir(), "model-"));
let model: Model;
beforeAll(async () => {
  model = await openModel(NOVELS_MODEL);
});
afterAll(async () => {
  await model.close();
  rmSync(folder, { recursive: true });
});

const dense = (transformer: Transformer, type: "f32" | "f16" = "f32", capacity = 512) =>
  new DenseKv(transformer.engine, transformer.kvShape, capacity, type, transformer.blockTokens);

/** Logits of all tokens, run in blocks of `block`. */
function allLogits(transformer: Transformer, tokens: Int32Array, block: number, kv = dense(transformer)) {
  const rows: Float32Array[] = [];
  for (let at = 0; at < tokens.length; at += block) {
    const part = tokens.subarray(at, at + block);
    transformer.forward(part, kv);
    transformer.logits(0, part.length, (_, row) => rows.push(row.slice()));
  }
  return rows;
}

function perplexity(rows: Float32Array[], tokens: Int32Array): number {
  let sum = 0;
  for (let i = 0; i + 1 < tokens.length; i++) {
    const row = rows[i]!;
    const top = row.reduce((a, b) => Math.max(a, b));
    sum += Math.log(row.reduce((total, x) => total + Math.exp(x - top), 0)) + top - row[tokens[i + 1]!]!;
  }
  return Math.exp(sum / (tokens.length - 1));
}

const largestDifference = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let most = a.length === b.length ? 0 : Number.POSITIVE_INFINITY;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
};

/** llama.cpp's figure, cache f32 or f16: fixtures/models/README.md. */
const NATIVE = 28.99036;

test.each(["f32", "f16"] as const)("the stand-in model's perplexity is the native one, cache %s", (type) => {
  const tokens = model.tokenizer.encode(houndText()).subarray(0, 512);
  const rows = allLogits(model.transformer, tokens, 128, dense(model.transformer, type));
  expect(Math.abs(perplexity(rows, tokens) / NATIVE - 1)).toBeLessThan(1e-3);
});

test("logits are an independent f64 forward pass's, and so is the greedy text", async () => {
  const source = await openGguf(NOVELS_MODEL);
  const tokens = [...model.tokenizer.encode(houndText()).subarray(0, 24)];
  const kv = dense(model.transformer);
  model.transformer.forward(tokens.slice(0, 20), kv);
  let row = new Float32Array();
  model.transformer.logits(19, 1, (_, logits) => {
    row = logits.slice();
  });
  const said = tokens.slice(0, 20);
  for (let step = 0; step < 6; step++) {
    const expected = (await naiveForward(source, said)).at(-1)!;
    const scale = Math.max(...expected.map(Math.abs));
    expect(largestDifference(row, expected)).toBeLessThan(2e-5 * scale);
    const best = expected.indexOf(Math.max(...expected));
    expect(row.indexOf(Math.max(...row))).toBe(best);
    said.push(best);
    model.transformer.forward([best], kv);
    model.transformer.logits(0, 1, (_, logits) => {
      row = logits.slice();
    });
  }
  await source.close();
  const small = await openModel(NOVELS_MODEL, { blockTokens: 7 });
  const own = greedy(small.transformer, dense(small.transformer), tokens.slice(0, 20), 6);
  expect(own).toEqual(said.slice(20));
  expect(greedy(small.transformer, dense(small.transformer), tokens.slice(0, 20), 6, own[2])).toEqual(
    own.slice(0, own.indexOf(own[2]!) + 1),
  );
  await small.close();
});

test("blocks of any size give the same logits", () => {
  const tokens = model.tokenizer.encode(houndText()).subarray(0, 150);
  const whole = allLogits(model.transformer, tokens, 128);
  for (const block of [1, 7, 64]) {
    const rows = allLogits(model.transformer, tokens, block);
    for (const [t, row] of rows.entries()) expect(largestDifference(row, whole[t]!)).toBeLessThan(2e-4);
  }
});

test("two threads compute the same bits as one", async () => {
  const tokens = model.tokenizer.encode(houndText()).subarray(0, 200);
  const two = await openModel(NOVELS_MODEL, { threads: 2 });
  expect(two.transformer.engine.threads).toBe(2);
  expect(allLogits(two.transformer, tokens, 128)).toEqual(allLogits(model.transformer, tokens, 128));
  await two.close();
  expect(() => two.transformer.forward([1], dense(model.transformer))).toThrow("closed");
});

test("a llama2.c file of the same weights gives the same bits", async () => {
  const source = await openGguf(NOVELS_MODEL);
  const { config } = source;
  const parts: Buffer[] = [];
  const { width, feedForward, layers, heads, kvHeads, vocabulary, context, headDim } = config;
  parts.push(
    Buffer.from(Int32Array.of(width, feedForward, layers, heads, kvHeads, vocabulary, context).buffer),
  );
  const tensor = async (name: string) => {
    const info = source.tensor(name)!;
    const bytes = new Uint8Array(info.bytes);
    await source.read(info, bytes);
    const f32 =
      info.type.name === "f16"
        ? Float32Array.from(new Uint16Array(bytes.buffer), fromF16).buffer
        : bytes.buffer;
    parts.push(Buffer.from(f32));
  };
  await tensor("token_embd.weight");
  const kinds = [
    "attn_norm",
    "attn_q",
    "attn_k",
    "attn_v",
    "attn_output",
    "ffn_norm",
    "ffn_gate",
    "ffn_down",
    "ffn_up",
  ];
  for (const kind of kinds)
    for (let layer = 0; layer < layers; layer++) await tensor(`blk.${layer}.${kind}.weight`);
  await tensor("output_norm.weight");
  parts.push(Buffer.alloc(context * headDim * 4));
  const path = join(folder, "novels.bin");
  writeFileSync(path, Buffer.concat(parts));

  const tokenizer: Buffer[] = [Buffer.alloc(4)];
  const scores = source.metadata.numbers("tokenizer.ggml.scores");
  for (const [id, token] of source.metadata.texts("tokenizer.ggml.tokens").entries()) {
    const bytes = Buffer.from(token.replaceAll("▁", " "));
    const head = Buffer.alloc(8);
    head.writeFloatLE(scores[id]!, 0);
    head.writeInt32LE(bytes.length, 4);
    tokenizer.push(head, bytes);
  }
  writeFileSync(join(folder, "tok.bin"), Buffer.concat(tokenizer));
  await source.close();

  const other = await openModel(path, { tokenizer: join(folder, "tok.bin") });
  const tokens = other.tokenizer.encode(houndText());
  expect(tokens).toEqual(model.tokenizer.encode(houndText()));
  const few = tokens.subarray(0, 60);
  expect(allLogits(other.transformer, few, 60)).toEqual(allLogits(model.transformer, few, 60));
  await other.close();
  await expect(openModel(path)).rejects.toThrow(TypeError);
  writeFileSync(path, Buffer.concat(parts).subarray(0, -4));
  await expect(openModel(path, { tokenizer: join(folder, "tok.bin") })).rejects.toMatchObject({
    code: "BAD_FILE",
  });
});

test("a full cache refuses and stays; a wrong token is refused", () => {
  const kv = dense(model.transformer, "f32", 8);
  model.transformer.forward([1, 2, 3, 4, 5, 6], kv);
  expect(() => model.transformer.forward([1, 2, 3], kv)).toThrow(RangeError);
  expect(kv.length).toBe(6);
  expect(() => model.transformer.forward([1024], kv)).toThrow(RangeError);
  expect(() => model.transformer.forward([], kv)).toThrow(RangeError);
  model.transformer.forward([7, 8], kv);
  expect(kv.length).toBe(8);
});

test("files that are no models: BAD_FILE", async () => {
  const path = join(folder, "bad.gguf");
  for (const bytes of ["", "GGUF", "not a model at all, but long enough to be read as something"]) {
    writeFileSync(path, bytes);
    await expect(openModel(path)).rejects.toMatchObject({ name: "FormatError", code: "BAD_FILE" });
  }
  await expect(openModel(join(folder, "missing.gguf"))).rejects.toThrow("ENOENT");
});
