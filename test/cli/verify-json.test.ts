/** The JSON of every kind of check has the same keys, and its exit code says what it says. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync as readBytes, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { createCodec } from "../../src/formats/codec.js";
import { type Ran, turboquant } from "./run.js";

const dir = mkdtempSync(join(tmpdir(), "verify-json-"));
afterAll(() => rmSync(dir, { recursive: true }));
const put = (name: string, data: Uint8Array | Float32Array | string): string => {
  const bytes =
    typeof data === "string" ? data : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  writeFileSync(join(dir, name), bytes);
  return join(dir, name);
};

/** What the issue of the oracle promises, whatever was checked. */
function assertVerdict(ran: Ran, word: string): Record<string, unknown> & { faults: { id: string }[] } {
  const v = JSON.parse(ran.stdout.toString());
  expect(v.verdict).toBe(word);
  expect(ran.status).toBe(word === "faulty" ? 1 : 0);
  expect([typeof v.format, typeof v.dim, typeof v.vectors]).toEqual(["string", "number", "number"]);
  expect(v.tolerated).toEqual({ normUlps: expect.any(Number), boundaryFlips: expect.any(Number) });
  if (word === "faulty") {
    for (const key of ["vector", "field", "coordinate", "byte", "expected", "actual"])
      expect(v.first).toHaveProperty(key);
    expect(v.faults.length).toBeGreaterThan(0);
  } else expect([v.first, v.faults]).toEqual([null, []]);
  for (const fault of v.faults) {
    expect(fault).toEqual({
      id: expect.any(String),
      explains: expect.any(Number),
      evidence: expect.any(String),
    });
    expect(fault.id).toBe(fault.id.split("+").sort().join("+"));
  }
  const explains = v.faults.map((f: { explains: number }) => f.explains);
  for (const e of explains) expect(e >= 0 && e <= 1).toBe(true);
  expect(Array.isArray(v.checks)).toBe(true);
  for (const check of v.checks) {
    expect(Object.keys(check).sort()).toEqual(["id", "limit", "status", "value"]);
    expect(["pass", "fail", "info"]).toContain(check.status);
  }
  return v;
}

const DIM = 128;
const N = 64;
const x = Float32Array.from({ length: N * DIM }, (_, i) => Math.sin(i * i * 0.7));
const input = put("x.f32", x);
const inverted = (bytes: Uint8Array): Uint8Array => bytes.map((b, i) => (i % 68 < 4 ? b : ~b));
const good = createCodec("llama/turbo4", { dim: DIM }).encode(x);
const values = createCodec("llama/turbo4", { dim: DIM }).decodeNative(good);
const pair = ["verify", "--json", "-f", "llama/turbo4", "-d", `${DIM}`, "--input", input];

describe("a pair", () => {
  test("packed", () => {
    assertVerdict(turboquant([...pair, "--packed", put("good.bin", good)]), "exact");
    const bad = assertVerdict(turboquant([...pair, "--packed", put("bad.bin", inverted(good))]), "faulty");
    expect(bad.faults[0]!.id).toBe("pack-inverted");
    expect(bad).toMatchObject({ first: { vector: 0, field: "code", coordinate: 0, byte: 4 } });
  });
  test("decoded", () => {
    assertVerdict(turboquant([...pair, "--decoded", put("good.f32", values)]), "exact");
    const zeros = put("zeros.f32", new Float32Array(N * DIM));
    expect(assertVerdict(turboquant([...pair, "--decoded", zeros]), "faulty").faults[0]!.id).toBe(
      "decode-zero",
    );
  });
  test("within the tolerance", () => {
    const near = good.map((b, i) => (i === 68 * 5 ? b ^ 1 : b)); // the last bit of one norm
    expect(
      assertVerdict(turboquant([...pair, "--packed", put("near.bin", near)]), "tolerated"),
    ).toMatchObject({
      tolerated: { normUlps: 1, boundaryFlips: 0 },
    });
  });
  test("a size that a fault explains", () => {
    const short = put("short.bin", good.subarray(0, good.length - 68));
    const v = assertVerdict(turboquant([...pair, "--packed", short]), "faulty");
    expect([v.faults[0]!.id, v.first]).toEqual([
      "pack-tail-dropped",
      expect.objectContaining({ field: "size" }),
    ]);
  });
});

