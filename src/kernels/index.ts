/**
 * turboquant-kv/wasm: the SIMD kernels by themselves, and the choice where their module comes from: the copy embedded
 * in the JavaScript (`loadWasm`), or `turboquant-kv/kernels.wasm`, a file to be served and cached (`loadWasmFrom`). What
 * they give is a backend for `createCodec` and `KvCache`; `createReferenceKernels` is the definition that they equal.
 * @module
 */
export type { Arena } from "./arena.js";
export type { Kernels } from "./kernels.js";
export { createReferenceKernels } from "./reference.js";
export { hasWasmSimd, loadWasm, loadWasmFrom, loadWasmSync, type WasmSource } from "./wasm.js";
