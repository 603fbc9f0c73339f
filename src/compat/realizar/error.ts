/** The failures of the Rust crate's `PagedCacheError`, one class here; the messages are the crate's, to the letter. */

/** What failed, by variant name. Counts are pages; `seqId` is a SeqId's value; `allocated` and `position` are tokens. */
export type RealizarErrorDetail =
  | { readonly code: "OutOfMemory"; readonly needed: number; readonly available: number }
  | { readonly code: "SequenceNotFound"; readonly seqId: number }
  /** `pageId` is the logical page index asked for, `offset` the absolute token position. */
  | { readonly code: "InvalidPageAccess"; readonly pageId: number; readonly offset: number }
  /** Part of the crate's enum; nothing raises it. */
  | { readonly code: "PageTableCorruption"; readonly seqId: number }
  /** Only from `slot`. */
  | { readonly code: "UnknownSequence"; readonly seqId: number }
  /** Only from `slot`. */
  | {
      readonly code: "OutOfBounds";
      readonly seqId: number;
      readonly position: number;
      readonly allocated: number;
    }
  /** Only from `allocateBlocks`. */
  | { readonly code: "OutOfPages"; readonly requested: number; readonly available: number };

/** The names of the crate's variants. */
export type RealizarErrorCode = RealizarErrorDetail["code"];

function describe(detail: RealizarErrorDetail): string {
  switch (detail.code) {
    case "OutOfMemory":
      return `Out of memory: need ${detail.needed} pages, have ${detail.available}`;
    case "SequenceNotFound":
      return `Sequence not found: ${detail.seqId}`;
    case "InvalidPageAccess":
      return `Invalid page access: page ${detail.pageId} at offset ${detail.offset}`;
    case "PageTableCorruption":
      return `Page table corruption for sequence ${detail.seqId}`;
    case "UnknownSequence":
      return `Unknown sequence: SeqId(${detail.seqId})`;
    case "OutOfBounds":
      return `Out of bounds: seq SeqId(${detail.seqId}) pos ${detail.position}, allocated ${detail.allocated}`;
    case "OutOfPages":
      return `Out of pages: need ${detail.requested}, have ${detail.available}`;
  }
}

/**
 * A failed operation of the adapter's caches; it changed nothing. `code` is the crate's variant, `detail` its fields.
 * Where the crate panics (a page size of 0, an f32 offset past the end), a RangeError is thrown instead.
 */
export class RealizarCacheError extends Error {
  override readonly name = "RealizarCacheError";
  readonly code: RealizarErrorCode;
  readonly detail: RealizarErrorDetail;

  constructor(detail: RealizarErrorDetail) {
    super(describe(detail));
    this.code = detail.code;
    this.detail = detail;
  }
}
