/** Forks that run: a compiled process, a real ggml where it is installed, and everything that can go wrong with one. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
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
