import { FormatError } from "../core/format-error.js";

/** What a cache can refuse. Arguments of a wrong type are a TypeError, of a wrong value a RangeError. */
export type CacheErrorCode =
  | "OUT_OF_PAGES"
  | "UNKNOWN_SEQUENCE"
  | "INVALID_POSITION"
  | "INVALID_ARGUMENT"
  | "NON_FINITE"
  | "SCALE_OVERFLOW"
  | "CORRUPT_SNAPSHOT"
  | "SNAPSHOT_VERSION";

/** A state or data that the cache refuses; the call that threw it changed nothing. */
export class CacheError extends Error {
  override readonly name = "CacheError";
  readonly code: CacheErrorCode;
  /** OUT_OF_PAGES: pages that the call needs, and pages that are free or could be evicted. */
  readonly needed: number | undefined;
  readonly available: number | undefined;

  constructor(
    code: CacheErrorCode,
    message: string,
    details: { needed?: number; available?: number; cause?: unknown } = {},
  ) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.needed = details.needed;
    this.available = details.available;
  }
}

/** A codec's refusal of a vector as the cache's own. */
export function fromFormatError(error: unknown): unknown {
  if (!(error instanceof FormatError)) return error;
  if (error.code !== "NON_FINITE" && error.code !== "SCALE_OVERFLOW") return error;
  return new CacheError(error.code, error.message, { cause: error });
}
