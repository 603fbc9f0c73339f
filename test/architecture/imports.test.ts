/**
 * The import graph of src: arrows point down only, no cycles, the core and the front door reach no package, and only
 * one file says WebAssembly.
 */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import ts from "typescript";
import { describe, expect, test } from "vitest";

const SRC = new URL("../../src", import.meta.url).pathname;
const files = (readdirSync(SRC, { recursive: true }) as string[]).filter((f) => f.endsWith(".ts"));

/** Folder → folders that it may import from, besides itself. */
const BELOW: Readonly<Record<string, readonly string[]>> = {
  core: [],
  files: ["core"],
  kernels: ["core"],
  formats: ["core", "kernels"],
  attention: ["core", "kernels", "formats"],
  threads: ["core", "kernels", "attention"],
  cache: ["core", "files", "kernels", "formats", "attention"],
  compat: ["core", "files", "kernels", "formats", "cache"],
  model: ["core", "files", "kernels", "formats", "attention", "cache"],
  plan: ["core", "files", "kernels", "formats", "cache"],
  properties: ["core", "kernels", "formats", "attention", "cache"],
  oracle: ["core", "files", "kernels", "formats", "attention", "cache", "properties"],
  report: ["core", "files", "kernels", "formats", "attention", "cache", "compat", "oracle", "model", "plan"],
  cli: [
    "core",
    "files",
    "kernels",
    "formats",
    "attention",
    "cache",
    "compat",
    "oracle",
    "model",
    "plan",
    "properties",
    "report",
  ],
};

/** The same within the oracle; files beside the folders may be imported by all. */
const ORACLE_BELOW: Readonly<Record<string, readonly string[]>> = {
  pipeline: [],
  packed: ["pipeline"],
  decoded: ["pipeline", "packed"],
  stock: ["pipeline"],
  coded: ["pipeline"],
  sketch: ["pipeline"],
  attention: ["pipeline"],
  trace: [],
  recorded: ["pipeline"],
  dumps: ["pipeline"],
  forks: [],
};

const imports = new Map(
  files.map((file) => {
    const source = readFileSync(join(SRC, file), "utf8");
    return [file, ts.preProcessFile(source, true, true).importedFiles.map((i) => i.fileName)];
  }),
);
const resolved = (file: string, target: string): string =>
  relative(SRC, join(SRC, dirname(file), target)).replace(/\.js$/, ".ts");
const local = (file: string): string[] =>
  imports
    .get(file)!
    .filter((t) => t.startsWith("."))
    .map((t) => resolved(file, t))
    .filter((t) => imports.has(t));
const layer = (file: string): string => (file.includes("/") ? file.split("/")[0]! : "index");

describe("architecture", () => {
  test("every folder is known, and imports only from those below it", () => {
    const wrong: string[] = [];
    for (const file of files) {
      const from = layer(file);
      if (from === "index") continue;
      expect(Object.keys(BELOW)).toContain(from);
      for (const target of local(file)) {
        const to = layer(target);
        if (to !== from && !BELOW[from]!.includes(to)) wrong.push(`${file} → ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("so it is among the folders of the oracle", () => {
    const folder = (file: string): string | undefined => /^oracle\/([^/]+)\//.exec(file)?.[1];
    const wrong: string[] = [];
    for (const file of files) {
      const from = folder(file);
      if (from === undefined) continue;
      expect(Object.keys(ORACLE_BELOW)).toContain(from);
      for (const target of local(file)) {
        const to = folder(target);
        if (to !== undefined && to !== from && !ORACLE_BELOW[from]!.includes(to))
          wrong.push(`${file} → ${target}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test("there is no import cycle", () => {
    const state = new Map<string, "open" | "done">();
    const cycles: string[] = [];
    const visit = (file: string, path: readonly string[]): void => {
      if (state.get(file) === "done") return;
      if (state.get(file) === "open") {
        cycles.push([...path.slice(path.indexOf(file)), file].join(" → "));
        return;
      }
      state.set(file, "open");
      for (const target of local(file)) visit(target, [...path, file]);
      state.set(file, "done");
    };
    for (const file of files) visit(file, []);
    expect(cycles).toEqual([]);
  });

  test("the front door reaches no package and no Node module", () => {
    const seen = new Set<string>();
    const outside: string[] = [];
    const visit = (file: string): void => {
      if (seen.has(file)) return;
      seen.add(file);
      for (const target of imports.get(file)!)
        if (!target.startsWith(".")) outside.push(`${file} → ${target}`);
      local(file).forEach(visit);
    };
    visit("index.ts");
    expect(seen.size).toBeGreaterThan(20);
    expect(outside).toEqual([]);
  });

  test("the explorer is a skin: it imports from src and from packages for browsers, nothing imports it", () => {
    const explorer = new URL("../../explorer", import.meta.url).pathname;
    const skin = (readdirSync(explorer, { recursive: true }) as string[]).filter((f) => f.endsWith(".ts"));
    expect(skin.length).toBeGreaterThan(8);
    const outside = skin.flatMap((file) =>
      ts
        .preProcessFile(readFileSync(join(explorer, file), "utf8"), true, true)
        .importedFiles.map(({ fileName }) => fileName)
        .filter((target) => !target.startsWith(".")),
    );
    expect([...new Set(outside)].sort()).toEqual([
      "@noble/hashes/sha2.js",
      "@noble/hashes/utils.js",
      "@observablehq/plot",
    ]);
    expect([...imports.values()].flat().filter((target) => target.includes("explorer"))).toEqual([]);
  });

  test("the kernels' WebAssembly is spoken in one file of src/kernels", () => {
    const speaking = files.filter(
      (f) => f.startsWith("kernels/") && /\bWebAssembly\./.test(readFileSync(join(SRC, f), "utf8")),
    );
    expect(speaking).toEqual(["kernels/wasm.ts"]);
  });
});
