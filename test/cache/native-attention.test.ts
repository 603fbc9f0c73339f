/** The cache against the llama.cpp fork's own attention on its CPU (fixtures/native/attention.msgpack). */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { decode } from "@msgpack/msgpack";
import { describe, expect, test } from "vitest";
import { KvCache } from "../../src/cache/index.js";
import { llamaAttend } from "../../src/compat/llama/index.js";
import { roundQueries } from "../../src/compat/llama/query-rounding.js";
import { findFormat } from "../../src/formats/registry.js";
import { relativeRms } from "./vectors.js";

type Inputs = Record<"head_dim" | "n_head" | "n_head_kv" | "n_q" | "n_kv", number> &
  Record<"q" | "k" | "v", Uint8Array>;
interface Case {
  name: string;
  inputs: string;
  k_type: string;
  v_type: string;
  output: Uint8Array;
  k_cache_sha256: string;
  v_cache_sha256: string;
}
const file = decode(readFileSync(new URL("../../fixtures/native/attention.msgpack", import.meta.url))) as {
  inputs: Record<string, Inputs>;
  cases: Case[];
};
const floats = (bytes: Uint8Array): Float32Array => new Float32Array(Uint8Array.from(bytes).buffer);
const format = (type: string): string => (type.startsWith("turbo") ? `llama/${type}` : `ggml/${type}`);

describe.each(file.cases)("$name", ({ inputs, k_type, v_type, output, k_cache_sha256, v_cache_sha256 }) => {
  const given = file.inputs[inputs]!;
  const { head_dim: headDim, n_head: heads, n_head_kv: kvHeads, n_kv: tokens } = given;
  const shape = { layers: 1, kvHeads, heads, headDim, pages: 40, key: format(k_type), value: format(v_type) };
  const fill = (pageTokens: number): { cache: KvCache; seq: number } => {
    const cache = new KvCache({ ...shape, pageTokens });
    const seq = cache.create();
    cache.append(seq, 0, floats(given.k), floats(given.v));
    return { cache, seq };
  };

  test("output", () => {
    const { cache, seq } = fill(5);
    const queries = roundQueries(floats(given.q), shape.key, headDim);
    const error = relativeRms(cache.attend(seq, 0, queries), floats(output));
    // With f16 values the engine also adds up in halves, which costs it what nmse_vs_exact records (1e-3); ours is f32.
    expect(error).toBeLessThan(v_type === "f16" ? 1.5e-3 : 2e-6);
    if (v_type === "f16") expect(error).toBeGreaterThan(5e-4);
  });

  test("output in the engine's own arithmetic", () => {
    const { cache, seq } = fill(5);
    expect(relativeRms(llamaAttend(cache, seq, 0, floats(given.q)), floats(output))).toBeLessThan(1e-6);
  });

  test("bytes of the pages are the engine's cache", () => {
    // One token a page: the snapshot's pages are the engine's rows [head] of that token, keys and then values.
    const { cache, seq } = fill(1);
    const fields = decode(cache.snapshot(seq).subarray(0, -34)) as unknown[];
    const pages = (fields[11] as [number, number[], Uint8Array, Uint8Array][]).map(([, , , bytes]) => bytes);
    expect(pages.length).toBe(tokens);
    const keyBytes = kvHeads * findFormat(shape.key).vectorBytes(headDim);
    const valueBytes = kvHeads * findFormat(shape.value).vectorBytes(headDim);
    const valuesAt = Math.ceil(keyBytes / 16) * 16;
    const digest = (from: number, bytes: number): string => {
      const hash = createHash("sha256");
      for (const page of pages) hash.update(page.subarray(from, from + bytes));
      return hash.digest("hex");
    };
    expect(digest(0, keyBytes)).toBe(k_cache_sha256);
    expect(digest(valuesAt, valueBytes)).toBe(v_cache_sha256);
  });
});
