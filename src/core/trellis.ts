/**
 * Bitshift trellis codes (the idea of QTIP, arXiv 2406.11235, small enough for a KV cache): coordinate j is decoded
 * from the last L bits of a stream of k-bit codes,
 *
 *   w_j = (w_{j−1} << k | code_j) mod 2^L,   value T[w_j]
 *
 * so successive values share L − k bits, and the encoder's choice of a path makes 2^L levels do the work that a
 * scalar code does with 2^k. Every coordinate is decodable from its own L bits; there is no sequential decoder.
 *
 * The stream bites its tail: the bits before the first are the last ones, w_{−1} = w_{d−1}. With w_{−1} = 0 instead,
 * the first coordinates lack choices: trained and coded so, D of (L, k) = (4, 1) was 1.8 % more at d = 64 than at d = 256,
 * and with the seam as below it is .1 % more.
 *
 * The stream is most-significant-bit first: code j occupies stream bits j·k … j·k + k − 1, stream bit b is bit
 * 7 − (b & 7) of byte b >> 3. Window j is then the L contiguous bits that end with code j, read as a number. For L = 4,
 * k = 2 byte i is the codes 4i … 4i + 3 from its high end: its nibbles are windows 4i + 1 and 4i + 3, its middle four
 * bits are window 4i + 2, and window 4i takes two bits of the byte before (for i = 0 of the last byte).
 *
 * Encoding is a Viterbi search over 2^(L−k) states, in f32 and in this order: the branch of window w costs
 * (z_j − T[w])², a path's cost is the left-to-right sum; a state keeps the cheapest of its 2^k windows, ties to the
 * lower one. First a path from any state through the last 32 coordinates and then the first 32, ending in the cheapest
 * state (ties to the lower one), says in which state the seam is crossed; then the path through all coordinates that
 * begins and ends in that state is the code.
 */

const { fround } = Math;

/** Coordinates on either side of the seam that choose its state. */
const SEAM = 32;

export interface Trellis {
  /** k: bits per code. */
  readonly bits: number;
  /** L: bits per window, bits < window ≤ 8. */
  readonly window: number;
  /** T: 2^window values in units of N(0,1). */
  readonly table: Float32Array;
}

/** Working space of {@link searchTrellis} for vectors of `dim`. */
export interface TrellisScratch {
  /** Costs of the states, before and after a coordinate. */
  readonly costs: Float32Array;
  readonly next: Float32Array;
  /** (at least dim, states): the window that a state kept. */
  readonly kept: Uint8Array;
}

export function createTrellisScratch(trellis: Trellis, dim: number): TrellisScratch {
  const states = 1 << (trellis.window - trellis.bits);
  return {
    costs: new Float32Array(states),
    next: new Float32Array(states),
    kept: new Uint8Array(Math.max(dim, 2 * SEAM) * states),
  };
}

/** z: (dim,), dim ≥ 32 → codes: (dim,), those of a path of least squared error. */
export function searchTrellis(
  trellis: Trellis,
  z: Float32Array,
  codes: Uint8Array,
  scratch: TrellisScratch,
): void {
  const { bits } = trellis;
  const { costs, kept } = scratch;
  const states = costs.length;
  const mask = (1 << bits) - 1;

  costs.fill(0);
  advance(trellis, z, z.length - SEAM, z.length, scratch, 0);
  advance(trellis, z, 0, SEAM, scratch, SEAM);
  let seam = 0;
  for (let s = 1; s < states; s++) if (costs[s]! < costs[seam]!) seam = s;
  for (let step = 2 * SEAM - 1; step >= SEAM; step--) seam = kept[step * states + seam]! >> bits;

  costs.fill(Number.POSITIVE_INFINITY);
  costs[seam] = 0;
  advance(trellis, z, 0, z.length, scratch, 0);
  let state = seam;
  for (let j = z.length - 1; j >= 0; j--) {
    const w = kept[j * states + state]!;
    codes[j] = w & mask;
    state = w >> bits;
  }
}

/** Takes the states' costs through coordinates from … to − 1, whose choices are kept from row `step` on. */
function advance(
  { bits, table }: Trellis,
  z: Float32Array,
  from: number,
  to: number,
  { costs, next, kept }: TrellisScratch,
  step: number,
): void {
  const states = costs.length;
  const windows = table.length;
  let row = step * states;
  for (let j = from; j < to; j++) {
    const value = z[j]!;
    for (let state = 0; state < states; state++) {
      let error = fround(value - table[state]!);
      let least = fround(costs[state >> bits]! + fround(error * error));
      let chosen = state;
      for (let w = state + states; w < windows; w += states) {
        error = fround(value - table[w]!);
        const cost = fround(costs[w >> bits]! + fround(error * error));
        if (cost < least) {
          least = cost;
          chosen = w;
        }
      }
      next[state] = least;
      kept[row++] = chosen;
    }
    for (let state = 0; state < states; state++) costs[state] = next[state]!;
  }
}

/** values ← T of the windows that the codes pass through. codes: (dim,) → values: (dim,). */
export function traceTrellis(
  { bits, window }: Trellis,
  codes: Uint8Array,
  table: Float32Array,
  values: Float32Array,
): void {
  const mask = (1 << window) - 1;
  let w = 0;
  for (let j = codes.length - window; j < codes.length; j++) w = ((w << bits) | codes[j]!) & mask;
  for (let j = 0; j < codes.length; j++) {
    w = ((w << bits) | codes[j]!) & mask;
    values[j] = table[w]!;
  }
}

/** codes: (dim,) each < 2^bits → out: dim·bits/8 bytes, wholly overwritten. dim·bits: a multiple of 8. */
export function packTrellis(bits: number, codes: Uint8Array, out: Uint8Array): void {
  let held = 0;
  let heldBits = 0;
  let at = 0;
  for (let j = 0; j < codes.length; j++) {
    held = ((held << bits) | codes[j]!) & 0xffff;
    heldBits += bits;
    if (heldBits < 8) continue;
    heldBits -= 8;
    out[at++] = held >> heldBits;
  }
}

/** Window j of a packed stream. bytes: the whole stream. */
export function trellisWindow(bits: number, window: number, bytes: Uint8Array, j: number): number {
  const end = (j + 1) * bits;
  const last = (end - 1) >> 3;
  const pair = (bytes[last > 0 ? last - 1 : bytes.length - 1]! << 8) | bytes[last]!;
  return (pair >> (8 * (last + 1) - end)) & ((1 << window) - 1);
}

/** bytes: dim·bits/8 → values: (dim,), each from its own window. */
export function readTrellis(
  { bits, window }: Trellis,
  bytes: Uint8Array,
  table: Float32Array,
  values: Float32Array,
): void {
  for (let j = 0; j < values.length; j++) values[j] = table[trellisWindow(bits, window, bytes, j)]!;
}
