/**
 * turboquant-kv/cache: the paged copy-on-write cache of compressed keys and values, with attention on packed bytes.
 * @module
 */
export type { AttendOptions } from "../attention/attend.js";
export type { CacheAttendOptions, ReadOptions, ScoreOptions } from "./arguments.js";
export { CacheError, type CacheErrorCode } from "./cache-error.js";
export {
  type ContiguousTensor,
  type ContiguousType,
  exportPastKeyValues,
  importPastKeyValues,
  type PastKeyValues,
} from "./contiguous.js";
export type { SanitizedVectors } from "./encoder.js";
export { loadCache, saveCache } from "./files.js";
export { KvCache } from "./kv-cache.js";
export type { CacheConfig, KvCacheOptions } from "./options.js";
export type { PrefixOptions } from "./prefix.js";
export { KV_PRESETS, type KvPreset } from "./presets.js";
export type { SequenceHandle } from "./sequences.js";
export { type RestoreOptions, SNAPSHOT_VERSION } from "./snapshot-fields.js";
export type { CacheStats } from "./stats.js";
