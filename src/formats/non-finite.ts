/** What our own formats do with values and scales that fp16 cannot hold: the refusals, and the mending. */
import { assertFloat32 } from "../core/check.js";
import { F16_MAX } from "../core/float.js";
import { FormatError } from "../core/format-error.js";

export const NON_FINITE_POLICIES = ["reject", "sanitize"] as const;

/** The error for vector number `vector` whose stored halves are not finite: by its values, or by its norm. */
export function refusal(values: Float32Array, vector: number): FormatError {
  const bad = values.findIndex((v) => !Number.isFinite(v));
  if (bad >= 0)
    return new FormatError(
      "NON_FINITE",
      `vector ${vector} has ${values[bad]} at coordinate ${bad}; only finite values can be encoded (nonFinite: "sanitize" mends and counts)`,
      vector,
    );
  return new FormatError(
    "SCALE_OVERFLOW",
    `vector ${vector} has a norm whose scale does not fit fp16 (65520 and above overflow; nonFinite: "sanitize" clamps and counts)`,
    vector,
  );
}

/** NaN → 0, values clamped to ±65504, in place. */
export function mend(values: Float32Array): void {
  for (let i = 0; i < values.length; i++)
    values[i] = Number.isNaN(values[i]!) ? 0 : Math.min(F16_MAX, Math.max(-F16_MAX, values[i]!));
}

/** @throws TypeError; RangeError unless (dim,) finite values. */
export function assertCenter(center: unknown, dim: number): asserts center is Float32Array {
  assertFloat32(center, "center");
  if (center.length !== dim) throw new RangeError(`"center" expected ${dim} values, got ${center.length}`);
  if (!center.every(Number.isFinite)) throw new RangeError('"center" expected finite values');
}
