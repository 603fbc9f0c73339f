/**
 * Trellis codes in both backends, bit for bit: the path search over all formats, dimensions, rules, centres and awkward
 * values; decoding, scores and sums of values from packed windows, which are also compared with core/trellis.ts.
 */
import { describe, expect, test } from "vitest";
import { dot, fromF16 } from "../../src/core/float.js";
import { randomStream } from "../../src/core/random.js";
import { SCALE_RULES } from "../../src/core/scale.js";
import { readTrellis } from "../../src/core/trellis.js";
import { TRELLIS_NAMES } from "../../src/core/trellis-tables.js";
import { createCodec } from "../../src/formats/codec.js";
import { ownQuantizer, ownShape } from "../../src/formats/own-quantizer.js";
import type { Kernels } from "../../src/kernels/kernels.js";
import { createPlan } from "../../src/kernels/plan.js";
import { reference, setupOf, wasm } from "./suite.js";

const normals = (n: number, seed: number): Float32Array => {
  const stream = randomStream(seed, "data");
  return Float32Array.from({ length: n }, () => stream.normal());
};

const bytesOf = (x: Float32Array, name: string, options: object, backend: typeof wasm): Uint8Array =>
  createCodec(name, { dim: 128, nonFinite: "sanitize", ...options, backend }).encode(x);

describe.each(TRELLIS_NAMES)("%s", (name) => {
  test.each([32, 64, 96, 128, 160, 256, 576])("dim %i: the same bytes, with and without a centre", (dim) => {
    for (const scale of SCALE_RULES)
      for (const center of [undefined, normals(dim, 7)]) {
        const options = { dim, scale, seed: dim, ...(center ? { center } : {}) };
        const x = normals(60 * dim, dim);
        expect(bytesOf(x, name, options, wasm)).toEqual(bytesOf(x, name, options, reference));
      }
  });

  test("awkward vectors: zeros, one-hot, constant, tiny, huge, ties", () => {
    const dim = 128;
    const rows: Float32Array[] = [new Float32Array(dim), new Float32Array(dim).fill(1)];
    for (const value of [1, -3, 1e-7, 1e-30, 6e4, 1e18, 3e38, Number.NaN, Number.POSITIVE_INFINITY]) {
      const hot = new Float32Array(dim);
      hot[value < 0 ? 5 : 77] = value;
      rows.push(
        hot,
        new Float32Array(dim).fill(value).map((v, i) => (i % 3 ? v : -v)),
      );
    }
    const x = new Float32Array(rows.length * dim);
    rows.forEach((row, i) => {
      x.set(row, i * dim);
    });
    expect(bytesOf(x, name, {}, wasm)).toEqual(bytesOf(x, name, {}, reference));
  });
});

/** What a backend makes of random bytes: any bytes are codes. */
function readAll(k: Kernels, name: string, dim: number, rows: number, center: Float32Array | undefined) {
  const shape = ownShape(name)!;
  const q = ownQuantizer(shape, { dim, seed: dim, side: "key", center });
  const plan = createPlan(k.arena, q, undefined, shape.trellis!.window);
  const stride = 2 + (dim * shape.bits) / 8;
  const stream = randomStream(dim, "bytes");
  const bytes = Uint8Array.from({ length: rows * stride }, () => stream.uint32() & 255);
  for (let r = 0; r < rows; r++) bytes[r * stride + 1] = 0x20 | (r & 0x9f); // finite scales, of both signs
  const [query, weights, sums] = [normals(dim, 5), normals(rows, 6), normals(dim, 7)];
  const { arena } = k;
  const place = (x: Float32Array): number => {
    const at = arena.allocate(4 * x.length);
    arena.f32.set(x, at >>> 2);
    return at;
  };
  const packed = arena.allocate(rows * stride + 1) + 1; // any alignment
  arena.u8.set(bytes, packed);
  const [at, w, acc] = [place(query), place(weights), place(sums)];
  const [decoded, rotated, scores] = [
    place(new Float32Array(rows * dim)),
    place(new Float32Array(rows * dim)),
    place(new Float32Array(rows)),
  ];
  k.decode(plan.pointer, packed, rows, decoded);
  k.decodeRotated(plan.pointer, packed, rows, rotated);
  k.score(plan.pointer, at, 0, 0.25, packed, rows, scores);
  k.accumulate(plan.pointer, w, packed, rows, acc);
  const take = (pointer: number, n: number): Float32Array => arena.floats(pointer, n).slice();
  const got = {
    decoded: take(decoded, rows * dim),
    rotated: take(rotated, rows * dim),
    scores: take(scores, rows),
    sums: take(acc, dim),
  };
  for (const pointer of [packed - 1, at, w, acc, decoded, rotated, scores]) arena.release(pointer);
  plan.release();
  return { ...got, bytes, stride, query, weights, start: sums, q, trellis: shape.trellis! };
}

const bitsOf = (x: Float32Array): Uint32Array => new Uint32Array(x.buffer, x.byteOffset, x.length);

describe.each(TRELLIS_NAMES)("%s, packed", (name) => {
  test.each([32, 64, 96, 128, 160, 256, 576])("dim %i: what is read from windows", (dim) => {
    for (const rows of [1, 2, 7]) {
      const center = rows === 2 ? normals(dim, 8) : undefined;
      const got = readAll(wasm, name, dim, rows, center);
      const own = readAll(reference, name, dim, rows, center);
      for (const what of ["decoded", "rotated", "scores", "sums"] as const)
        expect(bitsOf(got[what]), what).toEqual(bitsOf(own[what]));
      const { bytes, stride, query, weights, q, trellis } = got;
      const sums = got.start.slice();
      const levels = new Float32Array(dim);
      for (let r = 0; r < rows; r++) {
        const row = bytes.subarray(r * stride, (r + 1) * stride);
        readTrellis(trellis, row.subarray(2), q.levels, levels);
        const scale = fromF16(row[0]! | (row[1]! << 8));
        expect(got.scores[r]).toBe(Math.fround(Math.fround(dot(query, levels) * scale) + 0.25));
        const weight = Math.fround(weights[r]! * scale);
        for (let i = 0; i < dim; i++) sums[i]! += Math.fround(weight * levels[i]!);
        for (let i = 0; i < dim; i++) levels[i]! *= scale;
        expect(got.rotated.subarray(r * dim, (r + 1) * dim)).toEqual(levels);
      }
      expect(got.sums).toEqual(sums);
    }
  });
});

test("tables with equal entries, where every choice is a tie, give the same codes", () => {
  for (const [bits, window] of [
    [1, 4],
    [2, 4],
    [3, 4],
    [2, 6],
    [3, 6],
    [4, 6],
  ] as const)
    for (const levels of [1, 2, 3]) {
      const dim = 64;
      const table = new Float32Array(1 << window).map((_, w) => (w % levels) - 1);
      const run = (k: typeof wasm): number[] => {
        const { q } = setupOf(dim, bits, "least-squares");
        const codebook = { bits, boundaries: new Float32Array(0), centroids: table };
        const plan = createPlan(k.arena, { ...q, codebook, levels: table }, undefined, window);
        const x = k.arena.allocate(4 * dim * 8);
        const out = k.arena.allocate(8 * (2 + (dim * bits) / 8));
        k.arena.f32.set(normals(dim * 8, 3), x >>> 2);
        k.encode(plan.pointer, x, 8, out);
        const bytes = [...k.arena.bytes(out, 8 * (2 + (dim * bits) / 8))];
        for (const at of [out, x]) k.arena.release(at);
        plan.release();
        return bytes;
      };
      expect(run(wasm)).toEqual(run(reference));
    }
});
