/** Vectors → bytes: scalar codes (src/core/quantizer.ts, quantizeMse) and the sketch of src/core/qjl.ts, or a trellis. */
import { cells, prepareCells } from "./cells";
import { addCenter, scaledLevels } from "./decode";
import { fromF16, toF16 } from "./half";
import { join, sumOfSquares } from "./lanes";
import { preparePlanes, SQUARE, walk } from "./levels";
import { pack } from "./pack";
import {
  afterOf,
  beforeOf,
  bitsOf,
  blockOf,
  boundariesOf,
  centroidsOf,
  codesAt,
  codesOf,
  dimOf,
  gainOf,
  levelsOf,
  residualOf,
  scratchOf,
  signsAt,
  sketchRowsOf,
  smallOf,
  strideOf,
  windowOf,
} from "./plan";
import { centered, storedScale } from "./scale";
import { projectSigns } from "./sketch";
import { encodeTrellis } from "./trellis";
import { signedWht, unrotate } from "./wht";

/** Σ c² over the centroids of the codes, in lane order; c itself goes to `at`. planes: of the centroids. */
function squaredCentroids(plan: usize, codes: usize, planes: usize, at: usize): f32 {
  const table = centroidsOf(plan);
  const none = f32x4.splat(0);
  return join(
    bitsOf(plan) <= 4
      ? walk(SQUARE, true, codes, dimOf(plan), table, planes, none, at)
      : walk(SQUARE, false, codes, dimOf(plan), table, planes, none, at),
  );
}

/** The fp16 norm and the signs of the residual x − x̂. scale: fp16 bits. */
function sketch(plan: usize, x: usize, scale: u32, out: usize): void {
  const dim = dimOf(plan);
  const planes = scratchOf(plan); // z is done with
  preparePlanes(levelsOf(plan), planes);
  const r = residualOf(plan);
  scaledLevels(plan, codesOf(plan), planes, fromF16(scale), r);
  unrotate(plan, r, 1);
  addCenter(plan, r);
  for (let at: usize = 0; at < dim * 4; at += 16)
    v128.store(r + at, f32x4.sub(v128.load(x + at), v128.load(r + at)));
  store<u16>(out, <u16>toF16(sqrt<f32>(sumOfSquares(r, dim))), 2);
  projectSigns(plan, r, smallOf(plan) + 64, out + signsAt(plan));
}

export function encode(plan: usize, x: usize, rows: usize, out: usize): void {
  if (windowOf(plan) > 0) encodeTrellis(plan, x, rows, out);
  else encodeCells(plan, x, rows, out);
}

function encodeCells(plan: usize, x: usize, rows: usize, out: usize): void {
  const dim = dimOf(plan);
  const bits = bitsOf(plan);
  const z = scratchOf(plan);
  const c = residualOf(plan);
  const codes = codesOf(plan);
  const planes = smallOf(plan);
  const way = prepareCells(bits, boundariesOf(plan));
  preparePlanes(centroidsOf(plan), planes);
  for (let r: usize = 0; r < rows; r++, x += dim * 4, out += strideOf(plan)) {
    const norm = sqrt<f32>(join(signedWht(centered(plan, x, z), beforeOf(plan), z, dim, blockOf(plan))));
    const factor: f32 = norm > 0 ? gainOf(plan) / norm : 0;
    cells(bits, way, z, dim, factor, afterOf(plan), boundariesOf(plan), codes);
    pack(bits, codes, dim, out + codesAt(plan));
    const cc = squaredCentroids(plan, codes, planes, c);
    const scale = toF16(storedScale(plan, norm, z, c, cc));
    store<u16>(out, <u16>scale);
    if (sketchRowsOf(plan) > 0) sketch(plan, x, scale, out);
  }
}
