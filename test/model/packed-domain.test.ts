/** Attention reads the packed bytes, each time, and nothing decoded is kept: by memory, and by tampering. */
import { describe, expect, test } from "vitest";
import { createCodec } from "../../src/formats/codec.js";
import { vectorLayout } from "../../src/kernels/plan.js";
import { putInTile } from "../../src/kernels/tile.js";
import { loadWasmSync } from "../../src/kernels/wasm.js";
import { CacheKv } from "../../src/model/cache-kv.js";

const SHAPE = { layers: 2, heads: 4, kvHeads: 2, headDim: 64 };
const ROW = SHAPE.kvHeads * SHAPE.headDim;
const BLOCK = 64;

let state = 1;
function random(n: number): Float32Array {
  return Float32Array.from({ length: n }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

/** Where `pattern` lies in `bytes`. */
function find(bytes: Uint8Array, pattern: Uint8Array): number[] {
  const at: number[] = [];
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let i = buffer.indexOf(pattern); i >= 0; i = buffer.indexOf(pattern, i + 1)) at.push(i);
  return at;
}

/** Sixteen vectors as a page has them: turbo in a tile, others one behind the other. */
function inPage(format: string, side: "key" | "value", vectors: readonly Uint8Array[]): Uint8Array {
  const stride = vectors[0]!.length;
  const bytes = new Uint8Array(16 * stride);
  const turbo = /^turbo(\d)(\+qjl)?$/.exec(format);
  for (const [t, vector] of vectors.entries()) {
    if (!turbo) {
      bytes.set(vector, t * stride);
      continue;
    }
    const [dim, bits, sketchRows] = [SHAPE.headDim, Number(turbo[1]), turbo[2] ? SHAPE.headDim : 0];
    putInTile({ dim, bits, sketchRows, ...vectorLayout(dim, bits, sketchRows) }, side, vector, bytes, t);
  }
  return bytes;
}

const FORMATS = ["turbo2", "turbo3", "turbo4", "turbo4+qjl", "trellis2", "ggml/q8_0", "ggml/q4_0"];

describe.each(FORMATS)("%s", (format) => {
  test("memory grows by the accounted bytes of the tokens alone", () => {
    const backend = loadWasmSync();
    const tokens = 1536;
    const kv = new CacheKv(SHAPE, tokens, { key: format, value: format, backend });
    const keys = random(BLOCK * ROW);
    const values = random(BLOCK * ROW);
    const queries = random(SHAPE.heads * SHAPE.headDim);
    const out = new Float32Array(queries.length);
    const run = (upTo: number) => {
      while (kv.length < upTo)
        for (let layer = 0; layer < SHAPE.layers; layer++) {
          kv.append(layer, keys, values, BLOCK);
          kv.attend(layer, queries, 1, out);
        }
      const host = process.memoryUsage().external - backend.arena.u8.length;
      return { arena: backend.arena.usedBytes, host };
    };
    const before = run(512);
    const after = run(tokens);
    const more = tokens - 512;
    const stride = createCodec(format, { dim: SHAPE.headDim, side: "key" }).bytesPerVector;
    expect(kv.bytesPerToken).toBe(SHAPE.layers * SHAPE.kvHeads * 2 * stride);
    expect(after.arena - before.arena).toBe(more * kv.bytesPerToken);
    // A copy in arrays of JavaScript would be at least this large (the keys alone, as halves).
    expect(after.host - before.host).toBeLessThan(2 * more * SHAPE.layers * ROW);
    kv.dispose();
  });

  test.each(["key", "value"] as const)("a %s's byte that changes in the page changes the answer", (side) => {
    const backend = loadWasmSync();
    const kv = new CacheKv(SHAPE, 256, { key: format, value: format, backend, seed: 3 });
    const [keys, values] = [random(200 * ROW), random(200 * ROW)];
    for (let layer = 0; layer < SHAPE.layers; layer++) kv.append(layer, keys, values, 200);
    const queries = random(SHAPE.heads * SHAPE.headDim);
    const answer = () => {
      const out = new Float32Array(queries.length);
      kv.attend(0, queries, 1, out);
      return out;
    };
    const first = answer();
    expect(answer()).toEqual(first);
    const codec = createCodec(format, { dim: SHAPE.headDim, seed: 3, side });
    // Tokens 144 … 159 of head 0 as they lie in the page, then token 150 (one of them) with another last byte.
    const vectors = Array.from({ length: 16 }, (_, t) => {
      const from = (144 + t) * ROW;
      return codec.encode((side === "key" ? keys : values).slice(from, from + SHAPE.headDim));
    });
    const before = inPage(format, side, vectors);
    vectors[6]![vectors[6]!.length - 1]! ^= 0x5a;
    const after = inPage(format, side, vectors);
    expect(after).not.toEqual(before);
    const places = find(backend.arena.u8, before);
    expect(places.length).toBeGreaterThanOrEqual(SHAPE.layers);
    for (const at of places) backend.arena.u8.set(after, at);
    const changed = answer();
    // Heads 0 and 1 read head 0 of the keys and values, 2 and 3 do not.
    const half = (2 * queries.length) / SHAPE.heads;
    expect(changed.subarray(0, half)).not.toEqual(first.subarray(0, half));
    expect(changed.subarray(half)).toEqual(first.subarray(half));
    kv.dispose();
  });
});
