/**
 * `turboquant-kv/compat/realizar`: the observable behaviour of the paged KV cache of the Rust crate realizar 0.8.6
 * in camelCase, quirks included, for code and tests that move from it. For new code there is `turboquant-kv/cache`.
 */
export { RealizarCacheError, type RealizarErrorCode, type RealizarErrorDetail } from "./error.js";
export { PageId, SeqId } from "./ids.js";
export { KvPage } from "./page.js";
export { PagedKvCache } from "./paged-cache.js";
export { CachedPrefix, computePrefixHash, findLongestPrefix, PrefixCache } from "./prefix.js";
export { KV_QUANT_BLOCK_SIZE, Q4KvBlock, Q8KvBlock } from "./quant-block.js";
export { QuantizedKvData } from "./quant-data.js";
export { QuantizedKvPage } from "./quant-page.js";
export { bytesPerValue, DEFAULT_KV_QUANT_TYPE, KvQuantType, memoryReduction } from "./quant-type.js";
export { QuantizedPagedKvCache } from "./quantized-cache.js";
export { FragmentationStats, PagedCacheStats, PrefixCacheStats } from "./stats.js";
export { judgeRealizarTraces, type TraceVerdict } from "./trace.js";
