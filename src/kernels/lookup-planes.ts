/** Integer levels as lookups find them: for each pass over nibbles (assembly/attention/nibbles.ts) two planes of bytes. */

/** values: of each code → (passes, 2, 16): for each nibble of a pass the low and the high byte of its code's value. */
export function lookupPlanes(bits: number, values: Int16Array): Uint8Array {
  const passes = bits === 4 ? 1 : bits === 2 ? 2 : 4;
  const mask = (1 << bits) - 1;
  return Uint8Array.from({ length: 32 * passes }, (_, at) => {
    const [pass, high, j] = [at >> 5, at & 16, at & 15];
    const value = values[(bits >= 3 ? j : j >> (pass * bits)) & mask]!;
    return high ? value >> 8 : value;
  });
}
