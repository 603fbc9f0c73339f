/** The llama.cpp fork's formats where they are special: empty, infinite and NaN groups, ties, padding, layouts. */
import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { toF16 } from "../../src/core/float.js";
import { getU16 } from "../../src/core/little-endian.js";
import { rotate, unrotate } from "../../src/core/wht.js";
import { LLAMA_FOUR, LLAMA_THREE, LLAMA_TWO } from "../../src/formats/llama-codebooks.js";
import { denseMatrices } from "../../src/formats/llama-dense.js";
import { llamaRotation } from "../../src/formats/llama-rotation.js";
import { nativeIndex } from "../../src/formats/native-codebook.js";
import { findFormat } from "../../src/formats/registry.js";
import { loadWasmSync } from "../../src/kernels/wasm.js";
import { plainVectors, trickyVectors } from "../contract/inputs.js";

const encode = (name: string, x: Float32Array): Uint8Array => {
  const codec = findFormat(`llama/${name}`).open({ dim: x.length });
  const out = new Uint8Array(codec.bytesPerVector).fill(0xee);
  codec.encode(x, out);
  return out;
};
const wave = (n: number, scale = 1): Float32Array =>
  Float32Array.from({ length: n }, (_, i) => scale * (Math.sin(i * 2.3) + Math.cos(i * i)));
const allEqual = (bytes: Uint8Array, value: number): boolean => bytes.every((b) => b === value);

describe("index: the number of boundaries that the value is not below", () => {
  it("a tie goes up, 0 and −0 to the upper middle cell, NaN to the top", () => {
    for (const book of [LLAMA_TWO, LLAMA_THREE, LLAMA_FOUR]) {
      const middle = book.centroids.length / 2;
      for (const [i, b] of book.boundaries.entries()) expect(nativeIndex(book, b)).toBe(i + 1);
      for (const [i, c] of book.centroids.entries()) expect(nativeIndex(book, c)).toBe(i);
      expect([nativeIndex(book, 0), nativeIndex(book, -0)]).toEqual([middle, middle]);
      expect(nativeIndex(book, Number.NaN)).toBe(book.centroids.length - 1);
    }
  });
});

describe("groups without a usable norm", () => {
  const empty = (name: string, x: Float32Array): void => {
    const bytes = encode(name, x);
    expect(getU16(bytes, 0)).toBe(0);
    if (name === "turbo2") expect(allEqual(bytes.subarray(2), 0xaa)).toBe(true);
    if (name === "turbo3") {
      expect(allEqual(bytes.subarray(2, 34), 0)).toBe(true);
      expect(allEqual(bytes.subarray(34), 0xff)).toBe(true);
    }
    if (name === "turbo4") {
      expect(getU16(bytes, 2)).toBe(0);
      expect(allEqual(bytes.subarray(4), 0x88)).toBe(true);
    }
    const codec = findFormat(`llama/${name}`).open({ dim: 128 });
    const out = new Float32Array(128);
    codec.decode(bytes, out);
    expect([...out].every((v) => v === 0)).toBe(true);
  };

  it.each(["turbo2", "turbo3", "turbo4"])("%s: zeros, negative zeros and norms up to 1e-10", (name) => {
    empty(name, new Float32Array(128));
    empty(name, new Float32Array(128).fill(-0));
    const tiny = new Float32Array(128);
    tiny[5] = 0.99e-10;
    empty(name, tiny);
  });

  it("a norm that overflows f32 is infinite, and the indices are those of 0", () => {
    const bytes = encode("turbo3", wave(128, 1e20));
    expect(getU16(bytes, 0)).toBe(0x7c00);
    expect(allEqual(bytes.subarray(2, 34), 0)).toBe(true);
    expect(allEqual(bytes.subarray(34), 0xff)).toBe(true);
  });

  it("an infinite element: norm infinite, every index the top one", () => {
    const x = wave(128);
    x[9] = Number.NEGATIVE_INFINITY;
    for (const name of ["turbo2", "turbo4"]) {
      const bytes = encode(name, x);
      expect(getU16(bytes, 0)).toBe(0x7c00);
      expect(allEqual(bytes.subarray(name === "turbo4" ? 4 : 2), 0xff)).toBe(true);
    }
  });

  it("a NaN element: norm 0x7e00; the top index in turbo2 and turbo3, that of 0 in turbo4", () => {
    const x = wave(128);
    x[100] = Number.NaN;
    expect(getU16(encode("turbo2", x), 0)).toBe(0x7e00);
    expect(allEqual(encode("turbo2", x).subarray(2), 0xff)).toBe(true);
    expect(allEqual(encode("turbo3", x).subarray(2), 0xff)).toBe(true);
    expect(getU16(encode("turbo4", x), 0)).toBe(0x7e00);
    expect(allEqual(encode("turbo4", x).subarray(4), 0x88)).toBe(true);
  });

  it("x86's own NaN has its sign set: an infinity in a legacy residual, opposite infinities in a weight", () => {
    const x = wave(128);
    x[9] = Number.POSITIVE_INFINITY;
    expect(getU16(encode("turbo4-qjl", x), 2)).toBe(0xfe00);
    const w = wave(32);
    w[3] = Number.POSITIVE_INFINITY;
    expect(getU16(encode("tq3_1s", w), 0)).toBe(0xfe00);
  });
});

