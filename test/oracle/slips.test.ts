/** Slips as an engineer makes them, done by hand on bytes and values: what each is called. */
import { describe, expect, test, vi } from "vitest";
import { fromF16, toF16 } from "../../src/core/float.js";
import { findFormat } from "../../src/formats/registry.js";
import { budgetOf } from "../../src/oracle/budget.js";
import { referenceBytes } from "../../src/oracle/compare-packed.js";
import { normVerdicts } from "../../src/oracle/pipeline/norms.js";
import { verify } from "../../src/oracle/verify.js";
import { normals } from "../cache/vectors.js";

const DIM = 128;
const N = 64;
const x = normals(N * DIM, 41);
const bytesOf = (format: string, input = x): Uint8Array =>
  referenceBytes(format, DIM, input, { side: "key", seed: 0 });
const first = (format: string, packed: Uint8Array, input = x): string | undefined =>
  verify({ format, dim: DIM, input, packed }).faults[0]?.id;

/** Each block of `size` bytes, changed in place. */
function each(bytes: Uint8Array, size: number, change: (block: Uint8Array, k: number) => void): Uint8Array {
  for (let k = 0; k * size < bytes.length; k++) change(bytes.subarray(k * size, (k + 1) * size), k);
  return bytes;
}
const swapNorm = (block: Uint8Array): void => {
  block.subarray(0, 2).reverse();
};

/** ggml's q4_0 with a rounding of its own: x/d + 8 → code. */
function q40(code: (t: number) => number): Uint8Array {
  const out = new Uint8Array((x.length / 32) * 18);
  return each(out, 18, (block, k) => {
    const part = x.subarray(32 * k, 32 * k + 32);
    const most = part.reduce((m, v) => (Math.abs(v) > Math.abs(m) ? v : m), 0);
    const d = Math.fround(most / -8);
    const half = toF16(d);
    block[0] = half & 255;
    block[1] = half >> 8;
    const id = Math.fround(1 / d);
    part.forEach((v, i) => {
      const q = Math.max(0, Math.min(15, code(Math.fround(Math.fround(v * id) + 8))));
      block[2 + (i % 16)]! |= q << (i < 16 ? 0 : 4);
    });
  });
}

describe("stock blocks", () => {
  test("codes cut where a half was to be added", () => {
    expect(
      verify({ format: "ggml/q4_0", dim: DIM, input: x, packed: q40((t) => Math.trunc(t + 0.5)) }).verdict,
    ).toBe("exact");
    expect(first("ggml/q4_0", q40(Math.trunc))).toBe("quant-truncate");
  });

  test.each([
    ["ggml/q4_0", 18, 10, "pack-tail-dropped"],
    ["ggml/q8_0", 34, 18, "pack-tail-dropped"],
    ["ggml/q4_0", 18, 2, "pack-zero"],
  ] as const)("%s of %i bytes, zeros from byte %i on: %s", (format, size, from, id) => {
    const packed = each(bytesOf(format), size, (block) => block.fill(0, from));
    expect(first(format, packed)).toBe(id);
  });

  test("ties that all went to the even code, and ties that did not", () => {
    // d = 1: the largest of each block is 127, the others end on a half.
    const ties = Float32Array.from({ length: N * DIM }, (_, i) =>
      i % 32 === 0 ? 127 : ((i * 37) % 200) - 100 + 0.5,
    );
    const even = (t: number): number => (Math.floor(t) % 2 === 0 ? Math.floor(t) : Math.floor(t) + 1);
    const written = (keep: (i: number) => boolean): Uint8Array =>
      each(bytesOf("ggml/q8_0", ties), 34, (block, k) => {
        for (let i = 1; i < 32; i++) if (keep(i)) block[2 + i] = even(ties[32 * k + i]!);
      });
    expect(
      first(
        "ggml/q8_0",
        written(() => true),
        ties,
      ),
    ).toBe("quant-half-even");
    const some = verify({ format: "ggml/q8_0", dim: DIM, input: ties, packed: written((i) => i < 16) });
    expect(some.verdict).toBe("tolerated");
  });

  test("a scale that is never applied is one fault, whatever truncation would change", () => {
    const decoded = new Float32Array(x.length);
    each(bytesOf("ggml/q8_0"), 34, (block, k) => {
      for (let i = 0; i < 32; i++) decoded[32 * k + i] = (block[2 + i]! << 24) >> 24;
    });
    const { faults } = verify({ format: "ggml/q8_0", dim: DIM, input: x, decoded });
    expect(faults[0]?.id).toBe("norm-ignored");
  });
});

