/**
 * Tiles: the vectors of sixteen tokens, laid out for attention, in as many bytes as they have one after the other.
 *
 *   keys     scales × 16 | [residual norms × 16] | byte 0 of all codes, byte 1 of all, …   | [sign bytes the same]
 *   values   scales × 16 | [residual norms × 16] | bytes of vectors 0 and 1 in turn, of 2 …| [signs of 0 and 1, …]
 *
 * so every field begins at 16 times its place in a vector (plan.ts), and a tile of `stride`-byte vectors has 16 · stride
 * bytes. A row of sixteen bytes of keys is one byte of each token: sixteen tokens are looked up at once. Values have byte 0
 * of the first of two tokens, of the second, byte 1 of the first, …: what is looked up are pairs, to be weighted and added.
 *
 * Codes of 1, 2 and 4 bits keep their bytes. Those of 3 bits are regrouped, eight codes to three bytes: of byte k the low
 * nibble is code 2k, the high one code 2k + 1, and on top of each (bits 3 and 7) is bit k of code 6 and of code 7. Two values
 * then have the first bytes of all groups, the second ones, the third ones.
 */
import { packedBytes } from "../core/bits.js";
import type { VectorLayout } from "./plan.js";

/** Tokens of a tile. */
export const TILE_TOKENS = 16;

/** What a tile is made of. */
export interface TileShape extends VectorLayout {
  readonly dim: number;
  readonly bits: number;
  /** Bits of a sketch, or 0. */
  readonly sketchRows: number;
}

/** Codes that kernels look up in nibbles, with whole rows of four bytes. */
export const tiles = (dim: number, bits: number, sketchRows: number): boolean =>
  bits <= 4 && dim % 32 === 0 && sketchRows % 32 === 0;

/** Bytes of codes in wire order → in a tile's order (one vector), and back. */
export function regroup(bits: number, codes: Uint8Array): Uint8Array {
  return bits === 3 ? eachGroup(codes, (w) => groupedByte(w)) : codes;
}
export function ungroup(bits: number, codes: Uint8Array): Uint8Array {
  return bits === 3 ? eachGroup(codes, (v) => ungroupedBits(v)) : codes;
}

function eachGroup(bytes: Uint8Array, turn: (group: number) => number): Uint8Array {
  const out = new Uint8Array(bytes.length);
  for (let g = 0; g < bytes.length; g += 3) {
    const v = turn(bytes[g]! | (bytes[g + 1]! << 8) | (bytes[g + 2]! << 16));
    for (let k = 0; k < 3; k++) out[g + k] = v >>> (8 * k);
  }
  return out;
}

/** Stream bits of eight codes, code i at bit 3i → three bytes of nibbles. */
function groupedByte(w: number): number {
  let out = 0;
  for (let k = 0; k < 3; k++) {
    const top = (((w >> (18 + k)) & 1) << 3) | (((w >> (21 + k)) & 1) << 7);
    out |= (((w >> (6 * k)) & 7) | (((w >> (6 * k + 3)) & 7) << 4) | top) << (8 * k);
  }
  return out;
}
function ungroupedBits(v: number): number {
  let w = 0;
  for (let k = 0; k < 3; k++) {
    const byte = v >> (8 * k);
    w |= ((byte & 7) | (((byte >> 4) & 7) << 3)) << (6 * k);
    w |= (((byte >> 3) & 1) << (18 + k)) | (((byte >> 7) & 1) << (21 + k));
  }
  return w;
}

/** Calls with each byte of a vector's code: its place in the vector, and in the tile for token t. */
function eachByte(
  shape: TileShape,
  side: "key" | "value",
  t: number,
  visit: (inVector: number, inTile: number) => void,
): void {
  const { dim, bits, codesAt, signsAt, sketchRows } = shape;
  for (let i = 0; i < codesAt; i++) visit(i, 16 * (i & ~1) + 2 * t + (i & 1));
  const place = (from: number, bytes: number, planes: number): void => {
    for (let i = 0; i < bytes; i++) {
      const at =
        side === "key"
          ? TILE_TOKENS * i + t
          : (t & 1) + 2 * ((t >> 1) * bytes + (i % planes) * (bytes / planes) + Math.floor(i / planes));
      visit(from + i, TILE_TOKENS * from + at);
    }
  };
  place(codesAt, packedBytes(dim, bits), bits === 3 ? 3 : 1);
  if (sketchRows > 0) place(signsAt, packedBytes(sketchRows, 1), 1);
}

/** vector: (stride,) in wire order → token t of the tile. */
export function putInTile(
  shape: TileShape,
  side: "key" | "value",
  vector: Uint8Array,
  tile: Uint8Array,
  t: number,
): void {
  const { dim, bits, codesAt } = shape;
  const grouped = vector.slice();
  const end = codesAt + packedBytes(dim, bits);
  grouped.set(regroup(bits, vector.subarray(codesAt, end)), codesAt);
  eachByte(shape, side, t, (i, at) => {
    tile[at] = grouped[i]!;
  });
}

/** Token t of the tile → vector: (stride,) in wire order. */
export function takeFromTile(
  shape: TileShape,
  side: "key" | "value",
  tile: Uint8Array,
  t: number,
  vector: Uint8Array,
): void {
  const { dim, bits, codesAt } = shape;
  eachByte(shape, side, t, (i, at) => {
    vector[i] = tile[at]!;
  });
  const codes = vector.subarray(codesAt, codesAt + packedBytes(dim, bits));
  codes.set(ungroup(bits, codes));
}
