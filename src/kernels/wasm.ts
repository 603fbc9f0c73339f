/**
 * The WASM SIMD backend: compiles the embedded module, gives it a memory of its own, and hands out its functions.
 * Nothing is fetched and nothing is configured: the bytes travel in the JavaScript. This is the only file that
 * says WebAssembly.
 *
 * A page with a content security policy needs `wasm-unsafe-eval` in it, as for any WebAssembly.
 */
import { Arena, type Backing } from "./arena.js";
import { KERNELS_BASE64 } from "./embedded.generated.js";
import type { Kernels } from "./kernels.js";

/** assembly/index.ts has the same number. */
const ABI_VERSION = 3;
const PAGE = 65536;
const MOST_PAGES = 65536;

/** A module of one function that returns a v128: valid exactly where SIMD is there. */
// biome-ignore format: sections of a module
const NEEDS_SIMD = new Uint8Array([
  0, 97, 115, 109, 1, 0, 0, 0,
  1, 5, 1, 96, 0, 1, 123,
  3, 2, 1, 0,
  10, 10, 1, 8, 0, 65, 0, 253, 15, 253, 98, 11,
]);

type Functions = Omit<Kernels, "name" | "arena">;

interface Exports extends Functions {
  readonly ABI_VERSION: WebAssembly.Global;
  readonly heapBase: WebAssembly.Global;
}

/** True where the WASM backend can run. */
export const hasWasmSimd = (): boolean => typeof WebAssembly === "object" && WebAssembly.validate(NEEDS_SIMD);

let compiled: WebAssembly.Module | undefined;
let compiling: Promise<WebAssembly.Module> | undefined;

/**
 * A new WASM backend with a memory of its own. The module is compiled once, off the main thread.
 * @throws Error where the engine has no WebAssembly or no SIMD.
 */
export async function loadWasm(): Promise<Kernels> {
  assertWasm();
  if (!compiled) compiled = await (compiling ??= WebAssembly.compile(embeddedBytes()));
  return instantiate(compiled);
}

/**
 * The same at once, compiling on this thread. Fine in Node, in workers and in today's browsers; some older ones
 * refuse to compile more than 4 KB on the main thread, for which there is {@link loadWasm}.
 * @throws Error where the engine has no WebAssembly or no SIMD.
 */
export function loadWasmSync(): Kernels {
  assertWasm();
  compiled ??= new WebAssembly.Module(embeddedBytes());
  return instantiate(compiled);
}

function assertWasm(): void {
  if (hasWasmSimd()) return;
  throw new Error('this engine has no WebAssembly with SIMD; use the backend "reference"');
}

function embeddedBytes(): Uint8Array<ArrayBuffer> {
  const binary = atob(KERNELS_BASE64);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

class WasmMemory implements Backing {
  constructor(readonly memory: WebAssembly.Memory) {}

  get buffer(): ArrayBuffer {
    return this.memory.buffer;
  }

  growTo(bytes: number): void {
    const pages = Math.ceil(bytes / PAGE) - this.memory.buffer.byteLength / PAGE;
    if (pages > 0) this.memory.grow(pages);
  }
}

/** The module's own functions are the methods: nothing stands between. */
function instantiate(module: WebAssembly.Module): Kernels {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: MOST_PAGES });
  const instance = new WebAssembly.Instance(module, { env: { memory } });
  const exports = instance.exports as unknown as Exports;
  const version = exports.ABI_VERSION.value as number;
  if (version !== ABI_VERSION)
    throw new Error(`kernels: expected ABI version ${ABI_VERSION}, got ${version}; run npm run build`);
  const { ABI_VERSION: _, heapBase, ...functions } = exports;
  const arena = new Arena(new WasmMemory(memory), heapBase.value as number);
  return Object.freeze({ name: "wasm-simd", arena, ...functions });
}
