export { lloydMax } from "./core/lloyd-max.js";
export type { Kernels } from "./kernels/kernels.js";
export { loadWasm } from "./kernels/wasm.js";
