/**
 * The WASM SIMD backend: compiles its two modules (the codec's and attention's), gives them a memory of their own, and
 * hands out their functions. Unless asked to, nothing is fetched and nothing is configured: the bytes travel in the
 * JavaScript. This is the only file that says WebAssembly.
 *
 * A page with a content security policy needs `wasm-unsafe-eval` in it, as for any WebAssembly.
 */
import { Arena, type Backing, type Span } from "./arena.js";
import { KERNELS_BASE64 } from "./embedded.generated.js";
import { ATTENTION_BASE64 } from "./embedded-attention.generated.js";
import type { Kernels } from "./kernels.js";
import { importSharedMemory } from "./shared-import.js";

/** assembly/index.ts and assembly/attention/index.ts have the same numbers. */
const ABI_VERSION = 5;
const ATTENTION_ABI_VERSION = 5;
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

/** For programs whose TypeScript knows neither DOM nor these names; merges with the DOM's where they are there. */
declare global {
  namespace WebAssembly {
    interface Module {}
    interface Memory {}
  }
}

/** Where the module may come from instead of the JavaScript: compiled, as bytes, or as it arrives over the network. */
export type WasmSource =
  | WebAssembly.Module
  | ArrayBuffer
  | ArrayBufferView<ArrayBuffer>
  | Response
  | PromiseLike<Response>;

type Functions = Omit<Kernels, "name" | "arena">;

interface Exports extends Functions {
  readonly ABI_VERSION: WebAssembly.Global;
  readonly heapBase: WebAssembly.Global;
}

/** True where the WASM backend can run. */
export const hasWasmSimd = (): boolean => typeof WebAssembly === "object" && WebAssembly.validate(NEEDS_SIMD);

/** A module that travels in the JavaScript, compiled once. */
class Embedded {
  #compiled: WebAssembly.Module | undefined;
  #compiling: Promise<WebAssembly.Module> | undefined;

  constructor(readonly base64: () => string) {}

