/** What is wrong with what came is told in one line, with the right exit code, and within the time limit. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dump } from "npyjs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { writeSafetensors } from "../../src/files/safetensors.js";
import { createCodec } from "../../src/formats/codec.js";
import { turboquant } from "./run.js";

const dir = mkdtempSync(join(tmpdir(), "bad-input-"));
afterAll(() => rmSync(dir, { recursive: true }));
const at = (name: string): string => join(dir, name);

const DIM = 32;
const N = 40;
const x = Float32Array.from({ length: N * DIM }, (_, i) => Math.sin(i * i));
const packed = createCodec("ggml/q8_0", { dim: DIM }).encode(x);
const decoded = createCodec("ggml/q8_0", { dim: DIM }).decode(packed);
const put = (name: string, data: string | Uint8Array | Float32Array): void =>
  writeFileSync(
    at(name),
    typeof data === "string" ? data : new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  );

beforeAll(async () => {
  put("x.f32", x);
  put("y.bin", packed);
  put("y.f32", decoded);
  put("x.npy", new Uint8Array(dump(x, [2, N / 2, DIM])));
  put("y.npy", new Uint8Array(dump(packed, [N, 34])));
  put("odd.f32", new Uint8Array(4 * DIM * N - 1));
  put("short.f32", x.subarray(0, DIM * N - 7));
  put("empty", "");
  put(
    "noise.bin",
    Uint8Array.from({ length: 34 * N + 5 }, (_, i) => (i * i * 37) >> 3),
  );
  put("cut.npy", new Uint8Array(dump(x, [N, DIM])).subarray(0, 700));
  put("head.npy", new Uint8Array(dump(x, [N, DIM])).subarray(0, 9));
  put("wide.npy", new Uint8Array(dump(x, [N / 2, 2 * DIM])));
  put("words.npy", new Uint8Array(dump(new Int32Array(34 * N), [N, 34])));
  put("x.txt", "not numbers at all\n");
  put("cut.safetensors", "\x10\0\0\0\0\0\0\0{");
  const tensors = new Map([
    ["keys", { dtype: "F32" as const, shape: [N, DIM], data: x }],
    ["codes", { dtype: "U8" as const, shape: [N, 34], data: packed }],
  ]);
  await writeSafetensors(at("both.safetensors"), { metadata: {}, tensors });
});

/** Names of files here become their paths. */
const run = (args: readonly string[]) =>
  turboquant(
    args.map((a) =>
      /^[\w.]+\.(f32|bin|npy|txt|safetensors(:\w+)?|json|so)$|^(empty|absent|dir\w*)$/.test(a) ? at(a) : a,
    ),
  );
const PAIR = ["verify", "-f", "ggml/q8_0", "-d", `${DIM}`];

test.each([
  ["raw", "x.f32", "y.bin"],
  [".npy", "x.npy", "y.npy"],
  ["safetensors", "both.safetensors:keys", "both.safetensors:codes"],
])("read as %s: exact", (_, input, bytes) => {
  expect(run([...PAIR, "--input", input, "--packed", bytes])).toMatchObject({ status: 0, stderr: "" });
});
test("decoded values, and both: exact", () => {
  expect(run([...PAIR, "--input", "x.f32", "--decoded", "y.f32"]).status).toBe(0);
  expect(run([...PAIR, "--input", "x.f32", "--packed", "y.bin", "--decoded", "y.f32"]).status).toBe(0);
});

