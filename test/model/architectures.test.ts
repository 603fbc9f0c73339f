/** Shapes that the shipped model does not have, as random models, against the independent forward pass. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { DenseKv } from "../../src/model/dense-kv.js";
import { openGguf } from "../../src/model/gguf-file.js";
import { openModel } from "../../src/model/open-model.js";
import { naiveForward } from "./naive-forward.js";
import { writeGguf } from "./write-gguf.js";

const folder = mkdtempSync(join(tmpdir(), "architectures-"));
afterAll(() => rmSync(folder, { recursive: true }));

let state = 7;
/** Uniform in ±scale around `centre`. */
function random(n: number, scale: number, centre = 0): Float32Array {
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return centre + scale * (state / 2 ** 31 - 1);
  });
}

interface Shape {
  readonly architecture: "llama" | "qwen2";
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly keyLength: boolean;
  readonly rope: number;
  readonly untied: boolean;
  readonly feedForward: number;
}

function write(path: string, shape: Shape, over: Readonly<Record<string, string | number>> = {}): void {
  const { architecture, heads, kvHeads, headDim, feedForward } = shape;
  const [width, layers, vocabulary] = [48, 2, 11];
  const matrix = (name: string, rows: number, columns: number) => ({
    name: `${name}.weight`,
    shape: [rows, columns],
    data: random(rows * columns, 2 / Math.sqrt(columns)),
  });
  const norm = (name: string) => ({ name: `${name}.weight`, shape: [width], data: random(width, 0.3, 1) });
  const bias = (name: string, n: number) => ({ name: `${name}.bias`, shape: [n], data: random(n, 2) });
  const tensors = [matrix("token_embd", vocabulary, width), norm("output_norm")];
  if (shape.untied) tensors.push(matrix("output", vocabulary, width));
  for (let layer = 0; layer < layers; layer++) {
    const of = (name: string) => `blk.${layer}.${name}`;
    tensors.push(
      norm(of("attn_norm")),
      matrix(of("attn_q"), heads * headDim, width),
      matrix(of("attn_k"), kvHeads * headDim, width),
      matrix(of("attn_v"), kvHeads * headDim, width),
      matrix(of("attn_output"), width, heads * headDim),
      norm(of("ffn_norm")),
      matrix(of("ffn_gate"), feedForward, width),
      matrix(of("ffn_up"), feedForward, width),
      matrix(of("ffn_down"), width, feedForward),
    );
    if (architecture === "qwen2")
      tensors.push(
        bias(of("attn_q"), heads * headDim),
        bias(of("attn_k"), kvHeads * headDim),
        bias(of("attn_v"), kvHeads * headDim),
      );
  }
  const lengths = { [`${architecture}.attention.key_length`]: headDim };
  writeGguf(
    path,
    {
      "general.architecture": architecture,
      "general.name": "random",
      [`${architecture}.block_count`]: layers,
      [`${architecture}.context_length`]: 64,
      [`${architecture}.embedding_length`]: width,
      [`${architecture}.feed_forward_length`]: feedForward,
      [`${architecture}.attention.head_count`]: heads,
      [`${architecture}.attention.head_count_kv`]: kvHeads,
      [`${architecture}.attention.layer_norm_rms_epsilon`]: { f32: 1e-6 },
      [`${architecture}.rope.dimension_count`]: shape.rope,
      [`${architecture}.rope.freq_base`]: { f32: 500 },
      ...(shape.keyLength ? lengths : {}),
      "tokenizer.ggml.model": "llama",
      "tokenizer.ggml.tokens": Array.from({ length: vocabulary }, (_, i) => `t${i}`),
      "tokenizer.ggml.scores": Array.from({ length: vocabulary }, (_, i) => -i),
      "tokenizer.ggml.token_type": Array.from({ length: vocabulary }, () => 1),
      ...over,
    },
    tensors,
  );
}

const llama: Shape = {
  architecture: "llama",
  heads: 4,
  kvHeads: 4,
  headDim: 12,
  keyLength: false,
  rope: 12,
  untied: true,
  feedForward: 68,
};
const SHAPES: [string, Shape][] = [
  ["llama, no grouping, untied output, head of 12", llama],
  [
    "llama, heads wider than width/heads, half of a head turned",
    { ...llama, headDim: 32, keyLength: true, rope: 16 },
  ],
  [
    "qwen2: biases, split pairs, six heads over two",
    { ...llama, architecture: "qwen2", heads: 6, kvHeads: 2, headDim: 8, rope: 8 },
  ],
  [
    "qwen2, one key/value head of 80, tied",
    {
      ...llama,
      architecture: "qwen2",
      heads: 3,
      kvHeads: 1,
      headDim: 80,
      keyLength: true,
      rope: 80,
      untied: false,
    },
  ],
];

test.each(SHAPES)("%s", async (name, shape) => {
  const path = join(folder, "model.gguf");
  write(path, shape);
  const model = await openModel(path, { blockTokens: 5 });
  const tokens = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 10];
  const source = await openGguf(path);
  const expected = await naiveForward(source, tokens);
  await source.close();
  const kv = new DenseKv(model.transformer.engine, model.transformer.kvShape, 16, "f32", 5);
  for (let at = 0; at < tokens.length; at += 5) {
    const block = tokens.slice(at, at + 5);
    model.transformer.forward(block, kv);
    model.transformer.logits(0, block.length, (token, row) => {
      const wanted = expected[at + token]!;
      const scale = Math.max(...wanted.map(Math.abs));
      const off = Math.max(...wanted.map((value, i) => Math.abs(value - row[i]!)));
      expect(off / scale, `${name}, token ${at + token}`).toBeLessThan(1e-5);
    });
  }
  await model.close();
});

test("models that are not run here say so", async () => {
  const path = join(folder, "other.gguf");
  const refused: [Record<string, string | number>, string][] = [
    [{ "general.architecture": "mamba" }, "UNKNOWN_FORMAT"],
    [{ "llama.rope.scaling.type": "longrope" }, "UNKNOWN_FORMAT"],
    [{ "llama.expert_count": 8 }, "UNKNOWN_FORMAT"],
    [{ "llama.attention.value_length": 16 }, "UNKNOWN_FORMAT"],
    [{ "llama.attention.head_count_kv": 3 }, "BAD_FILE"],
    [{ "llama.block_count": 3 }, "BAD_FILE"],
    [{ "llama.embedding_length": 64 }, "BAD_FILE"],
    [{ "llama.rope.dimension_count": 99 }, "BAD_FILE"],
  ];
  for (const [over, code] of refused) {
    write(path, llama, over);
    await expect(openModel(path), JSON.stringify(over)).rejects.toMatchObject({ name: "FormatError", code });
  }
});
