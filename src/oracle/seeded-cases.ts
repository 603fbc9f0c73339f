/**
 * Vectors that any language makes in five lines, for digests over more cases than a file should hold: xorshift32, and sums
 * of four of its values, which are exact in f32 and nearly Gaussian (standard deviation .577, at most 2 in magnitude).
 *
 *   next:  s ^= s << 13;  s ^= s >>> 17;  s ^= s << 5            (32 bits, unsigned shift right)
 *   value: ((n1 >>> 16) + (n2 >>> 16) + (n3 >>> 16) + (n4 >>> 16) − 131070) / 65536
 */

/** The state that the shipped digests start from. */
export const SEEDED_STATE = 0x9e3779b9;

/** A stream of vectors. state: any but 0, of 32 bits. @throws RangeError. */
export function seededVectors(dim: number, state = SEEDED_STATE): (vectors: number) => Float32Array {
  if (!Number.isInteger(dim) || dim < 1)
    throw new RangeError(`"dim" expected a positive integer, got ${dim}`);
  if (!Number.isInteger(state) || state < 1 || state > 0xffffffff)
    throw new RangeError(`"state" expected an integer in 1..4294967295, got ${state}`);
  let s = state;
  const next = (): number => {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return s >>> 16;
  };
  return (vectors) =>
    Float32Array.from({ length: vectors * dim }, () => (next() + next() + next() + next() - 131070) / 65536);
}
