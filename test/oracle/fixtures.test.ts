/** The vectors that ship: the definition still gives its own bytes, and codebooks are those of an independent computation. */
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { decode, encode } from "@msgpack/msgpack";
import { describe, expect, test } from "vitest";
import { type Distribution, lloydMax } from "../../src/core/lloyd-max.js";
import { allFormats } from "../../src/formats/registry.js";
import { parseRecorded } from "../../src/oracle/recorded/parse.js";
import { judgeRecorded } from "../../src/oracle/recorded/recorded.js";
import { seededVectors } from "../../src/oracle/seeded-cases.js";
import { turboquant } from "../cli/run.js";

// biome-ignore lint/suspicious/noExplicitAny: each test knows the fields of its file
type Fixture = any;
const folder = new URL("../../fixtures/", import.meta.url);
const load = (name: string) => parseRecorded(readFileSync(new URL(`${name}.msgpack`, folder))) as Fixture;
const generator = fileURLToPath(new URL("../../scripts/generate-fixtures.mjs", import.meta.url));

describe("definition", () => {
  const names = readdirSync(new URL("definition", folder)).map((f) => f.replace(".msgpack", ""));

  test("has a file of every format of ours, each flagged case with what it exposes", () => {
    const ours = allFormats().filter((f) => ["turboquant", "polarquant", "plain"].includes(f.family));
    expect([...names].sort()).toEqual(ours.map((f) => f.name).sort());
    for (const name of names)
      for (const one of load(`definition/${name}`).cases) expect(one.flags.length).toBeGreaterThan(0);
  });

  test.each(names)("%s is reproduced; a flipped byte of packed or decoded is not", (name) => {
    const file = load(`definition/${name}`);
    expect(judgeRecorded(file)).toEqual({ cases: file.cases.length, mismatches: 0 });
    for (const field of ["packed", "decoded"]) {
      const bytes = Uint8Array.from(file.cases[0][field]);
      bytes[5]! ^= 4;
      const cases = [{ ...file.cases[0], [field]: bytes }];
      expect(judgeRecorded({ ...file, cases }).mismatches, field).toBe(1);
    }
  });

  test("a case without a side, or of another dimension, is refused", () => {
    const file = load("definition/turbo4");
    for (const wrong of [{ side: "both" }, { dim: 100 }, { vectors: 3 }])
      expect(() => judgeRecorded({ ...file, cases: [{ ...file.cases[0], ...wrong }] })).toThrow(
        expect.objectContaining({ code: "BAD_FILE" }),
      );
  });
});

test("the generator agrees with what ships, digests of the first 1000 vectors included", () => {
  const ran = spawnSync(process.execPath, [generator, "--check", "--vectors", "1000"], { encoding: "utf8" });
  expect([ran.status, ran.stderr]).toEqual([0, ""]);
});

test("seeded vectors: the values of a C program, in whatever portions", () => {
  // The loop of docs/fixtures.md, compiled with cc, printing its sums.
  const all = seededVectors(4)(3);
  expect(Array.from(all.slice(0, 10), (v) => v * 65536)).toEqual([
    -20872, 104158, 29121, -64273, -30392, -22876, 1756, 75071, 60391, -17995,
  ]);
  const make = seededVectors(4);
  expect([...make(1), ...make(2)]).toEqual([...all]);
  expect(() => seededVectors(4, 0)).toThrow(RangeError);
  expect(() => seededVectors(0)).toThrow(RangeError);
});

describe("codebooks of the independent computation", () => {
  const { books } = load("independent/lloyd-max") as {
    books: { name: string; positive: string[]; distortion: string }[];
  };
  test("cover 1 to 8 bits of N(0,1) and 1 to 4 of the sphere", () => expect(books.length).toBe(8 + 5 * 4));
  test.each(books)("$name: centroids to 2e-12, distortion to 1e-12", ({ name, positive, distortion }) => {
    const [kind, ...numbers] = name.split(" ") as [string, ...string[]];
    const bits = Number(numbers.at(-1));
    const distribution: Distribution = kind === "gaussian" ? "gaussian" : { sphere: Number(numbers[0]) };
    const book = lloydMax({ bits, distribution });
    const upper = Array.from(book.centroids).slice(2 ** (bits - 1));
    for (const [i, level] of upper.entries())
      expect(Math.abs(level - Number(positive[i])), `level ${i}`).toBeLessThan(2e-12);
    // The solver's is of the whole vector: dim coordinates.
    const of = kind === "gaussian" ? 1 : Number(numbers[0]);
    expect(Math.abs(book.distortion - of * Number(distortion))).toBeLessThan(1e-12);
  });
});

describe("turboquant vectors show", () => {
  const text = (...args: string[]) => turboquant(["vectors", "show", ...args]);
  test("lists cases and fixtures", () => {
    const ran = text();
    expect(ran.status).toBe(0);
    for (const name of [
      "gaussian ",
      "definition/turbo4",
      "native/turbo3",
      "digests",
      "independent/lloyd-max",
    ])
      expect(ran.stdout.toString()).toContain(name);
    expect(JSON.parse(text("--json").stdout.toString()).fixtures).toContain("native/q8_0");
  });
  test("a file, a case, a vector", () => {
    expect(text("definition/turbo4").stdout.toString()).toMatch(
      /provenance +derived: .*\n[\s\S]*outlier-channels/,
    );
    const { cases } = load("definition/turbo4");
    const shown = text("definition/turbo4", "gaussian", "--vector", "1").stdout.toString();
    expect(shown).toContain(`packed: ${Buffer.from(cases[0].packed.subarray(66, 132)).toString("hex")}\n`);
    const json = JSON.parse(text("definition/turbo4", "gaussian", "--json").stdout.toString());
    expect(json.packed).toBe(Buffer.from(cases[0].packed).toString("base64"));
  });
  test("what is not there: one line, exit 1", () => {
    for (const args of [
      ["nothing"],
      ["native/turbo3", "nothing"],
      ["definition/turbo4", "gaussian", "--vector", "2"],
    ]) {
      const ran = text(...args);
      expect(ran.status, args.join(" ")).toBeGreaterThan(0);
      expect(ran.stderr.trim().split("\n")).toHaveLength(1);
    }
  });
});

test("the file forms survive another encoder", () => {
  const file = load("definition/turbo3");
  expect(judgeRecorded(decode(encode(file))).mismatches).toBe(0);
});
