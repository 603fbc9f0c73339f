import { describe, expect, it } from "vitest";
import { randomStream } from "../../src/core/random.js";
import { findFormat } from "../../src/formats/registry.js";
import { referenceBytes } from "../../src/oracle/compare-packed.js";
import { BLOCK_MUTATIONS, mutantBytes, WIRE_MUTATIONS } from "../../src/oracle/mutants.js";
import { wireOf } from "../../src/oracle/pipeline/wire.js";
import { blockModel } from "../../src/oracle/stock/blocks.js";
import { packAll } from "../../src/oracle/stock/packings.js";
import { verify } from "../../src/oracle/verify.js";

const N = 64;

/** Gaussian, heavy-tailed, outlier channels, large, small, offset; one zero, one one-hot, one constant. */
function inputs(dim: number, seed: bigint): Float32Array {
  const r = randomStream(seed, "data");
  const x = new Float32Array(N * dim);
  for (let v = 0; v < N; v++)
    for (let i = 0; i < dim; i++) {
      let t = r.normal();
      if (v % 8 === 2) t /= Math.sqrt(Math.abs(r.normal()) + 0.05);
      if (v % 8 === 3 && i < 3) t *= 20;
      if (v % 8 === 4) t *= 100;
      if (v % 8 === 5) t *= 0.01;
      if (v % 8 === 6) t += 3;
      if (v === 15) t = 0;
      if (v === 23) t = i === 5 ? 1 : 0;
      if (v === 31) t = 0.5;
      x[v * dim + i] = t;
    }
  return x;
}

const KEY = { side: "key", seed: 0 } as const;
/** Outputs that no other fault of the catalogue can be told from: what is named instead. */
const SAME: Record<string, readonly string[]> = {
  "codebook-truncated": ["pack-plane-missing"],
  "pack-plane-missing": ["codebook-truncated"],
  "rotation-double": ["rotation-missing"],
};
const named = (id: string, got: string | undefined): boolean =>
  got === id || (SAME[id]?.includes(got ?? "") ?? false);

describe("no false alarm", () => {
  it.each([
    "llama/turbo2",
    "llama/turbo3",
    "llama/turbo4",
    "llama/turbo3-qk32",
    "turbo3",
    "vllm/4bit_nc",
    "onnxruntime/q4",
    "ggml/q8_0",
    "ggml/q5_1",
    "realizar/q4",
    "f16",
  ])("%s", (format) => {
    const input = inputs(64, 3n);
    const packed = referenceBytes(format, 64, input, KEY);
    const codec = findFormat(format).open({ dim: 64 });
    const decoded = new Float32Array(N * codec.width);
    codec.decodeNative(packed, decoded);
    expect(verify({ format, dim: 64, input, packed }).verdict).toBe("exact");
    expect(verify({ format, dim: 64, input, decoded }).verdict).toBe("exact");
  });

  it("tolerates halves one step off, and says how many", () => {
    const input = inputs(128, 4n);
    const packed = referenceBytes("llama/turbo3", 128, input, KEY);
    for (const v of [1, 8, 20]) packed[v * 50]! ^= 1;
    const r = verify({ format: "llama/turbo3", dim: 128, input, packed });
    expect(r.verdict).toBe("tolerated");
    expect(r.tolerated.normUlps).toBe(3);
  });

  it("does not tolerate two steps, and points at the byte", () => {
    const input = inputs(128, 4n);
    const packed = referenceBytes("llama/turbo3", 128, input, KEY);
    packed[8 * 50] = (packed[8 * 50]! + 2) & 255;
    const r = verify({ format: "llama/turbo3", dim: 128, input, packed });
    expect(r.verdict).toBe("faulty");
    expect(r.first).toMatchObject({ vector: 8, field: "norm", byte: 0 });
  });
});