describe("one line, and the exit code", () => {
  test.each([
    // what, arguments, exit code, message
    [
      "odd bytes",
      [...PAIR, "--input", "odd.f32", "--packed", "y.bin"],
      1,
      /5119 bytes: expected a multiple of 128/,
    ],
    [
      "no whole vectors",
      [...PAIR, "--input", "short.f32", "--packed", "y.bin"],
      1,
      /expected a multiple of 128/,
    ],
    ["no vectors", [...PAIR, "--input", "empty", "--packed", "y.bin"], 1, /is empty/],
    ["no bytes", [...PAIR, "--input", "x.f32", "--packed", "empty"], 1, /is empty/],
    ["no values", [...PAIR, "--input", "x.f32", "--decoded", "empty"], 1, /is empty/],
    [
      "too many bytes",
      [...PAIR, "--input", "x.f32", "--packed", "noise.bin"],
      1,
      /1365 bytes: expected 1360/,
    ],
    [
      "too few values",
      [...PAIR, "--input", "x.f32", "--decoded", "short.f32"],
      1,
      /expected a multiple of 128/,
    ],
    ["no such input", [...PAIR, "--input", "absent", "--packed", "y.bin"], 1, /absent/],
    ["no such output", [...PAIR, "--input", "x.f32", "--packed", "absent"], 1, /absent/],
    ["a text", [...PAIR, "--input", "x.txt", "--packed", "y.bin"], 1, /19 bytes: expected a multiple of 128/],
    [".npy that is cut", [...PAIR, "--input", "cut.npy", "--packed", "y.bin"], 1, /does not match/],
    [
      ".npy that ends in its header",
      [...PAIR, "--input", "head.npy", "--packed", "y.bin"],
      1,
      /not a readable .npy/,
    ],
    [
      ".npy of another width",
      [...PAIR, "--input", "wide.npy", "--packed", "y.bin"],
      1,
      /last axis of 32, got shape \(20, 64\)/,
    ],
    [
      ".npy of another type",
      [...PAIR, "--input", "x.npy", "--packed", "words.npy"],
      1,
      /expected a .npy of u1, f2, f4 or f8, got <i4/,
    ],
    ["floats for bytes", [...PAIR, "--input", "x.npy", "--packed", "x.npy"], 1, /expected bytes/],
    ["bytes for floats", [...PAIR, "--input", "y.npy", "--packed", "y.npy"], 1, /expected floats/],
    ["safetensors that is cut", [...PAIR, "--input", "cut.safetensors", "--packed", "y.bin"], 1, /header/],
    [
      "safetensors without a name",
      [...PAIR, "--input", "both.safetensors", "--packed", "y.bin"],
      1,
      /one of keys, codes, got no name/,
    ],
    [
      "safetensors of bytes",
      [...PAIR, "--input", "both.safetensors:codes", "--packed", "y.bin"],
      1,
      /expected floats/,
    ],
    ["a folder without a manifest", ["verify", "dirless"], 1, /expected the manifest/],
    ["unknown format", ["verify", "-f", "q9", "-d", "32", "--input", "x.f32", "--packed", "y.bin"], 2, /q9/],
    [
      "a dimension it does not take",
      ["verify", "-f", "ggml/q8_0", "-d", "40", "--input", "x.f32", "--packed", "y.bin"],
      2,
      /multiples of 32/,
    ],
    ["a dimension that is no number", ["verify", "-f", "ggml/q8_0", "-d", "3x"], 2, /3x/],
    ["no dimension", ["verify", "-f", "ggml/q8_0", "--input", "x.f32", "--packed", "y.bin"], 2, /--dim/],
    ["no input", [...PAIR, "--packed", "y.bin"], 2, /--input/],
    ["nothing of the fork", [...PAIR, "--input", "x.f32"], 2, /--packed or --decoded/],
    ["library and process", [...PAIR, "--lib", "a.so", "--exec", "b"], 2, /--lib or --exec/],
    ["a time that is none", [...PAIR, "--exec", "cat", "--timeout", "0"], 2, /seconds/],
    ["no such library", [...PAIR, "--lib", "absent"], 1, /no such file/],
    ["a library that is none", [...PAIR, "--lib", "x.f32"], 1, /not a loadable library/],
    ["a trace that is none", ["verify", "trace", "x.txt"], 1, /./],
    ["no such trace", ["verify", "trace", "absent"], 1, /absent/],
    ["identify without bytes", ["identify", "--packed", "empty"], 1, /./],
    ["merge of what is no share", ["merge", "x.txt"], 1, /not JSON/],
    ["merge of what is not there", ["merge", "absent"], 1, /absent/],
    ["merge of nothing", ["merge"], 2, /files/],
    ["attention without its files", ["verify", "attention", "--dim", "32"], 2, /--key-format/],
  ] as const)("%s", (_, args, status, message) => {
    const ran = run(args);
    expect([ran.status, ran.stderr.trim().split("\n").length, ran.stdout.length]).toEqual([status, 1, 0]);
    expect(ran.stderr).toMatch(/^error: /);
    expect(ran.stderr).toMatch(message);
  });
});

test("NaN and infinities among the inputs are judged as what the format makes of them", () => {
  const wild = x.slice();
  wild.set([Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY], DIM);
  put("wild.f32", wild);
  put("wild.bin", createCodec("ggml/q8_0", { dim: DIM }).encode(wild));
  expect(run([...PAIR, "--input", "wild.f32", "--packed", "wild.bin"]).status).toBe(0);
});

