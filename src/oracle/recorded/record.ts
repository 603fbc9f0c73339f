/**
 * One record of a recorded-vector file. Binary fields come as raw bytes (`packed`, our msgpack fixtures) or as base64
 * with a suffix (`packed_b64`, JSON). Whatever is missing or malformed is a FormatError BAD_FILE, never a default.
 */
import { fromF16Array } from "../../core/float.js";
import { FormatError } from "../../core/format-error.js";

export const badFile = (message: string): FormatError => new FormatError("BAD_FILE", message);

export class RecordedFields {
  readonly where: string;
  readonly #fields: Readonly<Record<string, unknown>>;

  /** where: how messages call this record. @throws FormatError BAD_FILE when `value` is not an object. */
  constructor(value: unknown, where: string) {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw badFile(`${where} is not a record`);
    this.where = where;
    this.#fields = value as Record<string, unknown>;
  }

  has(name: string): boolean {
    return this.#fields[name] !== undefined || this.#fields[`${name}_b64`] !== undefined;
  }

  value(name: string): unknown {
    return this.#fields[name];
  }

  text(name: string): string {
    const value = this.#fields[name];
    if (typeof value !== "string") throw badFile(`${this.where}: "${name}" is not a text`);
    return value;
  }

  integer(name: string, least = 1): number {
    const value = this.#fields[name];
    if (!Number.isInteger(value) || (value as number) < least)
      throw badFile(`${this.where}: "${name}" is not an integer >= ${least}`);
    return value as number;
  }

  /** The records of a list that has at least one. */
  records(name: string): RecordedFields[] {
    return this.list(name).map((value, i) => {
      const label = (value as { name?: unknown } | null)?.name;
      return new RecordedFields(value, typeof label === "string" ? label : `${name}[${i}]`);
    });
  }

  list(name: string): readonly unknown[] {
    const value = this.#fields[name];
    if (!Array.isArray(value)) throw badFile(`${this.where}: "${name}" is not a list`);
    if (value.length === 0) throw badFile(`${this.where}: "${name}" has no cases`);
    return value;
  }

  bytes(name: string, length?: number): Uint8Array {
    const raw = this.#fields[name];
    const text = this.#fields[`${name}_b64`];
    let bytes: Uint8Array;
    if (raw instanceof Uint8Array) bytes = raw;
    else if (typeof text === "string") bytes = fromBase64(text, `${this.where}: "${name}_b64"`);
    else throw badFile(`${this.where}: "${name}" is missing or not bytes`);
    if (length !== undefined && bytes.length !== length)
      throw badFile(`${this.where}: "${name}" has ${bytes.length} bytes, ${length} expected`);
    return bytes;
  }

  /** Little-endian f32: (count,). */
  floats(name: string, count: number): Float32Array {
    return new Float32Array(aligned(this.bytes(name, 4 * count)));
  }

  /** Little-endian halves as f32: (count,). */
  halves(name: string, count: number): Float32Array {
    return fromF16Array(new Uint16Array(aligned(this.bytes(name, 2 * count))));
  }
}

/** A buffer of its own (a view into a larger one need not be aligned; a Buffer's `slice` would be such a view). */
const aligned = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;

function fromBase64(text: string, where: string): Uint8Array {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) throw badFile(`${where} is not base64`);
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}
