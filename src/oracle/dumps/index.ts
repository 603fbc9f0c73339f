/**
 * turboquant-kv/oracle/dumps: dumps of any size, judged in bounded memory: whole, on several threads, or by shares that
 * any job scheduler spreads over machines; what the shares say can be merged in any order. For Node.
 * @module
 */
export { type DumpOptions, verifyDump, verifyShard } from "./dump.js";
export type { OnProgress } from "./judge.js";
export { type DumpShard, mergeShards, verdictOf } from "./shard.js";
export { parseShard, shardToJson } from "./shard-file.js";