  /** Off the main thread. */
  async compile(): Promise<WebAssembly.Module> {
    if (this.#compiled) return this.#compiled;
    this.#compiling ??= WebAssembly.compile(fromBase64(this.base64()));
    this.#compiled = await this.#compiling;
    return this.#compiled;
  }
  compileSync(): WebAssembly.Module {
    this.#compiled ??= new WebAssembly.Module(fromBase64(this.base64()));
    return this.#compiled;
  }
}

const codec = /*@__PURE__*/ new Embedded(() => KERNELS_BASE64);
const attention = /*@__PURE__*/ new Embedded(() => ATTENTION_BASE64);

/**
 * A new WASM backend with a memory of its own. Its modules are compiled once, off the main thread.
 * @throws Error where the engine has no WebAssembly or no SIMD.
 */
export async function loadWasm(): Promise<Kernels> {
  assertWasm();
  return instantiate(await codec.compile(), await attention.compile());
}

/**
 * The same at once, compiling on this thread. Fine in Node, in workers and in today's browsers; some older ones
 * refuse to compile more than 4 KB on the main thread, for which there is {@link loadWasm}.
 * @throws Error where the engine has no WebAssembly or no SIMD.
 */
export function loadWasmSync(): Kernels {
  assertWasm();
  return instantiate(codec.compileSync(), attention.compileSync());
}

/**
 * A new WASM backend from the raw module `turboquant-kv/kernels.wasm` of this release: `loadWasmFrom(fetch(url))`
 * compiles while it downloads where the server says application/wasm, and a compiled module may be sent to workers. A
 * bundler then leaves the embedded copy out, if nothing else asks for it; the module of attention stays embedded.
 * @throws Error where the engine has no WebAssembly or no SIMD, where the response is not OK, where the module is
 * another one or another release's; WebAssembly.CompileError for bytes that are no module.
 */
export async function loadWasmFrom(source: WasmSource): Promise<Kernels> {
  assertWasm();
  return instantiate(await compileFrom(source), await attention.compile());
}

/** What threads need to compute on one memory; may be sent to workers. */
export interface SharedWasm {
  readonly codec: WebAssembly.Module;
  readonly attention: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
}

/**
 * A backend whose memory other threads may join: the same modules, told that the memory is shared.
 * @throws Error where the engine has no WebAssembly, no SIMD or no shared memory.
 */
export async function loadSharedWasm(): Promise<{ readonly kernels: Kernels; readonly shared: SharedWasm }> {
  assertWasm();
  const [codecModule, attentionModule] = await Promise.all(
    [KERNELS_BASE64, ATTENTION_BASE64].map((base64) =>
      WebAssembly.compile(importSharedMemory(fromBase64(base64))),
    ) as [Promise<WebAssembly.Module>, Promise<WebAssembly.Module>],
  );
  const memory = new WebAssembly.Memory({ initial: 1, maximum: MOST_PAGES, shared: true });
  const kernels = bind(codecModule, attentionModule, memory);
  return { kernels, shared: { codec: codecModule, attention: attentionModule, memory } };
}

/** Another thread's kernels on the same memory. Its arena has what it makes the memory grow by, and nothing else. */
export const joinSharedWasm = ({ codec, attention, memory }: SharedWasm): Kernels =>
  bind(codec, attention, memory, memory.buffer.byteLength);

async function compileFrom(source: WasmSource): Promise<WebAssembly.Module> {
  if (source instanceof WebAssembly.Module) return source;
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return WebAssembly.compile(source);
  const response = await (source as Response | PromiseLike<Response>);
  if (typeof response?.arrayBuffer !== "function")
    throw new TypeError(`"source" expected a module, bytes or a response, got ${typeof response}`);
  if (!response.ok)
    throw new Error(`kernels.wasm: ${response.status} ${response.statusText} (${response.url})`);
  // Engines refuse to stream any other type, and this one with parameters.
  const streams = response.headers.get("content-type") === "application/wasm";
  return streams ? WebAssembly.compileStreaming(response) : WebAssembly.compile(await response.arrayBuffer());
}

function assertWasm(): void {
  if (hasWasmSimd()) return;
  throw new Error('this engine has no WebAssembly with SIMD; use the backend "reference"');
}

function fromBase64(base64: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

class WasmMemory implements Backing {
  constructor(readonly memory: WebAssembly.Memory) {}

  get buffer(): ArrayBuffer {
    return this.memory.buffer;
  }

  growBy(bytes: number): Span {
    const pages = Math.ceil(bytes / PAGE);
    const start = this.memory.grow(pages) * PAGE;
    return { start, end: start + pages * PAGE };
  }

  refresh(): void {
    this.memory.grow(0);
  }
}

/** A backend with a memory of its own. */
function instantiate(codecModule: WebAssembly.Module, attentionModule: WebAssembly.Module): Kernels {
  if (!WebAssembly.Module.exports(codecModule).some(({ name }) => name === "ABI_VERSION"))
    throw new Error("kernels: this module is not kernels.wasm");
  const memory = new WebAssembly.Memory({ initial: 1, maximum: MOST_PAGES });
  return bind(codecModule, attentionModule, memory);
}

/** The modules' own functions are the methods: nothing stands between. base: where the arena begins; default: behind theirs. */
function bind(
  codecModule: WebAssembly.Module,
  attentionModule: WebAssembly.Module,
  memory: WebAssembly.Memory,
  base?: number,
): Kernels {
  const instances = [codecModule, attentionModule].map(
    (module) => new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Exports,
  ) as [Exports, Exports];
  const versions = instances.map((exports) => exports.ABI_VERSION.value as number);
  if (versions[0] !== ABI_VERSION || versions[1] !== ATTENTION_ABI_VERSION)
    throw new Error(
      `kernels: expected ABI versions ${ABI_VERSION} and ${ATTENTION_ABI_VERSION}, got ${versions.join(" and ")}; take kernels.wasm of this release`,
    );
  const heapBase = Math.max(...instances.map((exports) => exports.heapBase.value as number));
  const functions: Record<string, unknown> = {};
  for (const { ABI_VERSION: _, heapBase: __, ...its } of instances) Object.assign(functions, its);
  const arena = new Arena(new WasmMemory(memory), base ?? heapBase);
  return Object.freeze({ name: "wasm-simd", arena, ...(functions as unknown as Functions) });
}