const hasCompiler = spawnSync("cc", ["--version"]).status === 0;
describe.skipIf(!hasCompiler)("libraries (needs cc)", () => {
  const library = (name: string, body: string): string => {
    put(`${name}.c`, `#include <stdint.h>\n#include <stdlib.h>\n#include <unistd.h>\n${body}`);
    const ran = spawnSync("cc", ["-shared", "-fPIC", "-o", at(`${name}.so`), at(`${name}.c`)]);
    expect(ran.stderr.toString()).toBe("");
    return at(`${name}.so`);
  };
  const judge = (path: string, ...more: string[]) =>
    turboquant([
      "verify",
      "-f",
      "ggml/q8_0",
      "--timeout",
      "2",
      "--lib",
      path,
      "--dequantize-symbol",
      "",
      ...more,
    ]);
  const FUNCTION = "void quantize_row_q8_0_ref(const float *x, void *y, int64_t n)";

  test("without the symbol", () => {
    const { status, stderr } = judge(library("none", "int other;"));
    expect([status, stderr.trim().split("\n").length]).toEqual([1, 1]);
    expect(stderr).toContain("has no symbol quantize_row_q8_0_ref");
  });
  test.each([
    ["aborts", `${FUNCTION} { abort(); }`, /was ended by SIGABRT/],
    ["reads nowhere", `${FUNCTION} { *(volatile int *)8 = 1; }`, /was ended by SIGSEGV/],
    ["exits", `${FUNCTION} { _exit(0); }`, /exited with code 0 before it answered/],
    ["hangs", `${FUNCTION} { for (;;) sleep(1); }`, /did not answer "encode" within 2 s/],
  ])("that %s", (name, body, message) => {
    const began = Date.now();
    const { status, stderr } = judge(library(name.replace(" ", "_"), body));
    expect([status, stderr.trim().split("\n").length]).toEqual([1, 1]);
    expect(stderr).toMatch(message);
    expect(Date.now() - began).toBeLessThan(15_000);
  });
  test("that writes behind the end", () => {
    const body = `${FUNCTION} { for (int64_t i = 0; i < n / 32 * 34 + 64; i++) ((uint8_t *)y)[i] = 1; }`;
    const { status, stderr } = judge(library("over", body));
    expect([status, stderr.trim().split("\n").length]).toEqual([1, 1]);
    expect(stderr).toMatch(/packed data of 8768 bytes: expected 8704/);
  });
  test("that writes nothing is faulty", () => {
    const { status, stdout } = judge(library("inert", `${FUNCTION} { }`), "--json");
    expect([status, JSON.parse(stdout.toString()).faults[0].id]).toEqual([1, "pack-zero"]);
  });
});

describe("processes", () => {
  test.each([
    ["that is not there", "/nonexistent/fork", /exited with code 127/],
    [
      "that answers one value too few",
      "head -c 16 > /dev/null; printf '\\4\\0\\0\\0abc'; sleep 9",
      /within 1 s \(3 of 4 bytes came\)/,
    ],
    ["that ends itself", "kill -TERM $$", /SIGTERM|143/],
    [
      "that ignores the end of its input",
      "exec 2>/dev/null; trap '' PIPE; head -c 1 >/dev/null; while :; do sleep 1; done",
      /did not answer/,
    ],
  ])("%s", (_, command, message) => {
    const began = Date.now();
    const { status, stderr } = turboquant(["verify", "-f", "ggml/q8_0", "--timeout", "1", "--exec", command]);
    expect([status, stderr.trim().split("\n").length]).toEqual([1, 1]);
    expect(stderr).toMatch(message);
    expect(Date.now() - began).toBeLessThan(15_000);
  });
});

describe("directories", () => {
  const emit = (name: string, format: string): string => {
    mkdirSync(at(name));
    expect(turboquant(["vectors", "emit", at(name), "--format", format, "-d", "64"]).status).toBe(0);
    return at(name);
  };
  test("no output of the fork; a manifest that is damaged; a case that is gone", () => {
    const path = emit("dir_one", "ggml/q4_0");
    const judge = () => {
      const { status, stderr } = turboquant(["verify", path]);
      expect(stderr.trim().split("\n")).toHaveLength(1);
      return [status, stderr];
    };
    expect(judge()).toEqual([1, expect.stringMatching(/found none/)]);
    put("dir_one/one-hot.ggml-q4_0.bin", new Uint8Array(3));
    expect(judge()).toEqual([1, expect.stringMatching(/3 bytes: expected/)]);
    rmSync(join(path, "one-hot.f32"));
    expect(judge()).toEqual([1, expect.stringMatching(/one-hot\.f32/)]);
    put("dir_one/manifest.json", "{}");
    expect(judge()).toEqual([1, expect.stringMatching(/manifest\.json: formats/)]);
    put("dir_one/manifest.json", "nonsense");
    expect(judge()).toEqual([1, expect.stringMatching(/not JSON/)]);
  });
});
