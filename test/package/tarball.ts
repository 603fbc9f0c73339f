/** The package as a stranger gets it: packed, and installed from its tarball into a folder of its own. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

export interface Installed {
  readonly folder: string;
  readonly tarball: { readonly bytes: number; readonly files: readonly string[] };
  write(name: string, text: string): string;
  remove(): void;
}

/**
 * Packs what `npm run build` has left in dist, and installs it with its dependencies and fast-check, the optional peer
 * that ./properties imports; nothing else.
 */
export function installTarball(): Installed {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "turboquant-kv-")));
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  try {
    const npm = (args: readonly string[], cwd: string): string =>
      execFileSync("npm", [...args], { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    const packed = npm(["pack", "--ignore-scripts", "--json", "--pack-destination", folder], ROOT);
    const [{ filename, size, files }] = JSON.parse(packed);
    write("package.json", JSON.stringify({ name: "stranger", private: true, type: "module" }));
    const { devDependencies } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
    const peer = `fast-check@${devDependencies["fast-check"]}`;
    npm(["install", "--no-audit", "--no-fund", join(folder, filename), peer], folder);
    write("probe.js", probeText());
    const names = files.map(({ path }: { path: string }) => path);
    return { folder, tarball: { bytes: size, files: names }, write, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** probe.ts as JavaScript. */
function probeText(): string {
  const source = readFileSync(new URL("probe.ts", import.meta.url), "utf8");
  const options = {
    module: ts.ModuleKind.ESNext,
    target: ts.ScriptTarget.ES2022,
    verbatimModuleSyntax: true,
  };
  return ts.transpileModule(source, { compilerOptions: options }).outputText;
}

/** A program over all entries that run in browsers. `report` is what it calls with each result. */
export const browserProgram = (report: string, wasmUrl: string): string => `
import * as main from "turboquant-kv";
import * as wasm from "turboquant-kv/wasm";
import * as cache from "turboquant-kv/cache";
import * as plan from "turboquant-kv/plan";
import * as realizar from "turboquant-kv/compat/realizar";
import { loadThreads } from "turboquant-kv/threads";
import { probe } from "./probe.js";
try {
  const entries = { main, cache, plan, realizar };
  const results = [probe(entries, await main.loadWasm()), probe(entries, "reference")];
  const fetched = await wasm.loadWasmFrom(fetch(${wasmUrl}));
  results.push(probe(entries, fetched));
  const alone = await loadThreads({ threads: 2 });
  if (alone.threads !== 1) throw new Error("threads in a page?");
  results.push(probe(entries, alone));
  ${report}({ results });
} catch (error) {
  ${report}({ error: String(error?.stack ?? error) });
}
`;

/** The binary of a Node of this major version: the one that runs, or the npm package `node`. @throws without either. */
export function nodeBinary(major: number): string {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const asked = ["--yes", "--package", `node@${major}`, "--call", "node -p process.execPath"];
  const printed = execFileSync("npx", asked, { encoding: "utf8", timeout: 300_000 });
  return printed.trim().split("\n").at(-1)!;
}
