/** Runs one call on a backend and compares what two backends left behind: bits, with every NaN one class. */
import type { Kernels } from "../../src/kernels/kernels.js";

const GUARD = 64;

/** f32 to upload, at a 16-byte boundary; bytes to upload, one byte behind one. */
export type Input = Float32Array | Uint8Array;

/**
 * Uploads inputs, calls, and returns the output region with the guards on both sides, so that a write outside shows
 * as a difference. odd: the output starts one byte behind a 16-byte boundary. initial: what it holds before.
 */
export function run(
  kernels: Kernels,
  inputs: readonly Input[],
  outBytes: number,
  call: (pointers: readonly number[], out: number) => void,
  { odd = false, initial }: { odd?: boolean; initial?: Float32Array } = {},
): Uint8Array {
  const { arena } = kernels;
  const regions = inputs.map((input) => arena.allocate(input.byteLength + 16));
  const region = arena.allocate(outBytes + 2 * GUARD + 16);
  const pointers = inputs.map((input, i) => regions[i]! + (input instanceof Uint8Array ? 1 : 0));
  inputs.forEach((input, i) => {
    arena.u8.set(new Uint8Array(input.buffer, input.byteOffset, input.byteLength), pointers[i]!);
  });
  const out = region + GUARD + (odd ? 1 : 0);
  arena.u8.fill(0xa5, region, region + outBytes + 2 * GUARD + 16);
  if (initial) arena.f32.set(initial, out >>> 2);
  call(pointers, out);
  const result = arena.u8.slice(out - GUARD, out + outBytes + GUARD);
  for (const r of [...regions, region]) arena.release(r);
  return result;
}

/** How many bytes differ, and where the first is (counted from the start of the output). */
export interface Difference {
  readonly count: number;
  readonly first: string;
}

export function compareBytes(want: Uint8Array, got: Uint8Array): Difference {
  let count = 0;
  let first = "";
  for (let i = 0; i < want.length; i++) {
    if (want[i] === got[i]) continue;
    if (count++ === 0) first = `byte ${i - GUARD}: expected ${want[i]}, got ${got[i]}`;
  }
  return { count, first };
}

export function compareFloats(want: Uint8Array, got: Uint8Array): Difference {
  const a = new Uint32Array(want.buffer, want.byteOffset, want.length >>> 2);
  const b = new Uint32Array(got.buffer, got.byteOffset, got.length >>> 2);
  let count = 0;
  let first = "";
  for (let i = 0; i < a.length; i++) {
    if (a[i] === b[i] || (isNaN32(a[i]!) && isNaN32(b[i]!))) continue;
    if (count++ === 0)
      first = `f32 ${i - GUARD / 4}: expected 0x${a[i]!.toString(16)}, got 0x${b[i]!.toString(16)}`;
  }
  return { count, first };
}

const isNaN32 = (bits: number): boolean => (bits & 0x7fffffff) > 0x7f800000;
