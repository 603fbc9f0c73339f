/**
 * Models of llama2.c (karpathy): seven i32, then f32 tensors one after the other.
 *
 *   header   width, feedForward, layers, heads, kvHeads, vocabulary (negative: untied output), context
 *   tensors  token embedding · per kind, all layers: attention norm, q, k, v, output, feed-forward norm, gate (w1),
 *            down (w2), up (w3) · final norm · two RoPE tables (context, headDim/2), unused · output if untied
 *
 * RoPE turns adjacent pairs, theta 10,000; epsilon 1e-5 (both fixed in run.c). The tokenizer is another file.
 */
import { open } from "node:fs/promises";
import { FormatError } from "../core/format-error.js";
import { type FileSource, type ModelHeader, readFully, sourceOf, type TensorInfo } from "./model-source.js";
import { F32_TYPE } from "./tensor-types.js";

const HEADER_BYTES = 28;

/** @throws FormatError BAD_FILE when the header and the file's size disagree. */
export async function openLlama2c(path: string): Promise<FileSource> {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const head = new Uint8Array(HEADER_BYTES);
    await readFully(file, path, head, 0);
    const fields = new Int32Array(head.buffer);
    const [width, feedForward, layers, heads, kvHeads, signedVocabulary, context] = [...fields] as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const vocabulary = Math.abs(signedVocabulary);
    const bad = (what: string) => new FormatError("BAD_FILE", `${path}: ${what}`);
    if ([width, feedForward, layers, heads, kvHeads, vocabulary, context].some((n) => n < 1 || n > 1 << 24))
      throw bad(`not a llama2.c model: its header is [${fields}]`);
    if (width % heads !== 0 || heads % kvHeads !== 0)
      throw bad(`${heads} heads over ${width} and ${kvHeads}`);
    const headDim = width / heads;
    const kvWidth = kvHeads * headDim;

    const tensors = new Map<string, TensorInfo>();
    let at = HEADER_BYTES;
    const take = (name: string, rows: number, columns: number) => {
      const bytes = rows * columns * 4;
      tensors.set(name, { name, type: F32_TYPE, rows, columns, bytes, offset: at });
      at += bytes;
    };
    const perLayer = (name: string, rows: number, columns: number) => {
      for (let layer = 0; layer < layers; layer++) take(`blk.${layer}.${name}.weight`, rows, columns);
    };
    take("token_embd.weight", vocabulary, width);
    perLayer("attn_norm", 1, width);
    perLayer("attn_q", width, width);
    perLayer("attn_k", kvWidth, width);
    perLayer("attn_v", kvWidth, width);
    perLayer("attn_output", width, width);
    perLayer("ffn_norm", 1, width);
    perLayer("ffn_gate", feedForward, width);
    perLayer("ffn_down", width, feedForward);
    perLayer("ffn_up", feedForward, width);
    take("output_norm.weight", 1, width);
    at += context * headDim * 4;
    if (signedVocabulary < 0) take("output.weight", vocabulary, width);
    if (at !== size) throw bad(`its header describes ${at} bytes, the file has ${size}`);

    const header: ModelHeader = {
      path,
      fileBytes: size,
      config: {
        architecture: "llama",
        name: "llama2.c",
        layers,
        width,
        feedForward,
        heads,
        kvHeads,
        headDim,
        vocabulary,
        context,
        epsilon: 1e-5,
        rope: {
          pairing: "adjacent",
          dimensions: headDim,
          theta: 10_000,
          scaling: { type: "none" },
        },
        ropeMagnitude: 1,
      },
      tensors,
    };
    return sourceOf(header, file);
  } catch (error) {
    await file.close();
    throw error;
  }
}
