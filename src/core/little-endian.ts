/** Fields of a packed vector, little-endian at any byte offset. Halves go through {@link toF16}. */
import { fromF16, toF16 } from "./float.js";

const word = new DataView(new ArrayBuffer(4));

export function putU16(out: Uint8Array, at: number, value: number): void {
  out[at] = value & 255;
  out[at + 1] = value >>> 8;
}

export const getU16 = (bytes: Uint8Array, at: number): number => bytes[at]! | (bytes[at + 1]! << 8);

export function putU32(out: Uint8Array, at: number, value: number): void {
  putU16(out, at, value & 0xffff);
  putU16(out, at + 2, value >>> 16);
}

export const getU32 = (bytes: Uint8Array, at: number): number =>
  (getU16(bytes, at) | (getU16(bytes, at + 2) << 16)) >>> 0;

/** `value` as a half. */
export const putF16 = (out: Uint8Array, at: number, value: number): void => putU16(out, at, toF16(value));

export const getF16 = (bytes: Uint8Array, at: number): number => fromF16(getU16(bytes, at));

export function putF32(out: Uint8Array, at: number, value: number): void {
  word.setFloat32(0, value);
  putU32(out, at, word.getUint32(0));
}

export function getF32(bytes: Uint8Array, at: number): number {
  word.setUint32(0, getU32(bytes, at));
  return word.getFloat32(0);
}
