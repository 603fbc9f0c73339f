/** What the engine rounds a query to before it meets the keys: their `vec_dot_type` (ggml-cpu.c). */
import { findFormat } from "../../formats/registry.js";

/** Halves for f16, q8_0 blocks for block formats, and f32 for the turbo types. */
const roundsTo = (keyFormat: string): string | undefined => {
  if (!keyFormat.startsWith("ggml/")) return undefined;
  return keyFormat === "ggml/f16" ? "ggml/f16" : "ggml/q8_0";
};

/** queries: (n · dim) → what the engine's scores are of. */
export function roundQueries(queries: Float32Array, keyFormat: string, dim: number): Float32Array {
  const format = roundsTo(keyFormat);
  if (format === undefined) return queries;
  const codec = findFormat(format).open({ dim });
  const bytes = new Uint8Array((queries.length / dim) * codec.bytesPerVector);
  const out = new Float32Array(queries.length);
  codec.encode(queries, bytes);
  codec.decode(bytes, out);
  return out;
}
