/**
 * turboquant-kv/properties: fast-check suites for anybody's implementation. Each returns properties; run them in any
 * test runner, or all at once with `assertProperties`. A failure names the property, the faults that break it and the
 * replay. Needs the package fast-check beside this one.
 * @module
 */
export { type CacheOptions, type CacheUnderTest, cacheSuite } from "./cache.js";
export { type CodebookUnderTest, codebookSuite } from "./codebook.js";
export { type CodecOptions, type CodecUnderTest, codecSuite } from "./codec.js";
export { type DistortionOptions, distortionSuite } from "./distortion.js";
export { leastSignificantFirst, type PackingUnderTest, packingSuite } from "./packing.js";
export {
  type Awaitable,
  assertProperties,
  failuresOf,
  type Property,
  PropertyFailure,
  type RunOptions,
} from "./property.js";
export { type RotationUnderTest, rotationSuite } from "./rotation.js";
export { type SketchUnderTest, sketchSuite } from "./sketch.js";
export { type StreamsUnderTest, streamsSuite } from "./streams.js";
export { unbiasednessSuite } from "./unbiasedness.js";
