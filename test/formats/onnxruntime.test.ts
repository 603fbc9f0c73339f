/** onnxruntime/q4: ties, zeros, and every recorded norm and code, without the tolerance that the judge grants. */
import { readFileSync } from "node:fs";
import { decode } from "@msgpack/msgpack";
import { expect, it } from "vitest";
import { ONNX_CODEBOOK, onnxIndex } from "../../src/formats/onnxruntime.js";
import { findFormat } from "../../src/formats/registry.js";

interface Case {
  name: string;
  head_dim: number;
  tokens: number;
  kv_heads: number;
  [field: string]: unknown;
}
const { cases } = decode(
  readFileSync(new URL("../../fixtures/native/onnxruntime_q4.msgpack", import.meta.url)),
) as { cases: Case[] };

it("a tie goes down, zero is index 7", () => {
  for (const [i, b] of ONNX_CODEBOOK.boundaries.entries()) expect(onnxIndex(b)).toBe(i);
  for (const [i, c] of ONNX_CODEBOOK.centroids.entries()) expect(onnxIndex(c)).toBe(i);
  expect([onnxIndex(0), onnxIndex(-0)]).toEqual([7, 7]);
});

it("a zero vector: norm 0, all nibbles 7, decodes to zeros", () => {
  const codec = findFormat("onnxruntime/q4").open({ dim: 64 });
  const bytes = new Uint8Array(36).fill(0xee);
  codec.encode(new Float32Array(64), bytes);
  expect([...bytes]).toEqual([0, 0, 0, 0, ...Array(32).fill(0x77)]);
  const out = new Float32Array(64).fill(1);
  codec.decode(bytes, out);
  expect([...out].every((v) => v === 0)).toBe(true);
});

it.each(cases)("$name: every byte of the cache that the browser wrote", (one) => {
  const { head_dim: dim, tokens, kv_heads: heads } = one;
  const codec = findFormat("onnxruntime/q4").open({ dim });
  for (const side of ["key", "value"]) {
    const input = new Float32Array(new Uint8Array(one[side] as Uint8Array).buffer);
    const cache = one[`present_${side}`] as Uint8Array;
    for (let t = 0; t < tokens; t++)
      for (let h = 0; h < heads; h++) {
        const row = (t * heads + h) * dim;
        const bytes = new Uint8Array(codec.bytesPerVector);
        codec.encode(input.slice(row, row + dim), bytes);
        const at = (h * tokens + t) * codec.bytesPerVector;
        expect(bytes).toEqual(Uint8Array.from(cache.subarray(at, at + codec.bytesPerVector)));
      }
  }
});
