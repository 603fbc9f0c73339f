/**
 * The installed tarball in Node 20, 22 and 24: import and require of every entry, the command line; and what TypeScript
 * makes of its types. The same digest everywhere as from the sources.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as cache from "../../src/cache/index.js";
import * as realizar from "../../src/compat/realizar/index.js";
import * as main from "../../src/index.js";
import * as plan from "../../src/plan/index.js";
import { probe } from "./probe.js";
import { type Installed, installTarball, nodeBinary } from "./tarball.js";

const packageJson = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
const entries = Object.keys(packageJson.exports).filter((e) => typeof packageJson.exports[e] === "object");
const specifiers = entries.map((entry) => entry.replace(/^\./, "turboquant-kv"));
const expected = probe({ main, cache, plan, realizar }, "reference");

const IMPORTS = `
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import * as main from "turboquant-kv";
import * as wasm from "turboquant-kv/wasm";
import * as cache from "turboquant-kv/cache";
import * as plan from "turboquant-kv/plan";
import * as realizar from "turboquant-kv/compat/realizar";
import { loadThreads } from "turboquant-kv/threads";
import { probe } from "./probe.js";
const entries = { main, cache, plan, realizar };
const bytes = await readFile(fileURLToPath(import.meta.resolve("turboquant-kv/kernels.wasm")));
const fixture = await readFile(fileURLToPath(import.meta.resolve("turboquant-kv/fixtures/native/turbo4.msgpack")));
const kinds = {};
for (const name of ${JSON.stringify(specifiers)}) kinds[name] = Object.keys(await import(name)).length > 0;
const results = [];
for (const backend of [await main.loadWasm(), "reference", await wasm.loadWasmFrom(bytes)])
  results.push(probe(entries, backend));
const { threads, ...backend } = await loadThreads();
results.push(probe(entries, backend));
console.log(JSON.stringify({ results, fixture: fixture.length > 10_000, kinds, threads }));`;

const REQUIRES = `
const main = require("turboquant-kv");
const cache = require("turboquant-kv/cache");
const plan = require("turboquant-kv/plan");
const realizar = require("turboquant-kv/compat/realizar");
const kinds = {};
for (const name of ${JSON.stringify(specifiers)}) kinds[name] = Object.keys(require(name)).length > 0;
import("./probe.js").then(({ probe }) => {
  const entries = { main, cache, plan, realizar };
  const results = [probe(entries, main.loadWasmSync()), probe(entries, "reference")];
  console.log(JSON.stringify({ results, kinds, version: require("turboquant-kv/package.json").version }));
});`;

let installed: Installed;
beforeAll(() => {
  installed = installTarball();
  installed.write("imports.js", IMPORTS);
  installed.write("requires.cjs", REQUIRES);
}, 300_000);
afterAll(() => installed?.remove(), 60_000);

describe.each([20, 22, 24])("Node %i", (major) => {
  let node: string;
  beforeAll(() => {
    node = nodeBinary(major);
  }, 400_000);
  const run = (args: readonly string[], input?: Uint8Array) => {
    const ran = spawnSync(node, args, {
      cwd: installed.folder,
      maxBuffer: 1 << 28,
      ...(input ? { input } : {}),
    });
    return { status: ran.status, stdout: ran.stdout, stderr: ran.stderr.toString() };
  };
  const kinds = Object.fromEntries(specifiers.map((name) => [name, true]));

  test("is that version", () => {
    expect(run(["-p", "process.versions.node"]).stdout.toString()).toMatch(new RegExp(`^${major}\\.`));
  });

  test("import of every entry", () => {
    const { status, stdout, stderr } = run(["imports.js"]);
    expect([status, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout.toString())).toEqual({
      results: ["wasm-simd", "reference", "wasm-simd", "wasm-simd"].map((backend) => ({
        ...expected,
        backend,
      })),
      fixture: true,
      kinds,
      threads: 2,
    });
  });

  test("require of every entry", () => {
    const { status, stdout, stderr } = run(["requires.cjs"]);
    expect([status, stderr.replace(/^\(node:.*\n?|^\(Use .*\n?/gm, "")]).toEqual([0, ""]);
    expect(JSON.parse(stdout.toString())).toEqual({
      results: ["wasm-simd", "reference"].map((backend) => ({ ...expected, backend })),
      kinds,
      version: packageJson.version,
    });
  });

  test("the command line", () => {
    const bin = join(installed.folder, "node_modules/turboquant-kv/dist/cli/main.js");
    expect(run([bin, "--version"]).stdout.toString().trim()).toBe(packageJson.version);
    const x = Float32Array.from({ length: 4 * 128 }, (_, i) => Math.sin(i * i));
    const encoded = run(
      [bin, "encode", "--format", "turbo4", "--dim", "128", "-", "-"],
      new Uint8Array(x.buffer),
    );
    expect([encoded.status, encoded.stderr]).toEqual([0, ""]);
    expect(new Uint8Array(encoded.stdout)).toEqual(main.createCodec("turbo4", { dim: 128 }).encode(x));
    const fixtures = join(installed.folder, "node_modules/turboquant-kv/fixtures/native");
    const judged = run([bin, "selftest", join(fixtures, "turbo4.msgpack"), join(fixtures, "q4_0.msgpack")]);
    expect([judged.status, judged.stderr]).toEqual([0, ""]);
  });
});

test("the report runs on what is shipped, through the bin that npm links", () => {
  const bin = join(installed.folder, "node_modules/.bin/turboquant");
  const { status, stdout } = spawnSync(bin, ["report", "--json"], {
    encoding: "utf8",
    cwd: installed.folder,
  });
  expect(status).toBe(0);
  expect(JSON.stringify(JSON.parse(stdout))).toContain("turbo4");
});

const CONSUMER = `
${specifiers.map((name, i) => `import * as e${i} from "${name}";`).join("\n")}
import { type Codec, createCodec } from "turboquant-kv";
const codec: Codec = createCodec("turbo4", { dim: 128 });
const packed: Uint8Array = codec.encode(new Float32Array(128));
// @ts-expect-error dim is a number
createCodec("turbo4", { dim: "128" });
export const all = [packed, ${specifiers.map((_, i) => `e${i}`).join(", ")}];`;

const NODE = { module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext };
const BUNDLER = { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler };
const ES = "lib.es2022.d.ts";
const DOM = ["lib.dom.d.ts", "lib.dom.iterable.d.ts"];
const typeRoots = [fileURLToPath(new URL("../../node_modules/@types", import.meta.url))];
test.each([
  ["NodeNext, Node's types, no DOM", { ...NODE, lib: [ES], types: ["node"] }],
  ["NodeNext, Node's types and DOM", { ...NODE, lib: [ES, ...DOM], types: ["node"] }],
  ["a bundler, Node's types and DOM", { ...BUNDLER, lib: [ES, ...DOM], types: ["node"] }],
])("TypeScript, strict, libraries checked: %s", (_, options) => {
  const file = installed.write("consumer.ts", CONSUMER);
  const strict = {
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: false,
    typeRoots,
  };
  const program = ts.createProgram([file], { ...strict, target: ts.ScriptTarget.ES2022, ...options });
  const messages = ts
    .getPreEmitDiagnostics(program)
    .map((d) => `${d.file?.fileName ?? ""}: ${ts.flattenDiagnosticMessageText(d.messageText, "\n")}`);
  expect(messages).toEqual([]);
});

test("TypeScript for browsers, without Node's types: every entry but ./model", () => {
  const entriesHere = CONSUMER.replace(/import \* as (e\d+) from "turboquant-kv\/model";/, "const $1 = 0;");
  const file = installed.write("browser-consumer.ts", entriesHere);
  const options = {
    ...BUNDLER,
    strict: true,
    noEmit: true,
    lib: [ES, ...DOM],
    types: [],
    skipLibCheck: false,
  };
  const program = ts.createProgram([file], { ...options, target: ts.ScriptTarget.ES2022 });
  const messages = ts
    .getPreEmitDiagnostics(program)
    .map((d) => `${d.file?.fileName ?? ""}: ${ts.flattenDiagnosticMessageText(d.messageText, "\n")}`);
  expect(messages).toEqual([]);
});

test("what is in the tarball: source, fixtures, no model, no page, at most 8 MB", () => {
  const { bytes, files } = installed.tarball;
  for (const file of ["README.md", "LICENSE", "CHANGELOG.md", "src/index.ts", "assembly/index.ts"])
    expect(files).toContain(file);
  for (const file of [
    "fixtures/native/turbo4.msgpack",
    "fixtures/realizar-golden.msgpack",
    "dist/kernels.wasm",
  ])
    expect(files).toContain(file);
  expect(files.filter((f) => /\.gguf$|^test\/|^explorer\/|^dist\/explorer\//.test(f))).toEqual([]);
  expect(bytes).toBeLessThan(8e6);
});
