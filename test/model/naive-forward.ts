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

/** Logits of every token: (tokens, vocabulary); `trace` gets each layer's (tokens, heads · headDim).  */
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
  // Pair p of a head is a complex number, turned by position · θ^(−2p/dimensions).
  const turn = (x: Float64Array, position: number) => {
    const out = x.slice();
    for (let head = 0; head < x.length; head += headDim)
      for (let pair = 0; pair < rope.dimensions / 2; pair++) {
        const [a, b] =
          rope.pairing === "adjacent" ? [2 * pair, 2 * pair + 1] : [pair, pair + rope.dimensions / 2];
        const angle = position * rope.theta ** ((-2 * pair) / rope.dimensions);
        out[head + a] = x[head + a]! * Math.cos(angle) - x[head + b]! * Math.sin(angle);
        out[head + b] = x[head + a]! * Math.sin(angle) + x[head + b]! * Math.cos(angle);
      }
    return out;
  };
  const biased = async (name: string, x: Float64Array) => {
    if (!source.tensor(name)) return x;
    const [bias] = await rows(source, name);
    return x.map((v, i) => v + bias![i]!);
  };
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
      const bias = (what: string) => `blk.${layer}.attn_${what}.bias`;
      const query = turn(await biased(bias("q"), times(q, n)), position);
      keys.push(turn(await biased(bias("k"), times(k, n)), position));
      values.push(await biased(bias("v"), times(v, n)));
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
