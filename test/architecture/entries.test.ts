/**
 * The entries of the package (package.json, exports): types stand first, sources exist, and those that say so run in a
 * browser: nothing that they reach imports a Node module, or a package other than those named here, all of which run
 * in browsers.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const ROOT = new URL("../../", import.meta.url).pathname;
const { exports, files, sideEffects, type } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
const entries = Object.entries(exports as Record<string, string | Record<string, string>>);
const code = entries.filter(
  (entry): entry is [string, Record<string, string>] => typeof entry[1] === "object",
);
const sourceOf = (entry: string): string =>
  exports[entry].default.replace("./dist/", "src/").replace(/\.js$/, ".ts");

/** Entry → packages that it may reach. Those with a # are nothing in a browser (package.json, imports). */
const BROWSER: Readonly<Record<string, readonly string[]>> = {
  ".": [],
  "./wasm": [],
  "./cache": ["@msgpack/msgpack", "@noble/hashes/sha2.js", "signal-exit"],
  "./oracle": [],
  "./properties": ["fast-check"],
  "./plan": ["zod", "yaml", "eventsource-parser", "#huggingface-gguf", "#systeminformation"],
  "./threads": ["#worker-threads"],
  "./compat/llama": [],
  "./compat/realizar": [],
};
const NODE_ONLY = ["./model", "./oracle/forks", "./oracle/dumps"];

/** Imports of a compiled module, by any form of import: those of types alone are gone. */
const importsOf = (file: string): string[] =>
  ts.preProcessFile(readFileSync(join(ROOT, file), "utf8"), true, true).importedFiles.map((i) => i.fileName);

/** Everything that an entry reaches in dist, and what lies outside. */
function reach(entry: string): { readonly modules: number; readonly outside: ReadonlySet<string> } {
  const seen = new Set<string>();
  const outside = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const target of importsOf(file)) {
      if (target.startsWith(".")) visit(join(dirname(file), target));
      else outside.add(target);
    }
  };
  visit(exports[entry].default);
  return { modules: seen.size, outside };
}

describe("the package's entries", () => {
  test("ESM without side effects, types first, nothing but types and default", () => {
    expect([type, sideEffects]).toEqual(["module", false]);
    for (const [, conditions] of code) {
      expect(Object.keys(conditions)).toEqual(["types", "default"]);
      expect(conditions.types).toBe(conditions.default!.replace(/\.js$/, ".d.ts"));
    }
  });

  test("every entry has its source, and every source says whether it is for browsers", () => {
    for (const [entry] of code)
      expect([entry, existsSync(join(ROOT, sourceOf(entry)))]).toEqual([entry, true]);
    expect(code.map(([entry]) => entry).sort()).toEqual([...Object.keys(BROWSER), ...NODE_ONLY].sort());
  });

  test("the reference of npm run docs covers every entry", () => {
    const { entryPoints } = JSON.parse(readFileSync(join(ROOT, "typedoc.json"), "utf8"));
    expect([...entryPoints].sort()).toEqual(code.map(([entry]) => sourceOf(entry).replace("./", "")).sort());
  });

  test.each(Object.keys(BROWSER))("%s runs in a browser", (entry) => {
    const { modules, outside } = reach(entry);
    expect(modules).toBeGreaterThan(5);
    expect([...outside].filter((name) => !BROWSER[entry]!.includes(name))).toEqual([]);
    // No allowance that nothing uses.
    expect(BROWSER[entry]!.filter((name) => !outside.has(name))).toEqual([]);
  });

  test("the check sees Node modules where there are some", () => {
    expect([...reach("./model").outside]).toContain("node:worker_threads");
  });

  test("source and fixtures are shipped, models are not", () => {
    expect(files).toEqual(
      expect.arrayContaining(["dist", "src", "assembly", "fixtures", "!fixtures/models"]),
    );
  });
});
