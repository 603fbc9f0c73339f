/** Plain counters to and from the JSON that serde writes for the crate's structs: the same fields in snake_case. */
import { assertInteger } from "../../core/check.js";

/** The keys of T that hold numbers. */
type Counter<T> = { [K in keyof T]: T[K] extends number ? K : never }[keyof T] & string;

const snakeCase = (name: string): string => name.replace(/[A-Z]/g, (c) => `_${c.toLowerCase()}`);

/** The named fields of `from`, in their order. */
export function countersToJson<T>(from: T, names: readonly Counter<T>[]): Record<string, number> {
  return Object.fromEntries(names.map((name) => [snakeCase(name), from[name] as number]));
}

/** @throws TypeError when `json` is not an object. */
export function asRecord(json: unknown, name: string): Record<string, unknown> {
  if (typeof json === "object" && json !== null && !Array.isArray(json))
    return json as Record<string, unknown>;
  throw new TypeError(`"${name}" expected an object, got ${json === null ? "null" : typeof json}`);
}

/**
 * Fills the named fields of `into`; f32 ones are rounded. Unknown fields are ignored, as serde ignores them.
 * @throws TypeError for a missing field or one that is no number, RangeError for one that is no count.
 */
export function countersFromJson<T>(
  into: T,
  json: unknown,
  names: readonly Counter<T>[],
  f32: readonly Counter<T>[] = [],
): T {
  const record = asRecord(json, "json");
  for (const name of names) {
    const key = snakeCase(name);
    const value = record[key];
    if (!f32.includes(name)) assertInteger(value, key, 0);
    else if (typeof value !== "number")
      throw new TypeError(`"${key}" expected a number, got ${typeof value}`);
    (into as Record<string, unknown>)[name] = f32.includes(name) ? Math.fround(value) : value;
  }
  return into;
}
