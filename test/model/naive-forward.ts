/**
 * A forward pass written once more, in f64 and from the equations alone: no blocks, no cache, no kernels, tensors
 * decoded here. It shares nothing with src/model but the file reader, and is far too slow for anything but a test.
 */
import { fromF16 } from "../../src/core/float.js";
import type { ModelSource } from "../../src/model/model-source.js";

type Rows = Float64Array[];

/** f32 and f16 only. */
async function rows(source: ModelSource, name: string): Promise<Rows> {
  const info = source.tensor(name)!;
  const bytes = new Uint8Array(info.bytes);
  await source.read(info, bytes);
  const view = new DataView(bytes.buffer);
  const value = (i: number) =>
    info.type.name === "f16" ? fromF16(view.getUint16(2 * i, true)) : view.getFloat32(4 * i, true);
  return Array.from({ length: info.rows }, (_, r) =>
    Float64Array.from({ length: info.columns }, (_, c) => value(r * info.columns + c)),
  );
}

const times = (matrix: Rows, x: Float64Array): Float64Array =>
  Float64Array.from(matrix, (row) => row.reduce((sum, w, i) => sum + w * x[i]!, 0));

export interface Trace {
  readonly keys: Rows;
  readonly values: Rows;
  readonly queries: Rows;
}

/** Logits of every token: (tokens, vocabulary); `trace` gets each layer's (tokens, heads · headDim). Adjacent RoPE pairs, whole heads turned, no biases. */
export async function naiveForward(
  source: ModelSource,
  tokens: readonly number[],
  trace: Trace[] = [],
): Promise<Rows> {
  const { width, heads, kvHeads, headDim, layers, epsilon, rope } = source.config;
  const norm = (x: Float64Array, weight: Float64Array) => {
    const scale = 1 / Math.sqrt(x.reduce((sum, v) => sum + v * v, 0) / width + epsilon);
    return x.map((v, i) => v * scale * weight[i]!);
  };
  const turn = (x: Float64Array, position: number) =>
    x.map((v, i) => {
      const pair = (i % headDim) >> 1;
      const angle = position * rope.theta ** ((-2 * pair) / headDim);
      return i % 2 === 0
        ? v * Math.cos(angle) - x[i + 1]! * Math.sin(angle)
        : x[i - 1]! * Math.sin(angle) + v * Math.cos(angle);
    });
  const embedding = await rows(source, "token_embd.weight");
  const stream = tokens.map((token) => Float64Array.from(embedding[token]!));
  for (let layer = 0; layer < layers; layer++) {
    const load = (name: string) => rows(source, `blk.${layer}.${name}.weight`);
    const [attentionNorm] = await load("attn_norm");
    const [q, k, v, o] = [
      await load("attn_q"),
      await load("attn_k"),
      await load("attn_v"),
      await load("attn_output"),
    ];
    const [gate, up, down] = [await load("ffn_gate"), await load("ffn_up"), await load("ffn_down")];
    const [feedForwardNorm] = await load("ffn_norm");
    const keys: Float64Array[] = [];
    const values: Float64Array[] = [];
    const queries: Float64Array[] = [];
    for (const [position, x] of stream.entries()) {
      const n = norm(x, attentionNorm!);
      const query = turn(times(q, n), position);
      keys.push(turn(times(k, n), position));
      values.push(times(v, n));
      queries.push(query);
      const attended = new Float64Array(heads * headDim);
      for (let head = 0; head < heads; head++) {
        const from = Math.floor((head * kvHeads) / heads) * headDim;
        const scores = keys.map((key) => {
          let sum = 0;
          for (let i = 0; i < headDim; i++) sum += query[head * headDim + i]! * key[from + i]!;
          return Math.exp(sum / Math.sqrt(headDim));
        });
        const total = scores.reduce((a, b) => a + b, 0);
        for (const [t, score] of scores.entries())
          for (let i = 0; i < headDim; i++)
            attended[head * headDim + i]! += (score / total) * values[t]![from + i]!;
      }
      times(o, attended).forEach((value, i) => {
        x[i]! += value;
      });
      const m = norm(x, feedForwardNorm!);
      const u = times(up, m);
      const hidden = times(gate, m).map((g, i) => (g / (1 + Math.exp(-g))) * u[i]!);
      times(down, hidden).forEach((value, i) => {
        x[i]! += value;
      });
    }
    trace.push({ keys, values, queries });
  }
  const [outputNorm] = await rows(source, "output_norm.weight");
  const output = source.tensor("output.weight") ? await rows(source, "output.weight") : embedding;
  return stream.map((x) => times(output, norm(x, outputNorm!)));
}
