/** D of the trellis formats over a real model's recorded keys and values, as the rotation leaves them. */
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { createCodec } from "../../src/index.js";
import { loadWasmSync } from "../../src/kernels/wasm.js";
import { readRecording } from "../../src/report/recording.js";

/** D on N(0,1) of the definition's own first training: at most 1 % more is allowed. */
const FIGURES = {
  trellis1: 0.301,
  trellis2: 0.0919,
  trellis3: 0.0272,
  trellis2x: 0.0812,
  trellis3x: 0.0236,
  trellis4x: 0.00688,
} as const;
const SEEDS = 8;
const HEAD = 64;

const recording = await readRecording(
  fileURLToPath(new URL("../../fixtures/recordings/smollm2-hound-kv.safetensors", import.meta.url)),
);
const backend = loadWasmSync();

/** The heads of every fourth token one behind the other, cut into vectors of `dim`. */
function vectorsOf(side: "key" | "value", dim: number): Float32Array {
  const { layers, kvHeads, tokens } = recording;
  const all: number[] = [];
  for (let t = 0; t < tokens; t += 4) {
    const row = layers.flatMap((layer) =>
      Array.from({ length: kvHeads }, (_, head) => (head * tokens + t) * HEAD).flatMap((at) => [
        ...layer[side].subarray(at, at + HEAD),
      ]),
    );
    all.push(...row.slice(0, row.length - (row.length % dim)));
  }
  return Float32Array.from(all);
}

/** Mean of ‖x − x̂‖²/‖x‖² over vectors and seeds. */
function distortion(format: string, x: Float32Array, dim: number): number {
  let sum = 0;
  for (let seed = 0; seed < SEEDS; seed++) {
    const codec = createCodec(format, { dim, seed, scale: "least-squares", backend });
    const y = codec.decode(codec.encode(x));
    for (let at = 0; at < x.length; at += dim) {
      let [off, all] = [0, 0];
      for (let i = at; i < at + dim; i++) {
        off += (x[i]! - y[i]!) ** 2;
        all += x[i]! ** 2;
      }
      sum += off / all;
    }
  }
  return sum / (SEEDS * (x.length / dim));
}

// At 96, a head and a half, blocks of 32 have unlike energies, which no rotation within blocks can even out.
test.each([
  ["key", 64, 1.01],
  ["key", 96, 1.03],
  ["key", 128, 1.01],
  ["key", 256, 1.01],
  ["value", 64, 1.01],
  ["value", 96, 1.03],
  ["value", 128, 1.01],
  ["value", 256, 1.01],
] as const)("%ss in vectors of %i cost at most %f of what random ones do", (side, dim, most) => {
  const x = vectorsOf(side, dim);
  for (const [format, figure] of Object.entries(FIGURES)) {
    const found = distortion(format, x, dim);
    expect(found, format).toBeLessThan(most * figure);
    expect(found, format).toBeGreaterThan(0.8 * figure);
    // The scalar code of the same bits would not pass.
    expect(distortion(`turbo${format[7]}`, x.subarray(0, 200 * dim), dim), format).toBeGreaterThan(
      1.05 * figure,
    );
  }
});