describe("packings, two at once", () => {
  test("complemented codes beside exchanged norm bytes", () => {
    const packed = each(bytesOf("llama/turbo2"), 34, (block) => {
      swapNorm(block);
      for (let b = 2; b < 34; b++) block[b]! ^= 255;
    });
    expect(first("llama/turbo2", packed)).toBe("endian-norm+pack-inverted");
  });

  test("exchanged nibbles beside complemented codes", () => {
    const codesAt = bytesOf("llama/turbo4").length / N - 64;
    const packed = each(bytesOf("llama/turbo4"), codesAt + 64, (block) => {
      for (let b = codesAt; b < block.length; b++) block[b] = ((block[b]! << 4) | (block[b]! >> 4)) ^ 255;
    });
    expect(first("llama/turbo4", packed)).toBe("pack-inverted+pack-nibble-order");
  });

  /** turbo3: norm, two bits of each code, then the third bits. */
  const repacked = (write: (block: Uint8Array, i: number, code: number) => void): Uint8Array =>
    each(bytesOf("llama/turbo3"), 50, (block) => {
      const codes = Array.from(
        { length: 128 },
        (_, i) =>
          ((block[2 + (i >> 2)]! >> (2 * (i & 3))) & 3) | (((block[34 + (i >> 3)]! >> (i & 7)) & 1) << 2),
      );
      block.fill(0, 2);
      codes.forEach((code, i) => {
        write(block, i, code);
      });
    });

  test("three planes of one bit", () => {
    const packed = repacked((block, i, code) => {
      for (let b = 0; b < 3; b++) block[2 + 16 * b + (i >> 3)]! |= ((code >> b) & 1) << (i & 7);
    });
    expect(first("llama/turbo3", packed)).toBe("pack-bitplane-order");
  });

  test("elements a quarter apart in a byte, third bits an eighth", () => {
    const packed = repacked((block, i, code) => {
      block[2 + (i % 32)]! |= (code & 3) << (2 * (i >> 5));
      block[34 + (i % 16)]! |= (code >> 2) << (i >> 4);
    });
    expect(first("llama/turbo3", packed)).toBe("pack-interleaved");
  });
});

describe("right codes", () => {
  test("under norms that are the bytes before them", () => {
    const packed = bytesOf("llama/turbo2");
    for (let at = 34; at < packed.length; at += 34) packed.copyWithin(at, at - 2, at);
    expect(first("llama/turbo2", packed)).toBe("overrun");
  });

  test("under norms of no rule are no rotation's fault", () => {
    const packed = each(bytesOf("llama/turbo2"), 34, (block, k) => {
      const half = toF16(fromF16(block[0]! | (block[1]! << 8)) * (1 + 0.3 * Math.sin(7 * k)));
      block[0] = half & 255;
      block[1] = half >> 8;
    });
    expect(first("llama/turbo2", packed)).toBe("unknown");
  });
});

test("a decoder's levels √½ of what they should be are a table's, not a rotation's", () => {
  const codec = findFormat("turbo3").open({ dim: DIM });
  const decoded = new Float32Array(x.length);
  codec.decode(bytesOf("turbo3"), decoded);
  const small = decoded.map((v) => Math.fround(v * Math.SQRT1_2));
  expect(verify({ format: "turbo3", dim: DIM, input: x, decoded: small }).faults[0]?.id).toBe(
    "codebook-sigma",
  );
});

test("a budget ends, and not before its time", () => {
  const none = budgetOf(0);
  const some = budgetOf(60_000);
  for (const end = performance.now() + 30; performance.now() < end; );
  expect([none.spent(), some.spent()]).toEqual([true, false]);
});

test("within its time a budget is not spent, however busy other threads are", () => {
  let used = 0;
  const spy = vi.spyOn(process, "cpuUsage").mockImplementation(() => ({ user: (used += 1e9), system: 0 }));
  const within = budgetOf(60_000).spent();
  spy.mockRestore();
  expect(within).toBe(false);
});

test("beyond its time it waits for the processor, but not for long", () => {
  const spy = vi.spyOn(process, "cpuUsage").mockReturnValue({ user: 0, system: 0 });
  let now = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => now);
  const budget = budgetOf(100);
  const spent = [90, 120, 139, 141].map((t) => {
    now = t;
    return budget.spent();
  });
  clock.mockRestore();
  spy.mockRestore();
  expect(spent).toEqual([false, false, false, true]);
});

test("a norm that ended just below a half beside truncated ones contradicts nothing", () => {
  const norms = Array.from({ length: 40 }, (_, i) => 1 + 0.0137 * i + 1e-4);
  const cut = (v: number): number => {
    const half = toF16(v);
    return fromF16(fromF16(half) > v ? half - 1 : half);
  };
  const cases = [
    ...norms.map((norm) => [norm, cut(norm)]),
    [fromF16(0x3d00) * (1 + 2e-8), fromF16(0x3cff)],
  ].map(([norm, stored]) => ({
    norm: norm!,
    stored: stored!,
    chosen: 1,
    inner: 1,
    x: new Float64Array(128),
  }));
  expect(normVerdicts("raw", cases, false, 128)[0]?.id).toBe("norm-f16-truncated");
  // A norm well above the half it was stored below is no truncation's.
  cases.push({ ...cases[0]!, norm: fromF16(0x3d00) * (1 + 3e-4), stored: fromF16(0x3cff) });
  expect(normVerdicts("raw", cases, false, 128)[0]?.id).toBeUndefined();
});
