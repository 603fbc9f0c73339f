/**
 * Where sums of values lie: for each sixteen bytes of a row (the last ones may overlap those before), pass, and nibble,
 * sixteen coordinates; and how they come in order.
 */
import { bitsOf, dimOf, sketchRowsOf } from "../plan";
import { firstCode, groupBytes, groupCodes, highStep, passesOf } from "./nibbles";
import { codeBytes, signBytes } from "./tile";

/** Sixteen-byte pieces of a plane of `bytes` bytes. */
@inline
export function piecesOf(bytes: usize): usize {
  return (bytes + 15) >> 4;
}

/** Where a piece begins, from the beginning of the plane: the last one ends with it. May be below 0. */
@inline
export function pieceAt(piece: usize, bytes: usize): usize {
  return piece * 16 + 16 <= bytes ? piece * 16 : bytes - 16;
}

/** f32 of a row of sums of codes. */
@inline
export function sumsOf(bits: i32, bytes: usize): usize {
  return piecesOf(bytes / groupBytes(bits)) * passesOf(bits) * 32;
}

function gather(bits: i32, bytes: usize, sums: usize, out: usize): void {
  const codes = groupCodes(bits);
  const plane = bytes / groupBytes(bits);
  for (let piece: usize = 0; piece < piecesOf(plane); piece++)
    for (let p: usize = 0; p < passesOf(bits); p++)
      for (let nibble: usize = 0; nibble < 2; nibble++)
        for (let lane: usize = 0; lane < 16; lane++, sums += 4) {
          const byte = pieceAt(piece, plane) + lane;
          if (byte >= plane) continue; // before the row, too: it is unsigned
          const i = byte * codes + firstCode(bits, p) + nibble * highStep(bits);
          store<f32>(out + i * 4, load<f32>(sums));
        }
}

/** sums: a row of acc → out: (dim,) and, with a sketch, (sketch rows,), in order. */
export function gatherSums(plan: usize, sums: usize, out: usize): void {
  const bits = bitsOf(plan);
  const bytes = codeBytes(plan);
  gather(bits, bytes, sums, out);
  if (sketchRowsOf(plan) > 0) gather(1, signBytes(plan), sums + sumsOf(bits, bytes) * 4, out + dimOf(plan) * 4);
}
