import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { dump, parse } from "npyjs";
import { describe, expect, test } from "vitest";
import { createCodec, lloydMax, randomStream } from "../../src/index.js";
import { turboquant } from "./run.js";

const dir = mkdtempSync(join(tmpdir(), "turboquant-"));
const at = (name: string): string => join(dir, name);
const stream = randomStream(1, "data");
const x = Float32Array.from({ length: 10 * 128 }, () => stream.normal());
writeFileSync(at("x.f32"), new Uint8Array(x.buffer));
writeFileSync(at("x.npy"), new Uint8Array(dump(x, [2, 5, 128])));
const floats = (bytes: Buffer): Float32Array => new Float32Array(Uint8Array.from(bytes).buffer);

describe("encode and decode", () => {
  test.each(["turbo4", "turbo2+qjl", "turbo2.5", "polar3.875", "ggml/q8_0", "llama/turbo3"])(
    "%s: the library's bytes and values, on both backends",
    (format) => {
      const codec = createCodec(format, { dim: 128, seed: 7 });
      const bytes = codec.encode(x);
      for (const backend of ["reference", "wasm"]) {
        const common = ["--format", format, "--dim", "128", "--seed", "7", "--backend", backend];
        expect(turboquant(["encode", ...common, at("x.f32"), at("packed")]).status).toBe(0);
        expect(new Uint8Array(readFileSync(at("packed")))).toEqual(bytes);
        expect(turboquant(["decode", ...common, at("packed"), at("y.f32")]).status).toBe(0);
        expect(floats(readFileSync(at("y.f32")))).toEqual(codec.decode(bytes));
      }
    },
  );
  test(".npy in and out, standard input and output", () => {
    const common = ["--format", "turbo4", "--dim", "128"];
    const codec = createCodec("turbo4", { dim: 128 });
    const piped = turboquant(["encode", ...common, "-", "-"], new Uint8Array(x.buffer));
    expect(new Uint8Array(piped.stdout)).toEqual(codec.encode(x));
    expect(turboquant(["encode", ...common, at("x.npy"), at("p.npy")]).status).toBe(0);
    expect(turboquant(["decode", ...common, at("p.npy"), at("y.npy")]).status).toBe(0);
    const y = parse(Uint8Array.from(readFileSync(at("y.npy"))).buffer);
    expect(y.shape).toEqual([10, 128]);
    expect(y.data).toEqual(codec.decode(codec.encode(x)));
  });
  test("--rotated gives the engine's own values, and is refused where there are none", () => {
    const codec = createCodec("llama/turbo3", { dim: 64 });
    writeFileSync(at("p64"), codec.encode(x));
    expect(
      turboquant(["decode", "--format", "llama/turbo3", "--dim", "64", "--rotated", at("p64"), at("r")])
        .status,
    ).toBe(0);
    expect(floats(readFileSync(at("r")))).toEqual(codec.decodeNative(codec.encode(x)));
    expect(
      turboquant(["decode", "--format", "turbo3", "--dim", "64", "--rotated", at("p64"), at("r")]).status,
    ).toBe(2);
  });
});

describe("bad use and bad data: one line, the right exit code, no partial file", () => {
  const nan = x.slice();
  nan[130] = Number.NaN;
  writeFileSync(at("nan.f32"), new Uint8Array(nan.buffer));
  writeFileSync(at("odd"), new Uint8Array(513));
  writeFileSync(at("empty"), new Uint8Array(0));
  writeFileSync(at("cut.npy"), readFileSync(at("x.npy")).subarray(0, 600));
  const base = ["encode", "--format", "turbo4", "--dim", "128"];
  test.each([
    ["unknown format", ["encode", "--format", "turbo9", "--dim", "128", "x.f32", "out"], 2, /turbo9/],
    ["missing option", ["encode", "--format", "turbo4", "x.f32", "out"], 2, /--dim/],
    [
      "dim that does not rotate",
      ["encode", "--format", "turbo4", "--dim", "80", "x.f32", "out"],
      2,
      /multiple of 32/,
    ],
    ["dim that is no number", ["encode", "--format", "turbo4", "--dim", "big", "x.f32", "out"], 2, /big/],
    ["unknown rule", [...base, "--scale", "best", "x.f32", "out"], 2, /best/],
    ["unknown command", ["encore"], 2, /encore/],
    ["not whole vectors", [...base, "odd", "out"], 1, /513 bytes/],
    ["empty", [...base, "empty", "out"], 1, /empty/],
    ["NaN", [...base, "nan.f32", "out"], 1, /vector 1 /],
    ["truncated npy", [...base, "cut.npy", "out"], 1, /npy|shape/],
    ["no such file", [...base, "absent.f32", "out"], 1, /absent/],
    ["packed of the wrong size", ["decode", "--format", "turbo4", "--dim", "128", "odd", "out"], 1, /66/],
  ] as const)("%s", (_, args, status, message) => {
    const files = ["x.f32", "odd", "empty", "nan.f32", "cut.npy", "absent.f32", "out"];
    const ran = turboquant(args.map((a) => (files.includes(a) ? at(a) : a)));
    expect(ran.status).toBe(status);
    expect(ran.stderr.trim().split("\n")).toHaveLength(1);
    expect(ran.stderr).toMatch(message);
    expect(readdirSync(dir).filter((f) => f.startsWith("out"))).toEqual([]);
  });
  test("an existing output survives a failure; sanitize mends and says so", () => {
    writeFileSync(at("kept"), "before");
    expect(turboquant([...base, at("nan.f32"), at("kept")]).status).toBe(1);
    expect(readFileSync(at("kept"), "utf8")).toBe("before");
    const mended = turboquant([...base, "--non-finite", "sanitize", at("nan.f32"), at("kept")]);
    expect(mended.status).toBe(0);
    expect(mended.stderr).toMatch(/1 vectors with NaN/);
  });
});

describe("codebook and formats", () => {
  test("codebook --json has the solver's digits", () => {
    const gaussian = JSON.parse(
      turboquant(["codebook", "--bits", "4", "--gaussian", "--json"]).stdout.toString(),
    );
    const book = lloydMax({ bits: 4, distribution: "gaussian" });
    expect(gaussian.centroids).toEqual([...book.centroids]);
    expect(gaussian.boundaries).toEqual([...book.boundaries]);
    expect(gaussian.distortion).toBe(book.distortion);
    const sphere = JSON.parse(
      turboquant(["codebook", "--bits", "2", "--dim", "64", "--json"]).stdout.toString(),
    );
    expect(sphere.centroids).toEqual([...lloydMax({ bits: 2, distribution: { sphere: 64 } }).centroids]);
    expect(turboquant(["codebook", "--bits", "9", "--gaussian"]).status).toBe(2);
    expect(turboquant(["codebook", "--bits", "2", "--gaussian", "--dim", "64"]).status).toBe(2);
  });
  test("formats --json lists names, bytes and sources", () => {
    const formats = JSON.parse(turboquant(["formats", "--json"]).stdout.toString());
    expect(formats.find((f: { name: string }) => f.name === "turbo3")).toMatchObject({
      family: "turboquant",
      bytesPerVector: { 64: 26, 128: 50, 256: 98 },
      bitsPerValue: { 128: 3.125 },
    });
    for (const f of formats)
      expect(Object.keys(f)).toEqual(expect.arrayContaining(["verified", "source", "dims"]));
    expect(turboquant(["formats"]).stdout.toString()).toContain("llama/turbo4");
  });
});
