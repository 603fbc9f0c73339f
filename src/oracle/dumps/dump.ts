/** A dump in files: whole, by shares, or by shares on several threads. */
import { Worker } from "node:worker_threads";
import { FormatError } from "../../core/format-error.js";
import { openBytes, openVectors, readAll } from "../../files/elements.js";
import type { Side } from "../../formats/format.js";
import { findFormat } from "../../formats/registry.js";
import type { Verdict } from "../verdict.js";
import { verify } from "../verify.js";
import type { DumpFormat } from "./definition.js";
import { type DumpShard, mergeShards, shareOf, verdictOf, type WindowRange } from "./shard.js";
import { type DumpFiles, verifyRange } from "./verify-range.js";

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

/** Vectors done, and how many there are. */
export type OnProgress = (done: number, total: number) => void;

/** A dump of up to this many values is judged whole, as `verify` does; a larger one by windows. */
export const WHOLE_VALUES = 1 << 20;
/** Vectors of a dump whose sizes do not fit that the diagnosis sees. */
const SAMPLE = 1024;

interface Opened {
  readonly of: DumpFormat;
  readonly files: DumpFiles;
  readonly vectors: number;
  readonly stride: number;
  readonly width: number;
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
  const dump = await openDump(options);
  try {
    if (dump.vectors * options.dim <= WHOLE_VALUES) return verify({ ...dump.of, ...whole(dump.files) });
    if (!fits(dump)) return misfit(dump);
    if (jobs === 1) return verdictOf(shardOf(dump, shareOf(dump.vectors, 1, 1), onProgress));
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
  const dump = await openDump(options);
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
  const dump = await openDump(options);
  try {
    return shardOf(dump, range, onVectors);
  } finally {
    dump.close();
  }
}

async function openDump({ format, dim, side = "key", seed = 0, ...paths }: DumpOptions): Promise<Opened> {
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

function shardOf({ of, files, vectors }: Opened, range: WindowRange, onProgress?: OnProgress): DumpShard {
  const total = range[1] - range[0];
  const share = verifyRange(of, files, vectors, range, (done) =>
    onProgress?.(Math.round((done / total) * vectors), vectors),
  );
  return { ...of, vectors, ranges: total > 0 ? [range] : [], ...share };
}

type Whole = Pick<Parameters<typeof verify>[0], "input" | "packed" | "decoded">;

const whole = ({ input, packed, decoded }: DumpFiles): Whole => ({
  input: readAll(input, Float32Array),
  ...(packed ? { packed: readAll(packed, Uint8Array) } : {}),
  ...(decoded ? { decoded: readAll(decoded, Float32Array) } : {}),
});

const fits = ({ files: { packed, decoded }, vectors, stride, width }: Opened): boolean =>
  (packed === undefined || packed.length === vectors * stride) &&
  (decoded === undefined || decoded.length === vectors * width);

const wrongSizes = ({ files: { packed, decoded }, vectors, stride, width }: Opened): FormatError =>
  new FormatError(
    "BAD_LENGTH",
    packed && packed.length !== vectors * stride
      ? `packed data of ${packed.length} bytes: expected ${vectors * stride} (${vectors} vectors of ${stride} bytes)`
      : `decoded data of ${decoded!.length} values: expected ${vectors * width} (${vectors} vectors of ${width} values)`,
  );

/**
 * Bytes of another size than they should have: another number per vector shows in the first vectors, an end that is
 * missing or too much where the bytes end.
 */
function misfit(dump: Opened): Verdict {
  const { of, files, vectors, stride } = dump;
  const { input, packed } = files;
  if (packed === undefined || packed.length === vectors * stride) throw wrongSizes(dump);
  const each = packed.length / vectors;
  const even = Number.isInteger(each);
  const end = Math.floor(packed.length / stride); // near the end of what is there
  const from = even ? 0 : Math.max(0, Math.min(vectors, end + SAMPLE / 2) - SAMPLE);
  const x = new Float32Array(SAMPLE * of.dim);
  input.read(from * of.dim, x);
  const begin = from * stride;
  const length = even ? SAMPLE * each : packed.length - begin;
  if (length > 8 * SAMPLE * stride) throw wrongSizes(dump);
  const bytes = new Uint8Array(length);
  packed.read(begin, bytes);
  const verdict = verify({ ...of, input: x, packed: bytes });
  return {
    ...verdict,
    vectors,
    first: {
      vector: 0,
      field: "size",
      coordinate: null,
      byte: null,
      expected: vectors * stride,
      actual: packed.length,
    },
  };
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
