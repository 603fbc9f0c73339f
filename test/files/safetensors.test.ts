import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readSafetensors, tensorToF32, writeSafetensors } from "../../src/files/safetensors.js";

const folder = mkdtempSync(join(tmpdir(), "safetensors-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** The format's bytes made here by hand, not by the writer under test. */
function file(name: string, header: string, data: Uint8Array, length = BigInt(header.length)): string {
  const bytes = Buffer.alloc(8 + header.length + data.length);
  bytes.writeBigUInt64LE(length);
  bytes.write(header, 8, "latin1");
  bytes.set(data, 8 + header.length);
  const path = join(folder, name);
  writeFileSync(path, bytes);
  return path;
}

test("reads every type, in the order of the data", async () => {
  const data = Buffer.from("003c00c0" + "803f40c0" + "0000c03f" + "ffffffff07000000", "hex");
  const header = JSON.stringify({
    ints: { dtype: "I32", shape: [2, 1], data_offsets: [12, 20] },
    halves: { dtype: "F16", shape: [2], data_offsets: [0, 4] },
    brains: { dtype: "BF16", shape: [1, 2], data_offsets: [4, 8] },
    scalar: { dtype: "F32", shape: [], data_offsets: [8, 12] },
    __metadata__: { rope: "adjacent" },
  });
  const { metadata, tensors } = await readSafetensors(file("all", header, data));
  expect(metadata).toEqual({ rope: "adjacent" });
  expect([...tensors.keys()]).toEqual(["halves", "brains", "scalar", "ints"]);
  expect([...tensorToF32(tensors.get("halves")!)]).toEqual([1, -2]);
  expect([...tensorToF32(tensors.get("brains")!)]).toEqual([1, -3]);
  expect([...tensorToF32(tensors.get("scalar")!)]).toEqual([1.5]);
  expect([...tensors.get("ints")!.data]).toEqual([-1, 7]);
  expect(tensors.get("ints")!.shape).toEqual([2, 1]);
});

test("what is written is read back, and the bytes are the format's", async () => {
  const path = join(folder, "written");
  const tensors = new Map([
    ["a", { dtype: "F16" as const, shape: [3], data: Uint16Array.of(1, 2, 0xfbff) }],
    // A view into a larger buffer: only the view is written.
    ["b", { dtype: "F32" as const, shape: [1, 2], data: new Float32Array([9, 0.5, -7, 9]).subarray(1, 3) }],
  ]);
  await writeSafetensors(path, { metadata: { what: "test" }, tensors });
  const read = await readSafetensors(path);
  expect(read.metadata).toEqual({ what: "test" });
  expect([...read.tensors.get("a")!.data]).toEqual([1, 2, 0xfbff]);
  expect([...read.tensors.get("b")!.data]).toEqual([0.5, -7]);
  const bytes = readFileSync(path);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  expect(headerBytes % 8).toBe(0);
  expect(JSON.parse(bytes.toString("utf8", 8, 8 + headerBytes)).b).toEqual({
    dtype: "F32",
    shape: [1, 2],
    data_offsets: [6, 14],
  });
  expect(bytes.readFloatLE(8 + headerBytes + 6)).toBe(0.5);
});

test("a failed write leaves the old file and nothing else", async () => {
  const inside = mkdtempSync(join(folder, "atomic-"));
  const path = join(inside, "kept");
  writeFileSync(path, "old");
  const wrong = new Map([["a", { dtype: "F32" as const, shape: [3], data: new Float32Array(2) }]]);
  await expect(writeSafetensors(path, { metadata: {}, tensors: wrong })).rejects.toThrow(RangeError);
  await expect(
    writeSafetensors(join(inside, "missing", "x"), { metadata: {}, tensors: new Map() }),
  ).rejects.toThrow(/ENOENT/);
  expect(readFileSync(path, "utf8")).toBe("old");
  expect(readdirSync(inside)).toEqual(["kept"]);
});

const one = (over: object) =>
  JSON.stringify({ a: { dtype: "F32", shape: [1], data_offsets: [0, 4], ...over } });
const four = new Uint8Array(4);
const damaged: [string, string, Uint8Array, bigint?][] = [
  ["header longer than the file", one({}), four, 1n << 40n],
  ["a length that is no safe integer", one({}), four, (1n << 64n) - 1n],
  ["not JSON", "{x", four],
  ["not an object", "[1]", four],
  ["unknown type", one({ dtype: "F8" }), four],
  ["a type named like a method", one({ dtype: "toString" }), four],
  ["negative size", one({ shape: [-1] }), four],
  ["fractional size", one({ shape: [0.5] }), four],
  ["shape against offsets", one({ shape: [2] }), four],
  ["huge shape", one({ shape: [2 ** 40, 2 ** 40] }), four],
  ["offsets beyond the file", one({ shape: [2], data_offsets: [0, 8] }), four],
  ["a gap before the first tensor", one({ data_offsets: [4, 8] }), new Uint8Array(8)],
  ["bytes left over", one({}), new Uint8Array(5)],
  ["no offsets", one({ data_offsets: null }), four],
  ["an entry that is a text", JSON.stringify({ a: "x" }), four],
  ["metadata of numbers", JSON.stringify({ __metadata__: { a: 1 } }), new Uint8Array(0)],
  [
    "overlapping tensors",
    JSON.stringify({
      a: { dtype: "F32", shape: [1], data_offsets: [0, 4] },
      b: { dtype: "F32", shape: [1], data_offsets: [2, 6] },
    }),
    new Uint8Array(6),
  ],
];
test.each(damaged)("BAD_FILE: %s", async (name, header, data, length) => {
  const path = file(name.replaceAll(" ", "-"), header, data, length);
  await expect(readSafetensors(path)).rejects.toMatchObject({ name: "FormatError", code: "BAD_FILE" });
});

test("BAD_FILE: too short to have a header", async () => {
  writeFileSync(join(folder, "short"), "1234");
  await expect(readSafetensors(join(folder, "short"))).rejects.toMatchObject({ code: "BAD_FILE" });
});
