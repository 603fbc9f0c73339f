/** Where the module of the WASM backend may come from: every way gives the bits of the embedded one, or says why not. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { createCodec } from "../../src/index.js";
import { loadWasm, loadWasmFrom } from "../../src/kernels/index.js";

const bytes = readFileSync(new URL("../../build/kernels.wasm", import.meta.url));
const response = (type?: string, status = 200): Response =>
  new Response(Uint8Array.from(bytes), { status, ...(type ? { headers: { "content-type": type } } : {}) });
const x = Float32Array.from({ length: 4 * 64 }, (_, i) => Math.sin(i * i));

test.each([
  ["a compiled module", () => WebAssembly.compile(Uint8Array.from(bytes))],
  ["bytes", () => Uint8Array.from(bytes)],
  ["an ArrayBuffer", () => Uint8Array.from(bytes).buffer],
  ["a response that is WASM by its type", () => response("application/wasm")],
  ["a promise of one", () => Promise.resolve(response("application/wasm"))],
  ["a type that engines do not stream", () => response("application/wasm; charset=x")],
  ["a response of a server that knows no WASM", () => response("text/plain")],
  ["a response without a type", () => response()],
])("%s", async (_, source) => {
  const backend = await loadWasmFrom(await source());
  expect(backend.name).toBe("wasm-simd");
  const embedded = createCodec("turbo3", { dim: 64, backend: await loadWasm() });
  expect(createCodec("turbo3", { dim: 64, backend }).encode(x)).toEqual(embedded.encode(x));
});

test("what is not the module is refused by name", async () => {
  await expect(loadWasmFrom(response("application/wasm", 404))).rejects.toThrow("kernels.wasm: 404");
  await expect(loadWasmFrom(Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0))).rejects.toThrow("not kernels.wasm");
  await expect(loadWasmFrom(Uint8Array.of(1, 2, 3))).rejects.toThrow(WebAssembly.CompileError);
  for (const wrong of [undefined, null, 7, "kernels.wasm", {}])
    await expect(loadWasmFrom(wrong as never)).rejects.toThrow(TypeError);
});
