import { describe, expect, it } from "vitest";
import { gaussianCodebook } from "../../src/core/codebook.js";
import { putF16 } from "../../src/core/little-endian.js";
import { seededRotation } from "../../src/core/seeded-rotation.js";
import { rotate } from "../../src/core/wht.js";
import { verify } from "../../src/oracle/verify.js";

const DIM = 64;
const N = 60;

/** turbo4 that never divides by the norm: codes of the rotated vector itself, `scale` stored. */
function unnormalised(x: Float32Array, scale: number): Uint8Array {
  const { boundaries } = gaussianCodebook(4);
  const out = new Uint8Array(N * 34);
  for (let v = 0; v < N; v++) {
    const z = x.slice(v * DIM, (v + 1) * DIM);
    rotate(seededRotation(DIM, 0), z);
    putF16(out, v * 34, scale);
    z.forEach((value, i) => {
      const code = boundaries.filter((b) => value >= b / Math.sqrt(DIM)).length;
      out[v * 34 + 2 + (i >> 1)]! |= code << (4 * (i & 1));
    });
  }
  return out;
}

describe("vectors that were never normalised", () => {
  it("are one fault when 1 is stored for the norm", () => {
    const x = Float32Array.from(
      { length: N * DIM },
      (_, i) => Math.sin(i * i * 0.37) * (0.05 + (i % 7) / 20),
    );
    const verdict = verify({ format: "turbo4", dim: DIM, input: x, packed: unnormalised(x, 1) });
    expect(verdict.verdict).toBe("faulty");
    expect(verdict.faults[0]?.id).toBe("norm-missing");
  });
});
