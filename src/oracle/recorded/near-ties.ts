/**
 * Codes that may differ: engines that rotate in another order of summation put a value that lies next to a boundary
 * into the other cell. Within 1e-6 of the boundary between two neighbouring cells either code is right.
 */
import { unpackCodes } from "../../core/bits.js";
import type { NativeCodebook } from "../../formats/native-codebook.js";
import type { Tally } from "./tally.js";

export const NEAR_TIE = 1e-6;

/**
 * Compares the codes of one vector. y: (d,) the rotated unit vector; expected and actual: its code bytes.
 * A difference counts unless the cells are neighbours and y is within 1e-6 of the boundary between them.
 */
export function judgeCodes(
  tally: Tally,
  where: string,
  book: NativeCodebook,
  y: Float32Array,
  expected: Uint8Array,
  actual: Uint8Array,
): void {
  const wanted = new Uint8Array(y.length);
  const got = new Uint8Array(y.length);
  unpackCodes(expected, book.bits, wanted);
  unpackCodes(actual, book.bits, got);
  for (let i = 0; i < y.length; i++) {
    const [a, b] = [wanted[i]!, got[i]!];
    if (a === b) continue;
    const boundary = book.boundaries[Math.min(a, b)]!;
    if (Math.abs(a - b) > 1 || !(Math.abs(y[i]! - boundary) <= NEAR_TIE))
      tally.differ(`${where} code ${i}`, a, b);
  }
}
