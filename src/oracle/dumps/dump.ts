/** A dump in files: whole, by shares, or by shares on several threads. */
import { Worker } from "node:worker_threads";
import { FormatError } from "../../core/format-error.js";
import { openBytes, openVectors } from "../../files/elements.js";
import type { Side } from "../../formats/format.js";
import { findFormat } from "../../formats/registry.js";
import type { Verdict } from "../verdict.js";
import { fits, isSmall, judge, type OnProgress, type OpenDump, shardOf, wrongSizes } from "./judge.js";
import { type DumpShard, mergeShards, shareOf, verdictOf, type WindowRange } from "./shard.js";

/** Files: raw, .npy or FILE.safetensors:TENSOR. At least one of packed and decoded. */
export interface DumpOptions {
  readonly format: string;
  readonly dim: number;
  readonly side?: Side;
  readonly seed?: number | bigint;
  /** (n, dim) f32. */
  readonly input: string;
  /** (n, bytesPerVector) bytes. */
  readonly packed?: string;
  /** (n, width) f32, the engine's own basis. */
  readonly decoded?: string;
}

interface OpenedFiles extends OpenDump {
  close(): void;
}

/** What a share's thread is told. */
export interface RangeRequest {
  readonly options: DumpOptions;
  readonly range: WindowRange;
}

/**
 * The verdict of a whole dump, in bounded memory. jobs: threads.
 * @throws FormatError for what is no dump, or sizes that no fault explains; RangeError for a dimension that the format
 *   does not take; the file system's error.
 */
export async function verifyDump(
  options: DumpOptions,
  { jobs = 1, onProgress }: { readonly jobs?: number; readonly onProgress?: OnProgress } = {},
): Promise<Verdict> {
  const dump = await openFiles(options);
  try {
    if (jobs === 1 || isSmall(dump) || !fits(dump)) return judge(dump, onProgress);
  } finally {
    dump.close();
  }
  const ranges = Array.from({ length: jobs }, (_, i) => shareOf(dump.vectors, i + 1, jobs));
  return verdictOf(mergeShards(await onThreads(options, ranges, dump.vectors, onProgress)));
}

/**
 * Share i of n (1 … n) of a dump: {@link mergeShards} and {@link verdictOf} make a verdict of all of them.
 * @throws as {@link verifyDump}; FormatError BAD_LENGTH for any sizes that do not fit.
 */
export async function verifyShard(
  options: DumpOptions,
  [i, n]: readonly [i: number, n: number],
  onProgress?: OnProgress,
): Promise<DumpShard> {
  if (!Number.isInteger(n) || n < 1) throw new RangeError(`"n" expected a whole number from 1 on, got ${n}`);
  if (!Number.isInteger(i) || i < 1 || i > n) throw new RangeError(`"i" expected 1 … ${n}, got ${i}`);
  const dump = await openFiles(options);
  try {
    if (!fits(dump)) throw wrongSizes(dump);
    return shardOf(dump, shareOf(dump.vectors, i, n), onProgress);
  } finally {
    dump.close();
  }
}

/** What a thread does with its share. */
export async function verifyRangeOf(
  { options, range }: RangeRequest,
  onVectors: OnProgress,
): Promise<DumpShard> {
  const dump = await openFiles(options);
  try {
    return shardOf(dump, range, onVectors);
  } finally {
    dump.close();
  }
}

async function openFiles({
  format,
  dim,
  side = "key",
  seed = 0,
  ...paths
}: DumpOptions): Promise<OpenedFiles> {
  if (paths.packed === undefined && paths.decoded === undefined)
    throw new TypeError('"packed" or "decoded" expected, got neither');
  const { width, bytesPerVector } = findFormat(format).open({ dim, side });
  const opened: { close(): void }[] = [];
  const close = (): void => {
    for (const file of opened.splice(0)) file.close();
  };
  const open = async <T extends { close(): void }>(file: Promise<T>): Promise<T> => {
    const got = await file;
    opened.push(got);
    return got;
  };
  try {
    const input = await open(openVectors(paths.input, dim));
    const packed = paths.packed === undefined ? undefined : await open(openBytes(paths.packed));
    const decoded = paths.decoded === undefined ? undefined : await open(openVectors(paths.decoded, width));
    if (packed?.length === 0)
      throw new FormatError("BAD_LENGTH", `${paths.packed} is empty: expected packed vectors`);
    return {
      of: { format, dim, side, seed },
      files: { input, packed, decoded },
      vectors: input.length / dim,
      stride: bytesPerVector,
      width,
      close,
    };
  } catch (error) {
    close();
    throw error;
  }
}

const onThreads = (
  options: DumpOptions,
  ranges: readonly WindowRange[],
  vectors: number,
  onProgress?: OnProgress,
): Promise<DumpShard[]> => {
  const done = ranges.map(() => 0);
  const workers: Worker[] = [];
  const all = ranges.map(
    (range, i) =>
      new Promise<DumpShard>((resolve, reject) => {
        const workerData: RangeRequest = { options, range };
        const worker = new Worker(new URL("./shard-worker.js", import.meta.url), { workerData });
        workers.push(worker);
        worker.once("error", reject);
        worker.on("message", (message: number | DumpShard) => {
          if (typeof message === "object") return resolve(message);
          done[i] = message / ranges.length;
          onProgress?.(Math.round(done.reduce((sum, n) => sum + n, 0)), vectors);
        });
      }),
  );
  return Promise.all(all).finally(() => Promise.all(workers.map((worker) => worker.terminate())));
};
