/**
 * Argument checks: TypeError for a wrong type, RangeError for a wrong value; the message names the
 * argument, what was expected and what came. Validate once, at the border; inner code assumes.
 */

const describe = (value: unknown): string =>
  value === null ? "null" : typeof value === "object" ? (value.constructor?.name ?? "object") : typeof value;

/** @throws TypeError when not a number, RangeError when not an integer in [least, most]. */
export function assertInteger(
  value: unknown,
  name: string,
  least: number,
  most: number = Number.MAX_SAFE_INTEGER,
): asserts value is number {
  if (Number.isInteger(value) && (value as number) >= least && (value as number) <= most) return;
  if (typeof value !== "number") throw new TypeError(`"${name}" expected a number, got ${describe(value)}`);
  const range =
    most === Number.MAX_SAFE_INTEGER ? `an integer >= ${least}` : `an integer in ${least}..${most}`;
  throw new RangeError(`"${name}" expected ${range}, got ${value}`);
}

/** @throws TypeError when not a Float32Array, RangeError when its length is not a multiple of `multiple`. */
export function assertFloat32(value: unknown, name: string, multiple = 1): asserts value is Float32Array {
  if (!(value instanceof Float32Array))
    throw new TypeError(`"${name}" expected a Float32Array, got ${describe(value)}`);
  if (value.length % multiple !== 0)
    throw new RangeError(`"${name}" expected a multiple of ${multiple} values, got ${value.length}`);
}

/** @throws TypeError when not a Uint8Array, RangeError when its length is not a multiple of `multiple`. */
export function assertBytes(value: unknown, name: string, multiple = 1): asserts value is Uint8Array {
  if (!(value instanceof Uint8Array))
    throw new TypeError(`"${name}" expected a Uint8Array, got ${describe(value)}`);
  if (value.length % multiple !== 0)
    throw new RangeError(`"${name}" expected a multiple of ${multiple} bytes, got ${value.length}`);
}

/** @throws TypeError when not a string, RangeError when not one of `allowed`. */
export function assertOneOf<T extends string>(
  value: unknown,
  name: string,
  allowed: readonly T[],
): asserts value is T {
  if (allowed.includes(value as T)) return;
  if (typeof value !== "string") throw new TypeError(`"${name}" expected a string, got ${describe(value)}`);
  throw new RangeError(`"${name}" expected one of ${allowed.join(", ")}, got "${value}"`);
}