describe("mutants are detected and named", () => {
  it.each([
    ["llama/turbo2", 128],
    ["llama/turbo3", 64],
    ["llama/turbo4", 256],
    ["turbo4", 96],
    ["onnxruntime/q4", 64],
  ] as const)("%s at %i", (format, dim) => {
    const wire = wireOf(format, dim, 0, "key")!;
    const input = inputs(dim, 11n);
    const due = mutantBytes(wire, input, []);
    expect(verify({ format, dim, input, packed: due }).verdict).not.toBe("faulty");
    const missed: string[] = [];
    let tried = 0;
    for (const m of WIRE_MUTATIONS) {
      const packed = mutantBytes(wire, input, [m]);
      if (packed.every((b, i) => b === due[i])) continue;
      tried++;
      const r = verify({ format, dim, input, packed });
      expect(r.verdict, m.id).toBe("faulty");
      if (!named(m.id, r.faults[0]?.id)) missed.push(`${m.id}: ${r.faults[0]?.id}`);
    }
    expect(tried).toBeGreaterThan(20);
    expect(missed.length, missed.join(", ")).toBeLessThanOrEqual(tried * 0.05);
  });

  it.each([
    ["rotation-unsigned", "norm-raw"],
    ["pack-nibble-order", "norm-squared"],
    ["rotation-missing", "pack-inverted"],
    ["codebook-uniform", "norm-raw"],
    ["rotation-signs-swapped", "codebook-uniform"],
  ])("the pair %s and %s", (a, b) => {
    const wire = wireOf("llama/turbo4", 128, 0, "key")!;
    const input = inputs(128, 12n);
    const pick = (id: string) => WIRE_MUTATIONS.find((m) => m.id === id)!;
    const r = verify({
      format: "llama/turbo4",
      dim: 128,
      input,
      packed: mutantBytes(wire, input, [pick(a), pick(b)]),
    });
    expect(r.faults[0]?.id).toBe([a, b].sort().join("+"));
  });

  it.each(["ggml/q8_0", "ggml/q4_0", "ggml/q5_0", "ggml/q4_1"])("%s", (format) => {
    const model = blockModel(format, "key", 128)!;
    const input = inputs(128, 13n);
    const due = packAll(model, input, { note: "" });
    for (const q of BLOCK_MUTATIONS) {
      const packed = packAll(model, input, q);
      if (packed.every((b, i) => b === due[i])) continue;
      const r = verify({ format, dim: 128, input, packed });
      expect(r.faults[0]?.id, `${q.id}`).toBe(q.id);
    }
  });
});

it("reports the cost of a table that conforms but is not Lloyd–Max", () => {
  const input = inputs(128, 5n);
  const r = verify({
    format: "llama/turbo4",
    dim: 128,
    input,
    packed: referenceBytes("llama/turbo4", 128, input, KEY),
  });
  expect(r.verdict).toBe("exact");
  expect(r.checks.find((c) => c.id === "codebook-unconverged")?.status).toBe("fail");
});

it("refuses sizes that nothing explains", () => {
  const input = inputs(128, 5n);
  expect(() =>
    verify({ format: "llama/turbo4", dim: 128, input, packed: new Uint8Array(12345).fill(7) }),
  ).toThrow(/12345 bytes: expected/);
});

it("halves cut toward zero pass one by one and are a fault together: the first of them is pointed at", () => {
  const dim = 128;
  const r = randomStream(3, "verify");
  const x = Float32Array.from({ length: 64 * dim }, () => r.normal());
  const wire = wireOf("llama/turbo4", dim, 0, "key")!;
  const due = referenceBytes("llama/turbo4", dim, x, { side: "key", seed: 0 });
  const packed = mutantBytes(
    wire,
    x,
    WIRE_MUTATIONS.filter((m) => m.id === "norm-f16-truncated"),
  );
  const stride = packed.length / 64;
  const at = packed.findIndex((byte, i) => byte !== due[i]);
  const found = verify({ format: "llama/turbo4", dim, input: x, packed });
  expect(found.faults[0]!.id).toBe("norm-f16-truncated");
  expect(found.first).toEqual({
    vector: Math.floor(at / stride),
    field: "norm",
    coordinate: null,
    byte: at % stride,
    expected: due[at],
    actual: packed[at],
  });
  const codec = findFormat("llama/turbo4").open({ dim });
  const values = new Float32Array(64 * dim);
  codec.decodeNative(packed, values);
  const decoded = verify({ format: "llama/turbo4", dim, input: x, decoded: values });
  expect(decoded.faults[0]!.id).toBe("norm-f16-truncated");
  expect(decoded.first!.vector).toBe(Math.floor(at / stride));
  expect(decoded.first!.expected).not.toBe(decoded.first!.actual);
});
