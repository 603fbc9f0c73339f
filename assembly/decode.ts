/** Bytes → vectors: levels times the stored scale, rotated back (src/core/quantizer.ts). */
import { fromF16 } from "./half";
import { preparePlanes, SCALE, walk } from "./levels";
import { indexBitsOf, indices, prepareIndices } from "./indices";
import {
  centerOf,
  codesOf,
  dimOf,
  factorOf,
  levelsOf,
  signsAt,
  sketchRowsOf,
  smallOf,
  strideOf,
} from "./plan";
import { addSketch } from "./sketch";
import { unrotate } from "./wht";

/** out: (dim,) ← scale · level of each code. planes: of the levels. */
export function scaledLevels(plan: usize, codes: usize, planes: usize, scale: f32, out: usize): void {
  const table = levelsOf(plan);
  const s = f32x4.splat(scale);
  if (indexBitsOf(plan) <= 4) walk(SCALE, true, codes, dimOf(plan), table, planes, s, out);
  else walk(SCALE, false, codes, dimOf(plan), table, planes, s, out);
}

export function decodeRotated(plan: usize, bytes: usize, rows: usize, out: usize): void {
  const dim = dimOf(plan);
  const codes = codesOf(plan);
  const spread = smallOf(plan);
  const planes = spread + 64;
  prepareIndices(plan, spread);
  preparePlanes(levelsOf(plan), planes);
  for (let r: usize = 0; r < rows; r++, bytes += strideOf(plan), out += dim * 4) {
    indices(plan, bytes, codes, spread);
    scaledLevels(plan, codes, planes, fromF16(load<u16>(bytes)), out);
  }
}

/** x: (dim,) += the centre, if there is one. */
@inline
export function addCenter(plan: usize, x: usize): void {
  let center = centerOf(plan);
  if (center == 0) return;
  for (const end = x + dimOf(plan) * 4; x < end; x += 16, center += 16)
    v128.store(x, f32x4.add(v128.load(x), v128.load(center)));
}

export function decode(plan: usize, bytes: usize, rows: usize, out: usize): void {
  decodeRotated(plan, bytes, rows, out);
  unrotate(plan, out, rows);
  for (let r: usize = 0; r < rows; r++, bytes += strideOf(plan), out += dimOf(plan) * 4) {
    addCenter(plan, out);
    if (sketchRowsOf(plan) > 0)
      addSketch(plan, factorOf(plan) * fromF16(load<u16>(bytes, 2)), bytes + signsAt(plan), out);
  }
}
