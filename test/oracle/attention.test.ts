import { expect, it } from "vitest";
import { randomStream } from "../../src/core/random.js";
import { createCodec } from "../../src/formats/codec.js";
import { verifyAttention } from "../../src/oracle/attention.js";

const shape = {
  keyFormat: "llama/turbo4",
  valueFormat: "llama/turbo3",
  dim: 128,
  heads: 4,
  kvHeads: 2,
  causal: true,
};
const QUERIES = 3;
const TOKENS = 12;

function gaussian(n: number, seed: number): Float32Array {
  const r = randomStream(seed, "data");
  return Float32Array.from({ length: n }, () => r.normal());
}

const query = gaussian(QUERIES * 4 * 128, 1);
const key = gaussian(TOKENS * 2 * 128, 2);
const value = gaussian(TOKENS * 2 * 128, 3);

/** A plain path over the decoded cache; what is wrong with it comes as arguments. */
function attend(
  scale: number,
  headOf: (h: number) => number,
  seen: (t: number) => number,
  swap = false,
): Float32Array {
  const roundTrip = (format: string, x: Float32Array): Float32Array => {
    const codec = createCodec(format, { dim: 128 });
    return codec.decode(codec.encode(x));
  };
  const decodedKeys = roundTrip(shape.keyFormat, key);
  const decodedValues = roundTrip(shape.valueFormat, value);
  const [k, v] = swap ? [decodedValues, decodedKeys] : [decodedKeys, decodedValues];
  const out = new Float32Array(query.length);
  for (let t = 0; t < QUERIES; t++)
    for (let h = 0; h < 4; h++) {
      const at = (t * 4 + h) * 128;
      const row = (i: number): number => (i * 2 + headOf(h)) * 128;
      const scores = Array.from({ length: seen(t) }, (_, i) => {
        let s = 0;
        for (let j = 0; j < 128; j++) s += query[at + j]! * k[row(i) + j]!;
        return Math.exp(s * scale);
      });
      const sum = scores.reduce((a, b) => a + b, 0);
      for (let j = 0; j < 128; j++)
        out[at + j] = scores.reduce((a, p, i) => a + (p / sum) * v[row(i) + j]!, 0);
    }
  return out;
}

const SCALE = 1 / Math.sqrt(128);
const half = (h: number): number => h >> 1;
const causal = (t: number): number => TOKENS - QUERIES + t + 1;

it.each([
  ["conforming", undefined, attend(SCALE, half, causal)],
  ["a scale of 1/d", "attention-scale", attend(1 / 128, half, causal)],
  ["a scale nobody would guess", "attention-scale", attend(SCALE * 1.37, half, causal)],
  ["heads modulo", "gqa-mapping", attend(SCALE, (h) => h % 2, causal)],
  ["no mask", "causal-missing", attend(SCALE, half, () => TOKENS)],
  ["a lost token", "attention-off-by-one", attend(SCALE, half, (t) => causal(t) - 1)],
  ["sides exchanged", "kv-swapped", attend(SCALE, half, causal, true)],
  ["two at once", "attention-scale+gqa-mapping", attend(1 / 128, (h) => h % 2, causal)],
])("%s", (_name, id, output) => {
  const r = verifyAttention({ ...shape, query, key, value, output });
  expect(r.verdict).toBe(id ? "faulty" : "conforming");
  expect(r.faults[0]?.id).toBe(id);
});

it("refuses sizes that do not fit together", () => {
  expect(() => verifyAttention({ ...shape, query, key, value, output: new Float32Array(128) })).toThrow(
    /output has 128 values/,
  );
});
