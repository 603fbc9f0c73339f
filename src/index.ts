/**
 * turboquant-kv: TurboQuant compression of KV caches. This entry has no dependency and runs in Node and browsers.
 * @module
 */
export { type Codebook, gaussianCodebook } from "./core/codebook.js";
export { fromF16, fromF16Array, toF16, toF16Array } from "./core/float.js";
export { FormatError, type FormatErrorCode } from "./core/format-error.js";
export { type Distribution, type LloydMax, lloydMax } from "./core/lloyd-max.js";
export { createSketch, type Sketch, type SketchKind } from "./core/qjl.js";
export { type RandomStream, randomStream, type Seed } from "./core/random.js";
export { SCALE_RULES, type ScaleRule } from "./core/scale.js";
export { type SeededRotationOptions, seededRotation } from "./core/seeded-rotation.js";
export { type Rotation, rotate, unrotate, wht } from "./core/wht.js";
export { type Codec, type CreateCodecOptions, createCodec } from "./formats/codec.js";
export type { Format, NonFinitePolicy, SanitizeCounts, Side } from "./formats/format.js";
export { type FormatListing, listFormats } from "./formats/list-formats.js";
export { selectOutliers } from "./formats/outliers.js";
export { bitsPerValue, findFormat } from "./formats/registry.js";
export type { Kernels } from "./kernels/kernels.js";
export { hasWasmSimd, loadWasm, loadWasmSync } from "./kernels/wasm.js";
