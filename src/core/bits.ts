/**
 * Codes ↔ bytes. A stream of `bits`-wide codes is least-significant-bit first: code i occupies stream bits
 * i·bits … i·bits + bits − 1, and stream bit k is bit (k & 7) of byte (k >> 3).
 */

/** Bytes that `count` codes of `bits` bits take; the last byte is padded with zeros. */
export const packedBytes = (count: number, bits: number): number => Math.ceil((count * bits) / 8);

/** codes: (n,) each < 2^bits, 1 ≤ bits ≤ 8 → out: packedBytes(n, bits), wholly overwritten. */
export function packCodes(codes: Uint8Array, bits: number, out: Uint8Array): void {
  let held = 0;
  let heldBits = 0;
  let at = 0;
  for (let i = 0; i < codes.length; i++) {
    held |= codes[i]! << heldBits;
    heldBits += bits;
    while (heldBits >= 8) {
      out[at++] = held & 255;
      held >>>= 8;
      heldBits -= 8;
    }
  }
  if (heldBits > 0) out[at] = held;
}

/** bytes → codes: (n,), the inverse of {@link packCodes}. */
export function unpackCodes(bytes: Uint8Array, bits: number, codes: Uint8Array): void {
  const mask = (1 << bits) - 1;
  let held = 0;
  let heldBits = 0;
  let at = 0;
  for (let i = 0; i < codes.length; i++) {
    if (heldBits < bits) {
      held |= bytes[at++]! << heldBits;
      heldBits += 8;
    }
    codes[i] = held & mask;
    held >>>= bits;
    heldBits -= bits;
  }
}
