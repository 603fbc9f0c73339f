/** What calls of a cache may ask for, against what it holds. */
import type { AttendOptions } from "../attention/attend.js";
import { PRECISIONS, type Precision } from "../attention/readers.js";
import { assertFloat32, assertInteger, assertOneOf } from "../core/check.js";
import { CacheError } from "./cache-error.js";
import { assertHeads, type CacheConfig } from "./options.js";
import { RELEASED } from "./page-table.js";
import { leastFilled, type Sequence } from "./sequences.js";

/** Which tokens `read` and `score` are about. */
export interface ReadOptions {
  /** Tokens from … to (exclusive). Default: all that every layer holds. */
  readonly from?: number;
  readonly to?: number;
}

/** Options of `KvCache.score`. */
export interface ScoreOptions extends ReadOptions {
  /** How exactly packed keys are read. Default: the constructor's. */
  readonly precision?: Precision;
}

/** Options of `KvCache.attend`. */
export interface CacheAttendOptions extends AttendOptions {
  /** Query heads, a multiple of kvHeads. Default: the constructor's. */
  readonly heads?: number;
  /** How exactly packed vectors are read, where the format has a choice: turbo1 … turbo4, dim ≤ 256. Default: the constructor's. */
  readonly precision?: Precision;
}

/** What a call asks for, or the cache's own. @throws TypeError, RangeError. */
export function precisionOf(
  config: CacheConfig,
  { precision }: { readonly precision?: Precision },
): Precision {
  if (precision === undefined) return config.precision;
  assertOneOf(precision, "precision", PRECISIONS);
  return precision;
}

/** The tokens of a layer that a call means. @throws CacheError INVALID_POSITION beyond what the layer holds. */
export function tokenRange(
  sequence: Sequence,
  layer: number,
  options: ReadOptions,
): { from: number; to: number } {
  const { from = 0, to = Math.max(from, leastFilled(sequence)) } = options;
  assertInteger(from, "from", 0);
  assertInteger(to, "to", from);
  const tokens = sequence.fill[layer]!;
  if (to > tokens)
    throw new CacheError(
      "INVALID_POSITION",
      `tokens ${from}..${to} expected within the ${tokens} of the layer`,
    );
  return { from, to };
}

/** The caller's array for `size` values, or a new one. @throws TypeError, RangeError. */
export function outputFor(out: Float32Array | undefined, size: number): Float32Array {
  if (out === undefined) return new Float32Array(size);
  assertFloat32(out, "out");
  if (out.length !== size) throw new RangeError(`"out" expected ${size} values, got ${out.length}`);
  return out;
}

/** @throws CacheError INVALID_POSITION where a token of the range was released. */
export function assertPresent(sequence: Sequence, from: number, to: number, pageTokens: number): void {
  for (let index = Math.floor(from / pageTokens); index * pageTokens < to; index++) {
    if (sequence.table.get(index) !== RELEASED) continue;
    const at = Math.max(from, index * pageTokens);
    throw new CacheError("INVALID_POSITION", `token ${at} was released by the window`);
  }
}

/** The number of query heads, after checking queries and options. */
export function attendedHeads(config: CacheConfig, queries: unknown, options: CacheAttendOptions): number {
  const { kvHeads, headDim } = config;
  const { scale, sparse, window, sinks } = options;
  assertFloat32(queries, "queries", kvHeads * headDim);
  const heads = options.heads ?? config.heads ?? (queries.length <= kvHeads * headDim ? kvHeads : undefined);
  if (heads === undefined)
    throw new RangeError(
      `"heads" expected in the options of attend or of the cache: ${queries.length} values may be several queries or several heads`,
    );
  assertHeads(heads, kvHeads);
  assertFloat32(queries, "queries", heads * headDim);
  if (scale !== undefined && !(scale > 0 && Number.isFinite(scale)))
    throw new RangeError(`"scale" expected a finite number above 0, got ${scale}`);
  if (sparse !== undefined && !(sparse >= 0 && sparse < 1))
    throw new RangeError(`"sparse" expected a weight in 0..1, got ${sparse}`);
  if (window !== undefined) assertInteger(window, "window", 1);
  if (sinks !== undefined) assertInteger(sinks, "sinks", 0);
  return heads;
}
