/** Snapshots in files: the only part of the cache that is for Node alone. */
import { nodeModule } from "../files/node.js";
import { writeAtomic } from "../files/write-atomic.js";
import { KvCache } from "./kv-cache.js";
import type { SequenceHandle } from "./sequences.js";
import type { RestoreOptions } from "./snapshot-fields.js";

/** Writes a snapshot of the cache, or of one sequence: wholly or not at all. @throws the file system's error. */
export async function saveCache(path: string, cache: KvCache, seq?: SequenceHandle): Promise<void> {
  await writeAtomic(path, [cache.snapshot(seq)]);
}

/** @throws the file system's error, or as KvCache.restore. */
export async function loadCache(path: string, options?: RestoreOptions): Promise<KvCache> {
  const { readFile } = nodeModule("node:fs/promises", "loadCache");
  return KvCache.restore(await readFile(path), options);
}