describe("layouts", () => {
  it("turbo3 is low bits and high bits, turbo4 nibbles, each behind the corrected norm", () => {
    const x = wave(128);
    const rotated = Float32Array.from(x);
    rotate(llamaRotation(128), rotated);
    const norm = Math.sqrt(x.reduce((sum, v) => sum + v * v, 0));
    const three = encode("turbo3", x);
    const four = encode("turbo4", x);
    let squares = 0;
    for (let j = 0; j < 128; j++) {
      const i3 =
        ((three[2 + (j >> 2)]! >> (2 * (j & 3))) & 3) | (((three[34 + (j >> 3)]! >> (j & 7)) & 1) << 2);
      const i4 = (four[4 + (j >> 1)]! >> (4 * (j & 1))) & 15;
      expect(i3).toBe(nativeIndex(LLAMA_THREE, rotated[j]! / norm));
      expect(i4).toBe(nativeIndex(LLAMA_FOUR, rotated[j]! / norm));
      squares += LLAMA_THREE.centroids[i3]! ** 2;
    }
    expect(getU16(three, 0)).toBe(toF16(norm / Math.sqrt(squares)));
  });

  it("qk32 repeats the norm of the group in every run and otherwise holds the same indices", () => {
    const x = wave(128);
    const whole = encode("turbo2", x);
    const runs = encode("turbo2-qk32", x);
    expect(runs).toHaveLength(40);
    for (let r = 0; r < 4; r++) {
      expect(runs.subarray(10 * r, 10 * r + 2)).toEqual(whole.subarray(0, 2));
      expect(runs.subarray(10 * r + 2, 10 * r + 10)).toEqual(whole.subarray(2 + 8 * r, 10 + 8 * r));
    }
  });

  it.each([
    ["turbo3", 1, 128, 50],
    ["turbo3", 96, 128, 50],
    ["turbo3", 576, 640, 250],
    ["turbo4", 192, 256, 136],
    ["turbo2-qk32", 64, 64, 20],
    ["turbo2-qk32", 96, 128, 40],
    ["turbo3-qk32", 192, 192, 84],
    ["turbo3-qjl", 64, 128, 52],
    ["turbo4-qjl", 256, 256, 136],
    ["tq3_1s", 64, 64, 32],
    ["tq4_1s", 96, 96, 60],
  ])("%s: a head of %i has %i native values in %i bytes", (name, dim, width, bytes) => {
    const format = findFormat(`llama/${name}`);
    const codec = format.open({ dim });
    expect([codec.width, codec.bytesPerVector, format.vectorBytes(dim)]).toEqual([width, bytes, bytes]);
  });

  it("a padded head is the zero-padded head, and decoding crops it", () => {
    const x = wave(96);
    const padded = new Float32Array(128);
    padded.set(x);
    const bytes = encode("turbo3", x);
    expect(bytes).toEqual(encode("turbo3", padded));
    const cropped = new Float32Array(96);
    findFormat("llama/turbo3").open({ dim: 96 }).decode(bytes, cropped);
    const whole = new Float32Array(128);
    findFormat("llama/turbo3").open({ dim: 128 }).decode(bytes, whole);
    expect(cropped).toEqual(whole.subarray(0, 96));
  });
});

it.each([32, 64, 128] as const)("the rotation of %i values is undone by its inverse", (group) => {
  const x = wave(group);
  const y = Float32Array.from(x);
  rotate(llamaRotation(group), y);
  expect(y).not.toEqual(x);
  unrotate(llamaRotation(group), y);
  for (let i = 0; i < group; i++) expect(y[i]).toBeCloseTo(x[i]!, 5);
});

it("the dense matrices are the native ones (digests of the C code's arrays)", () => {
  const digest = (m: Float32Array): string =>
    createHash("sha256").update(new Uint8Array(m.buffer)).digest("hex");
  const { rotation, sketch } = denseMatrices();
  expect(digest(rotation)).toBe("98e68773ebcb6d19207557e5922d907e452b75d9af049223cb6269c019ffa320");
  expect(digest(sketch)).toBe("109f3bfba78b204bfdf1ebe0c93126a54ca972edb21f995dd5129f33823df119");
});

describe("with kernels", () => {
  it.each(["turbo2", "turbo3", "turbo4", "turbo2-qk32", "turbo3-qk32"])("%s: the same bytes", (name) => {
    const kernels = loadWasmSync();
    for (const dim of [64, 96, 128, 200, 256])
      for (const x of [plainVectors(20, dim, dim), trickyVectors(40, dim, dim + 1)]) {
        const [plain, fast] = [undefined, kernels].map((k) => {
          const codec = findFormat(`llama/${name}`).open({ dim, ...(k ? { kernels: k } : {}) });
          const out = new Uint8Array((x.length / dim) * codec.bytesPerVector);
          // Memory that grows in between moves what the codec looks at.
          k?.arena.release(k.arena.allocate(k.arena.u8.length));
          codec.encode(x, out);
          return out;
        });
        expect(fast).toEqual(plain);
      }
  });
});

it.each(["turbo2", "turbo3", "turbo4"])(
  "%s: the padding of a head holds nothing of the heads before",
  (name) => {
    for (const kernels of [undefined, loadWasmSync()]) {
      const codec = findFormat(`llama/${name}`).open({ dim: 96, ...(kernels ? { kernels } : {}) });
      const x = plainVectors(3, 96, 1);
      x.fill(0, 96, 192);
      const out = new Uint8Array(3 * codec.bytesPerVector);
      codec.encode(x, out);
      for (let v = 0; v < 3; v++)
        expect(out.slice(v * codec.bytesPerVector, (v + 1) * codec.bytesPerVector)).toEqual(
          encode(name, x.slice(96 * v, 96 * (v + 1))),
        );
    }
  },
);
