/**
 * Vectors → trellis codes (src/core/trellis.ts, src/core/trellis-quantizer.ts). Four states lie side by side in a
 * register: window w = state + m·states has its table entry at w, so the entries of four states are contiguous, and
 * with codes of two bits and more the four come from one state, whose cost is splatted; with one bit from two. Two
 * states (L = 4, k = 3) take two windows each at a time.
 *
 * Working space of the search: costs 64 bytes | next 64 bytes | kept, max(dim, 64) rows of a byte for each state.
 */
import { centered, storedScale } from "./scale";
import { toF16 } from "./half";
import { join, sumOfSquares } from "./lanes";
import {
  afterOf,
  beforeOf,
  bitsOf,
  blockOf,
  centroidsOf,
  codesAt,
  codesOf,
  dimOf,
  gainOf,
  residualOf,
  scratchOf,
  searchOf,
  strideOf,
  windowOf,
} from "./plan";
import { signedWht } from "./wht";

const SEAM: usize = 32;
const NEXT: usize = 64;
const KEPT: usize = 128;

/** Takes the costs through `count` values at z; what each state chose goes to `kept`. Returns the end of it. */
function advance(bits: u32, states: u32, table: usize, windows: u32, z: usize, count: usize, work: usize, kept: usize): usize {
  const none = i8x16.splat(0);
  for (let j: usize = 0; j < count; j++, z += 4) {
    if (states >= 4) {
      const value = v128.load32_splat(z);
      for (let state: u32 = 0; state < states; state += 4) {
        let least = f32x4.splat(0);
        let chosen = none;
        for (let w = state; w < windows; w += states) {
          const error = f32x4.sub(value, v128.load(table + (w << 2)));
          const from = work + ((w >> bits) << 2);
          let cost = bits > 1 ? v128.load32_splat(from) : v128.load64_zero(from);
          if (bits == 1) cost = v128.shuffle<f32>(cost, cost, 0, 0, 1, 1);
          cost = f32x4.add(cost, f32x4.mul(error, error));
          const index = i32x4.splat(w);
          if (w == state) {
            least = cost;
            chosen = index;
          } else {
            chosen = v128.bitselect(index, chosen, f32x4.lt(cost, least));
            least = f32x4.pmin(least, cost);
          }
        }
        v128.store(work + NEXT + (state << 2), least);
        chosen = i32x4.add(chosen, i32x4(0, 1, 2, 3));
        v128.store32_lane(kept, i8x16.swizzle(chosen, i8x16(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)), 0);
        kept += 4;
      }
    } else {
      // Lanes 0 and 1 are the two states with their even windows, lanes 2 and 3 with their odd ones.
      const value = v128.load32_splat(z);
      let least = f32x4.splat(0);
      let chosen = none;
      for (let w: u32 = 0; w < windows; w += 4) {
        const error = f32x4.sub(value, v128.load(table + (w << 2)));
        const from = v128.load32_splat(work + ((w >> bits) << 2));
        const cost = f32x4.add(from, f32x4.mul(error, error));
        const index = i32x4.splat(w);
        if (w == 0) {
          least = cost;
          chosen = index;
        } else {
          chosen = v128.bitselect(index, chosen, f32x4.lt(cost, least));
          least = f32x4.pmin(least, cost);
        }
      }
      chosen = i32x4.add(chosen, i32x4(0, 1, 2, 3));
      const others = v128.shuffle<f32>(least, least, 2, 3, 2, 3);
      const windowsOfOthers = v128.shuffle<i32>(chosen, chosen, 2, 3, 2, 3);
      const lower = v128.and(f32x4.eq(others, least), i32x4.lt_s(windowsOfOthers, chosen));
      chosen = v128.bitselect(windowsOfOthers, chosen, v128.or(f32x4.lt(others, least), lower));
      v128.store64_lane(work + NEXT, f32x4.pmin(least, others), 0);
      store<u8>(kept, i32x4.extract_lane(chosen, 0));
      store<u8>(kept + 1, i32x4.extract_lane(chosen, 1));
      kept += 2;
    }
    memory.copy(work, work + NEXT, states << 2);
  }
  return kept;
}

/** The path through z: (dim,) → codes, a byte each, and the table's values on it → c: (dim,). */
function search(bits: u32, window: u32, table: usize, z: usize, dim: usize, codes: usize, c: usize, work: usize): void {
  const states: u32 = 1 << (window - bits);
  const windows: u32 = 1 << window;
  const kept = work + KEPT;
  memory.fill(work, 0, states << 2);
  const middle = advance(bits, states, table, windows, z + ((dim - SEAM) << 2), SEAM, work, kept);
  advance(bits, states, table, windows, z, SEAM, work, middle);
  let seam: u32 = 0;
  for (let s: u32 = 1; s < states; s++)
    if (load<f32>(work + (s << 2)) < load<f32>(work + (seam << 2))) seam = s;
  for (let step: usize = 2 * SEAM - 1; step >= SEAM; step--) seam = <u32>load<u8>(kept + step * states + seam) >> bits;

  for (let s: u32 = 0; s < states; s++) store<f32>(work + (s << 2), Infinity);
  store<f32>(work + (seam << 2), 0);
  advance(bits, states, table, windows, z, dim, work, kept);
  let state = seam;
  for (let left = dim; left > 0; left--) {
    const j = left - 1;
    const w = <u32>load<u8>(kept + j * states + state);
    store<u8>(codes + j, w & ((1 << bits) - 1));
    state = w >> bits;
  }
  // Not the kept windows: where a value is not finite the path need not close, and the decoder's windows do.
  const mask = windows - 1;
  let w: u32 = 0;
  for (let j = dim - window; j < dim; j++) w = ((w << bits) | load<u8>(codes + j)) & mask;
  for (let j: usize = 0; j < dim; j++) {
    w = ((w << bits) | load<u8>(codes + j)) & mask;
    store<f32>(c + (j << 2), load<f32>(table + (w << 2)));
  }
}

/** Codes to a stream, most significant bit first. */
function pack(bits: u32, codes: usize, dim: usize, out: usize): void {
  let held: u32 = 0;
  let heldBits: u32 = 0;
  for (let j: usize = 0; j < dim; j++) {
    held = (held << bits) | load<u8>(codes + j);
    heldBits += bits;
    if (heldBits < 8) continue;
    heldBits -= 8;
    store<u8>(out++, held >> heldBits);
  }
}

export function encodeTrellis(plan: usize, x: usize, rows: usize, out: usize): void {
  const dim = dimOf(plan);
  const bits = <u32>bitsOf(plan);
  const window = <u32>windowOf(plan);
  const z = scratchOf(plan);
  const c = residualOf(plan);
  const codes = codesOf(plan);
  const work = searchOf(plan);
  for (let r: usize = 0; r < rows; r++, x += dim * 4, out += strideOf(plan)) {
    const norm = sqrt<f32>(join(signedWht(centered(plan, x, z), beforeOf(plan), z, dim, blockOf(plan))));
    const factor = f32x4.splat(norm > 0 ? gainOf(plan) / norm : 0);
    for (let at: usize = 0; at < dim * 4; at += 16)
      v128.store(z + at, f32x4.mul(f32x4.mul(v128.load(z + at), factor), v128.load(afterOf(plan) + at)));
    search(bits, window, centroidsOf(plan), z, dim, codes, c, work);
    pack(bits, codes, dim, out + codesAt(plan));
    store<u16>(out, <u16>toF16(storedScale(plan, norm, z, c, sumOfSquares(c, dim))));
  }
}