test("a directory: both formats, every case counted, the faulty half named", () => {
  const cases = join(dir, "cases");
  expect(
    turboquant(["vectors", "emit", cases, "-f", "ggml/q4_0", "-f", "llama/turbo4", "-d", "64,96"]).status,
  ).toBe(0);
  const encode = (format: string, name: string, dim: number, change = (b: Uint8Array) => b): void => {
    const from = join(cases, `${name}.f32`);
    const to = join(cases, `${name}.${format.replace("/", "-")}.bin`);
    expect(turboquant(["encode", "-f", format, "-d", `${dim}`, from, to]).status).toBe(0);
    writeFileSync(to, change(new Uint8Array(readBytes(to))));
  };
  for (const format of ["ggml/q4_0", "llama/turbo4"]) {
    encode(format, "gaussian", 64);
    encode(format, "gaussian-d96", 96);
  }
  const good = assertVerdict(turboquant(["verify", cases, "--json"]), "exact");
  expect(good.formats).toHaveLength(2);
  expect(good.cases).toEqual([
    expect.objectContaining({ case: "gaussian", dim: 64, packed: 0, decoded: null }),
    expect.objectContaining({ case: "gaussian-d96", dim: 96, packed: 0, decoded: null }),
  ]);
  encode("llama/turbo4", "gaussian-d96", 96, inverted);
  const bad = assertVerdict(turboquant(["verify", cases, "--json"]), "faulty");
  expect([bad.format, bad.dim, bad.faults[0]!.id]).toEqual(["llama/turbo4", 96, "pack-inverted"]);
  expect(bad.cases).toEqual([
    expect.objectContaining({ case: "gaussian", packed: 0 }),
    expect.objectContaining({ case: "gaussian-d96", packed: 64 }),
  ]);
});

const hasPython = spawnSync("python3", ["--version"]).status === 0;
test.skipIf(!hasPython)("a process (needs python3)", () => {
  const example = fileURLToPath(new URL("../../examples/fork.py", import.meta.url));
  const judge = (path: string): Ran =>
    turboquant(["verify", "--json", "-f", "ggml/f16", "--exec", `python3 "${path}"`]);
  assertVerdict(judge(example), "exact");
  const broken = String(readBytes(example)).replace('"<e", value)', '"<e", value * 0.5)');
  assertVerdict(judge(put("broken.py", broken)), "faulty");
});

test("attention", () => {
  const flags = [
    "--key-format",
    "f32",
    "--value-format",
    "f32",
    "--dim",
    "4",
    "--heads",
    "1",
    "--kv-heads",
    "1",
  ];
  const one = put("one.f32", Float32Array.of(1, 2, 3, 4));
  const judge = (output: string): Ran =>
    turboquant([
      "verify",
      "attention",
      "--json",
      ...flags,
      "--query",
      one,
      "--key",
      one,
      "--value",
      one,
      "--output",
      output,
    ]);
  assertVerdict(judge(one), "conforming");
  assertVerdict(judge(put("other.f32", Float32Array.of(4, 3, 2, 1))), "faulty");
});

test("a trace", () => {
  const shape = { dim: 4, kvHeads: 1, layers: 1, pageSize: 2, keyFormat: "f32", valueFormat: "f32" };
  const kv = { keys: "kv.f32", values: "kv.f32" };
  put("kv.f32", Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8));
  put("wrong.f32", Float32Array.of(5, 6, 7, 8, 1, 2, 3, 4));
  const judge = (keys: string): Ran => {
    const ops = [
      { op: "create", seq: "a" },
      { op: "append", seq: "a", layer: 0, count: 2, ...kv },
      { op: "read", seq: "a", layer: 0, length: 2, ...kv, keys },
    ];
    return turboquant(["verify", "trace", "--json", put("trace.json", JSON.stringify({ ...shape, ops }))]);
  };
  assertVerdict(judge("kv.f32"), "conforming");
  assertVerdict(judge("wrong.f32"), "faulty");
});
