/** Forks that run: a compiled process, a real ggml where it is installed, and everything that can go wrong with one. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { writeSafetensors } from "../../src/files/safetensors.js";
import { createCodec } from "../../src/formats/codec.js";
import { turboquant } from "./run.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "fork-"));
afterAll(() => rmSync(dir, { recursive: true }));

const GGML = join(root, "node_modules/@node-llama-cpp/linux-x64/bins/linux-x64/libggml-base.so");
const hasCompiler = spawnSync("cc", ["--version"]).status === 0;

describe.skipIf(!existsSync(GGML))("the ggml of @node-llama-cpp/linux-x64 (installed by .ci/run)", () => {
  test.each(["q8_0", "q4_0", "q4_1", "q5_0", "q5_1"])("%s is exact", (type) => {
    const { status, stdout } = turboquant(["verify", "--lib", GGML, "--format", `ggml/${type}`, "--json"]);
    const { verdict, parts } = JSON.parse(stdout.toString());
    expect([status, verdict]).toEqual([0, "exact"]);
    expect(parts.map((p: { part: string }) => p.part)).toEqual(["packed", "decoded"]);
  });
  test("a symbol that it has not", () => {
    const { status, stderr } = turboquant(["verify", "--lib", GGML, "--format", "llama/turbo4"]);
    expect([status, stderr.split("\n").length]).toEqual([1, 2]);
    expect(stderr).toContain("has no symbol quantize_row_turbo4_0_ref");
  });
});

describe.skipIf(!hasCompiler)("examples/fork.c (needs cc)", () => {
  const build = (name: string, ...flags: string[]): string => {
    const out = join(dir, name);
    const ran = spawnSync("cc", ["-O2", "-o", out, join(root, "examples/fork.c"), ...flags, "-lm"]);
    expect(ran.stderr.toString()).toBe("");
    return out;
  };
  const judge = (fork: string) => {
    const { status, stdout } = turboquant(["verify", "--exec", fork, "--format", "ggml/q8_0", "--json"]);
    return { status, ...JSON.parse(stdout.toString()) };
  };
  test("is exact", () => expect(judge(build("fork"))).toMatchObject({ status: 0, verdict: "exact" }));
  test("without rounding is faulty, and named", () => {
    const verdict = judge(build("truncating", "-fno-builtin", "-Droundf=truncf"));
    expect(verdict).toMatchObject({ status: 1, verdict: "faulty" });
    expect(verdict.faults[0].id).toBe("quant-truncate");
  });
});

const hasPython = spawnSync("python3", ["--version"]).status === 0;
test.skipIf(!hasPython)("examples/fork.py is exact (needs python3)", () => {
  const fork = `python3 "${join(root, "examples/fork.py")}"`;
  const { status, stdout } = turboquant(["verify", "--exec", fork, "--format", "ggml/f16", "--json"]);
  expect([status, JSON.parse(stdout.toString()).verdict]).toEqual([0, "exact"]);
});

test("an input from safetensors by name; a name that is not there is told", async () => {
  const path = join(dir, "x.safetensors");
  const data = Float32Array.from({ length: 4 * 32 }, (_, i) => Math.sin(i));
  const tensor = { dtype: "F32" as const, shape: [4, 32], data };
  await writeSafetensors(path, {
    metadata: {},
    tensors: new Map([
      ["a", tensor],
      ["b", tensor],
    ]),
  });
  const packed = join(dir, "x.bin");
  writeFileSync(packed, createCodec("ggml/q8_0", { dim: 32 }).encode(data));
  const judge = (input: string) =>
    turboquant(["verify", "-f", "ggml/q8_0", "-d", "32", "--input", input, "--packed", packed]);
  expect(judge(`${path}:b`)).toMatchObject({ status: 0, stderr: "" });
  for (const wrong of [path, `${path}:c`]) {
    const { status, stderr } = judge(wrong);
    expect([status, stderr.trim().split("\n").length]).toEqual([1, 1]);
    expect(stderr).toContain("one of a, b");
  }
});

test.each([
  ["exit 3", /exited with code 3 before it answered "encode"/],
  ["sleep 60", /did not answer "encode" within 1 s/],
  ["cat /dev/zero", /answered too much/],
  ["printf 'Loading the model'; cat > /dev/null", /begins with the text "Load"/],
  ["printf '\\100\\000\\000\\000abc'; exit 0", /before it answered "encode" \(3 of 64 bytes came\)/],
])("--exec %s", (command, message) => {
  const { status, stderr } = turboquant([
    "verify",
    "--format",
    "ggml/q8_0",
    "--timeout",
    "1",
    "--exec",
    command,
  ]);
  expect([status, stderr.trim().split("\n").length]).toEqual([1, 1]);
  expect(stderr).toMatch(message);
});
