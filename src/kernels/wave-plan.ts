/**
 * The record by which kernels know waves (core/waves.ts), little-endian words, mirrored by assembly/waves.ts:
 *
 *   0  channels   u32, a multiple of 4     12  smooth   → (channels − summed, 8) f32
 *   4  summed     u32                      16  turned   → (channels, 2) f32 of working space
 *   8  table      → (summed, 2, 16) f32
 */
import type { Waves } from "../core/waves.js";
import type { Arena } from "./arena.js";
import type { Plan } from "./plan.js";

const RECORD_BYTES = 32;

export function createWavePlan(arena: Arena, { channels, summed, table, smooth }: Waves): Plan {
  const tableAt = RECORD_BYTES;
  const smoothAt = tableAt + table.byteLength;
  const turnedAt = smoothAt + smooth.byteLength;
  const pointer = arena.allocate(turnedAt + 8 * channels);
  arena.u32.set([channels, summed, pointer + tableAt, pointer + smoothAt, pointer + turnedAt], pointer >>> 2);
  arena.f32.set(table, (pointer + tableAt) >>> 2);
  arena.f32.set(smooth, (pointer + smoothAt) >>> 2);
  return { pointer, release: () => arena.release(pointer) };
}
