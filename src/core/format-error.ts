/** What can be wrong with vectors and bytes (not with arguments: those are TypeError and RangeError). */
export type FormatErrorCode = "NON_FINITE" | "SCALE_OVERFLOW" | "BAD_LENGTH" | "BAD_FILE" | "UNKNOWN_FORMAT";

/** Data that a format cannot hold or read; `code` says which way, `vector` where it is known. */
export class FormatError extends Error {
  override readonly name = "FormatError";
  readonly code: FormatErrorCode;
  readonly vector: number | undefined;

  constructor(code: FormatErrorCode, message: string, vector?: number) {
    super(message);
    this.code = code;
    this.vector = vector;
  }
}
