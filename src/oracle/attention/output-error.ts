/** How far a fork's outputs are from those of a path, row by row. */
import { type AttentionCase, attendRow, type Path } from "./path.js";

/**
 * Largest error, relative to the row's norm, that sums in f32 or halves leave. Sums in halves over many tokens lose
 * a rounding each time: about 2⁻¹² √tokens of the result.
 */
export const roundingLimit = (tokens: number): number => Math.max(4e-3, 2 ** -11 * Math.sqrt(tokens));

/** ‖due − given‖/‖due‖ of one row; where both are not finite, 0. */
export function rowError(
  due: ArrayLike<number>,
  from: number,
  given: Float32Array,
  at: number,
  dim: number,
): number {
  let e = 0;
  let size = 0;
  for (let i = 0; i < dim; i++) {
    e += (due[from + i]! - given[at + i]!) ** 2;
    size += due[from + i]! ** 2;
  }
  if (Number.isFinite(size) && Number.isFinite(e)) return Math.sqrt(e / Math.max(size, 1e-30));
  return Number.isFinite(size) === allFinite(given, at, dim) ? 0 : Number.POSITIVE_INFINITY;
}

function allFinite(x: Float32Array, at: number, dim: number): boolean {
  for (let i = at; i < at + dim; i++) if (!Number.isFinite(x[i]!)) return false;
  return true;
}

/** Errors of a path in these rows. Of a row that sees nothing, zeros and 0/0 are both right. */
export function pathErrors(c: AttentionCase, path: Path, rows: readonly number[]): Float64Array {
  const { dim, output } = c.options;
  const out = new Float64Array(dim);
  return Float64Array.from(rows, (row) =>
    attendRow(c, path, row, out)
      ? rowError(out, 0, output, row * dim, dim)
      : output.subarray(row * dim, (row + 1) * dim).some((v) => v !== 0 && !Number.isNaN(v))
        ? Number.POSITIVE_INFINITY
        : 0,
  );
}
