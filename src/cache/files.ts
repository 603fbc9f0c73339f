/** Snapshots in files. Node only; loaded when used, so that the rest runs in a browser. */
import { KvCache } from "./kv-cache.js";
import type { SequenceHandle } from "./sequences.js";
import type { RestoreOptions } from "./snapshot-fields.js";

/** Writes a snapshot of the cache, or of one sequence: wholly or not at all. @throws the file system's error. */
export async function saveCache(path: string, cache: KvCache, seq?: SequenceHandle): Promise<void> {
  const { writeAtomic } = await import("../files/write-atomic.js");
  await writeAtomic(path, [cache.snapshot(seq)]);
}

/** @throws the file system's error, or as KvCache.restore. */
export async function loadCache(path: string, options?: RestoreOptions): Promise<KvCache> {
  const { readFile } = await import("node:fs/promises");
  return KvCache.restore(await readFile(path), options);
}
