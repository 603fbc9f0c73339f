/**
 * The installed tarball in Chromium: as plain modules, in a worker, bundled by esbuild and by Vite. Everywhere the same
 * digest as from the sources.
 */
import { build as esbuild } from "esbuild";
import type { Browser } from "playwright-core";
import { build as vite } from "vite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import * as cache from "../../src/cache/index.js";
import * as realizar from "../../src/compat/realizar/index.js";
import * as main from "../../src/index.js";
import * as plan from "../../src/plan/index.js";
import { answerOf, chromiumPath, launch, NO_CHROMIUM, serve } from "./chromium.js";
import { type Probed, probe } from "./probe.js";
import { browserProgram, type Installed, installTarball } from "./tarball.js";

interface Answer {
  readonly results?: readonly Probed[];
  readonly error?: string;
}

const expected = probe({ main, cache, plan, realizar }, "reference");
const everywhere: Answer = {
  results: ["wasm-simd", "reference", "wasm-simd", "wasm-simd"].map((backend) => ({ ...expected, backend })),
};
const PAGE = (script: string, head = ""): string =>
  `<!doctype html><meta charset="utf-8"><title>probe</title>${head}<script type="module">${script}</script>`;
const REPORT = "((answer) => { globalThis.answer = answer; })";
const DIST = "/node_modules/turboquant-kv/dist";

if (!chromiumPath) console.log(NO_CHROMIUM);
describe.skipIf(!chromiumPath)("in Chromium", () => {
  let installed: Installed;
  let browser: Browser;
  let server: Awaited<ReturnType<typeof serve>>;
  beforeAll(async () => {
    installed = installTarball();
    browser = await launch();
    server = await serve(installed.folder);
  }, 300_000);
  afterAll(async () => {
    await browser?.close();
    server?.close();
    installed?.remove();
  }, 60_000);
  const answer = (page: string): Promise<Answer> => answerOf(browser, `${server.url}/${page}`);

  test("a plain module script, by address, without an import map", async () => {
    const script = `
      import { createCodec, loadWasm } from "${DIST}/index.js";
      const x = Float32Array.from({ length: 128 }, (_, i) => Math.sin(i * i));
      const codec = createCodec("turbo4", { dim: 128, seed: 42, backend: await loadWasm() });
      globalThis.answer = Array.from(codec.encode(x));`;
    installed.write("plain.html", PAGE(script));
    const x = Float32Array.from({ length: 128 }, (_, i) => Math.sin(i * i));
    const bytes = main.createCodec("turbo4", { dim: 128, seed: 42 }).encode(x);
    expect(await answer("plain.html")).toEqual(Array.from(bytes));
  });

  test("plain module scripts of all entries, with an import map", async () => {
    const at = (path: string): string => `/node_modules/${path}`;
    const imports = {
      "turboquant-kv": `${DIST}/index.js`,
      "turboquant-kv/wasm": `${DIST}/kernels/index.js`,
      "turboquant-kv/cache": `${DIST}/cache/index.js`,
      "turboquant-kv/plan": `${DIST}/plan/index.js`,
      "turboquant-kv/threads": `${DIST}/threads/index.js`,
      "turboquant-kv/compat/realizar": `${DIST}/compat/realizar/index.js`,
      "@msgpack/msgpack": at("@msgpack/msgpack/dist.esm/index.mjs"),
      "@noble/hashes/": at("@noble/hashes/"),
      "eventsource-parser": at("eventsource-parser/dist/index.js"),
      yaml: at("yaml/browser/index.js"),
      zod: at("zod/index.js"),
    };
    installed.write("main.js", browserProgram(REPORT, `"${DIST}/kernels.wasm"`));
    const map = `<script type="importmap">${JSON.stringify({ imports })}</script>`;
    installed.write("mapped.html", PAGE(`import "./main.js";`, map));
    expect(await answer("mapped.html")).toEqual(everywhere);
  });

  test("a module worker that is sent the compiled module", async () => {
    installed.write(
      "worker.js",
      `import { createCodec } from "${DIST}/index.js";
       import { loadWasmFrom } from "${DIST}/kernels/index.js";
       onmessage = async ({ data: { module, x } }) => {
         const codec = createCodec("turbo3", { dim: 128, backend: await loadWasmFrom(module) });
         postMessage(Array.from(codec.encode(x)));
       };`,
    );
    const script = `
      const module = await WebAssembly.compileStreaming(fetch("${DIST}/kernels.wasm"));
      const worker = new Worker("worker.js", { type: "module" });
      worker.onmessage = ({ data }) => { globalThis.answer = data; };
      worker.onerror = ({ message }) => { globalThis.answer = message; };
      worker.postMessage({ module, x: Float32Array.from({ length: 256 }, (_, i) => Math.cos(i * i)) });`;
    installed.write("worker.html", PAGE(script));
    const x = Float32Array.from({ length: 256 }, (_, i) => Math.cos(i * i));
    const bytes = main.createCodec("turbo3", { dim: 128 }).encode(x);
    expect(await answer("worker.html")).toEqual(Array.from(bytes));
  });

  test("bundled by esbuild, no option but the file type of the raw module", async () => {
    const program = browserProgram(REPORT, "wasmUrl");
    const entry = installed.write(
      "for-esbuild.js",
      `import wasmUrl from "turboquant-kv/kernels.wasm";\n${program}`,
    );
    const { warnings } = await esbuild({
      entryPoints: [entry],
      bundle: true,
      minify: true,
      format: "esm",
      platform: "browser",
      splitting: true,
      outdir: `${installed.folder}/by-esbuild`,
      publicPath: "/by-esbuild",
      loader: { ".wasm": "file" },
      logLevel: "silent",
    });
    expect(warnings).toEqual([]);
    installed.write("esbuild.html", PAGE(`import "/by-esbuild/for-esbuild.js";`));
    expect(await answer("esbuild.html")).toEqual(everywhere);
  });

  test("built by Vite, in the page and in a worker", async () => {
    const program = browserProgram("postMessage", "wasmUrl");
    installed.write("vite-worker.js", `import wasmUrl from "turboquant-kv/kernels.wasm?url";\n${program}`);
    installed.write(
      "vite-main.js",
      `import wasmUrl from "turboquant-kv/kernels.wasm?url";
       ${browserProgram("((answer) => { globalThis.fromPage = answer; })", "wasmUrl")}
       const worker = new Worker(new URL("./vite-worker.js", import.meta.url), { type: "module" });
       worker.onmessage = ({ data }) => { globalThis.answer = [globalThis.fromPage, data]; };
       worker.onerror = ({ message }) => { globalThis.answer = message; };`,
    );
    installed.write("vite.html", PAGE(`import "./vite-main.js";`));
    await vite({
      root: installed.folder,
      configFile: false,
      logLevel: "error",
      worker: { format: "es" },
      build: { outDir: "by-vite", rolldownOptions: { input: `${installed.folder}/vite.html` } },
    });
    const built = await serve(`${installed.folder}/by-vite`);
    try {
      expect(await answerOf(browser, `${built.url}/vite.html`)).toEqual([everywhere, everywhere]);
    } finally {
      built.close();
    }
  });
});
