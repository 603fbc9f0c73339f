/** The checklist of a fork: every item is there, and the one that a fault breaks fails. */
import { expect, it } from "vitest";
import { createCodec } from "../../src/formats/codec.js";
import { findFormat } from "../../src/formats/registry.js";
import { mutantBytes, WIRE_MUTATIONS } from "../../src/oracle/mutants.js";
import { wireOf } from "../../src/oracle/pipeline/wire.js";
import { verify } from "../../src/oracle/verify.js";
import { dataOf } from "./independent/data.js";

const ITEMS = [
  "1a-rotation",
  "1a-codebook",
  "1a-radius",
  "1a-one-normalisation",
  "1a-decoder",
  "1a-unbent",
  "1a-initialisation",
];
const input = dataOf("gauss", 128, 4, 32);
const format = "llama/turbo3";
const codec = createCodec(format, { dim: 128 });
const right = codec.encode(input);

const failing = (packed: Uint8Array): string[] =>
  verify({ format, dim: 128, input, packed })
    .checks.filter((c) => c.id.startsWith("1a-") && c.status === "fail")
    .map((c) => c.id);

it("has every item, once, also for bytes and values together", () => {
  const decoded = new Float32Array(input.length);
  findFormat(format).open({ dim: 128 }).decodeNative(right, decoded);
  const { checks } = verify({ format, dim: 128, input, packed: right, decoded });
  expect(checks.map((c) => c.id).filter((id) => id.startsWith("1a-"))).toEqual(ITEMS);
  expect(new Set(checks.map((c) => c.id)).size).toBe(checks.length);
  expect(failing(right)).toEqual([]);
});

it.each([
  ["rotation-unsigned", ["1a-rotation"]],
  ["rotation-scale", ["1a-rotation", "1a-unbent"]],
  ["codebook-uniform", ["1a-codebook"]],
  ["norm-f16-truncated", ["1a-radius"]],
  ["norm-raw", ["1a-one-normalisation"]],
])("%s fails %j", (id, items) => {
  const mutation = WIRE_MUTATIONS.find((m) => m.id === id)!;
  expect(failing(mutantBytes(wireOf(format, 128, 0, "key")!, input, [mutation]))).toEqual(items);
});
