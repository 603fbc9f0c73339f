/**
 * Vectors → trellis codes (src/core/trellis.ts, src/core/trellis-quantizer.ts): the path forward (trellis-steps.ts), back
 * along what was kept, and the scale of the values that the packed windows have.
 *
 * Working space of the search: costs 64 bytes | 64 bytes | kept, max(dim, 64) rows of a byte for each state.
 */
import { toF16 } from "./half";
import { indexBitsOf, indices, prepareIndices } from "./indices";
import { join } from "./lanes";
import { preparePlanes, SQUARE, walk } from "./levels";
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
  smallOf,
  strideOf,
  windowOf,
} from "./plan";
import { centered, storedScale } from "./scale";
import { steps14, steps24, steps26, steps34, steps36, steps46 } from "./trellis-steps";
import { signedWht } from "./wht";

const SEAM: usize = 32;
const KEPT: usize = 128;

/** Takes the costs through `count` values at z; what each state chose goes to `kept`. Returns the end of it. */
function advance(shape: u32, table: usize, z: usize, count: usize, costs: usize, kept: usize): usize {
  if (shape == 0x24) return steps24(table, z, count, costs, kept);
  if (shape == 0x26) return steps26(table, z, count, costs, kept);
  if (shape == 0x36) return steps36(table, z, count, costs, kept);
  if (shape == 0x46) return steps46(table, z, count, costs, kept);
  if (shape == 0x34) return steps34(table, z, count, costs, kept);
  return steps14(table, z, count, costs, kept);
}

/** The window that a state kept at a coordinate. */
@inline
function keptWindow(flags: bool, kept: usize, states: u32, step: usize, state: u32): u32 {
  const m: u32 = flags ? (<u32>load<u8>(kept + step) >> state) & 1 : <u32>load<u8>(kept + step * states + state);
  return state + m * states;
}

/** Goes back from a state at the last of `from` coordinates to `to`; returns the state there. */
@inline
function back(flags: bool, bits: u32, states: u32, kept: usize, from: usize, to: usize, state: u32): u32 {
  for (let step = from; step > to; step--) state = keptWindow(flags, kept, states, step - 1, state) >> bits;
  return state;
}

/** The same from `state` to the first of `dim` coordinates, writing codes, most significant bit first, from their end. */
@inline
function backPacking(flags: bool, bits: u32, states: u32, kept: usize, dim: usize, state: u32, end: usize): void {
  let held: u32 = 0;
  let heldBits: u32 = 0;
  for (let step = dim; step > 0; step--) {
    const w = keptWindow(flags, kept, states, step - 1, state);
    held |= (w & ((1 << bits) - 1)) << heldBits;
    heldBits += bits;
    state = w >> bits;
    if (heldBits < 8) continue;
    store<u8>(--end, held);
    held >>>= 8;
    heldBits -= 8;
  }
}

/** The path through z: (dim,) → packed codes. */
function search(bits: u32, window: u32, table: usize, z: usize, dim: usize, out: usize, work: usize): void {
  const states: u32 = 1 << (window - bits);
  const shape = (bits << 4) | window;
  const flags = shape == 0x14;
  const kept = work + KEPT;
  for (let at: usize = 0; at < 64; at += 16) v128.store(work + at, f32x4.splat(0));
  const middle = advance(shape, table, z + ((dim - SEAM) << 2), SEAM, work, kept);
  advance(shape, table, z, SEAM, work, middle);
  let seam: u32 = 0;
  for (let s: u32 = 1; s < states; s++)
    if (load<f32>(work + (s << 2)) < load<f32>(work + (seam << 2))) seam = s;
  seam = flags
    ? back(true, bits, states, kept, 2 * SEAM, SEAM, seam)
    : back(false, bits, states, kept, 2 * SEAM, SEAM, seam);

  for (let at: usize = 0; at < 64; at += 16) v128.store(work + at, f32x4.splat(Infinity));
  store<f32>(work + (seam << 2), 0);
  advance(shape, table, z, dim, work, kept);
  const end = out + ((dim * bits) >> 3);
  if (flags) backPacking(true, bits, states, kept, dim, seam, end);
  else backPacking(false, bits, states, kept, dim, seam, end);
}

export function encodeTrellis(plan: usize, x: usize, rows: usize, out: usize): void {
  const dim = dimOf(plan);
  const bits = <u32>bitsOf(plan);
  const window = <u32>windowOf(plan);
  const table = centroidsOf(plan);
  const z = scratchOf(plan);
  const c = residualOf(plan);
  const windows = codesOf(plan);
  const spread = smallOf(plan);
  const planes = spread + 64;
  prepareIndices(plan, spread);
  preparePlanes(table, planes);
  for (let r: usize = 0; r < rows; r++, x += dim * 4, out += strideOf(plan)) {
    const norm = sqrt<f32>(join(signedWht(centered(plan, x, z), beforeOf(plan), z, dim, blockOf(plan))));
    const factor = f32x4.splat(norm > 0 ? gainOf(plan) / norm : 0);
    for (let at: usize = 0; at < dim * 4; at += 16)
      v128.store(z + at, f32x4.mul(f32x4.mul(v128.load(z + at), factor), v128.load(afterOf(plan) + at)));
    search(bits, window, table, z, dim, out + codesAt(plan), searchOf(plan));
    // Not the kept windows: where a value is not finite the path need not close, and the decoder's windows do.
    indices(plan, out, windows, spread);
    const none = f32x4.splat(0);
    const squares =
      indexBitsOf(plan) <= 4
        ? walk(SQUARE, true, windows, dim, table, planes, none, c)
        : walk(SQUARE, false, windows, dim, table, planes, none, c);
    store<u16>(out, <u16>toF16(storedScale(plan, norm, z, c, join(squares))));
  }
}
