/**
 * Where the elements of a file lie, and how they are read from there: what Node's files and a browser's have in common.
 * Bytes come from a Source, a part at a time, so that a file of any size takes bounded memory.
 */
import { fromF16Array } from "../core/float.js";
import { FormatError } from "../core/format-error.js";

/** A file's elements in C order. */
export interface Elements<T extends Float32Array | Uint8Array> {
  readonly length: number;
  /** undefined for a raw file. */
  readonly shape: readonly number[] | undefined;
  /** Elements from … from + into.length. @throws FormatError when the file has become shorter. */
  read(from: number, into: T): void;
  close(): void;
}

/** All of them; the file stays open. */
export function readAll<T extends Float32Array | Uint8Array>(
  elements: Elements<T>,
  make: new (length: number) => T,
): T {
  const all = new make(elements.length);
  elements.read(0, all);
  return all;
}

/** Types of elements that are read, by their names in safetensors. */
export type Dtype = "U8" | "F16" | "BF16" | "F32" | "F64";
/** Bytes of an element. */
export const BYTES: Readonly<Record<Dtype, number>> = { U8: 1, F16: 2, BF16: 2, F32: 4, F64: 8 };

/** Where the elements lie; fractional lengths are told by who knows what a vector is. */
export interface Place {
  readonly path: string;
  readonly source: Source;
  readonly offset: number;
  readonly dtype: Dtype;
  readonly length: number;
  readonly shape: readonly number[] | undefined;
}

/** Bytes by position. */
export interface Source {
  readonly size: number;
  /** Fills `into`. @throws FormatError when there are not as many. */
  read(into: Uint8Array, position: number): void;
  close(): void;
}

type Convert<T> = (bytes: Uint8Array<ArrayBuffer>, into: T) => void;

/** undefined: f32 is read in place. */
export function floatsOf(dtype: Exclude<Dtype, "U8">): Convert<Float32Array> | undefined {
  switch (dtype) {
    case "F32":
      return undefined;
    case "F64":
      return (bytes, into) => into.set(new Float64Array(bytes.buffer));
    case "F16":
      return (bytes, into) => into.set(fromF16Array(new Uint16Array(bytes.buffer)));
    case "BF16":
      return (bytes, into) => {
        const bits = new Uint32Array(into.buffer, into.byteOffset, into.length);
        new Uint16Array(bytes.buffer).forEach((half, i) => {
          bits[i] = half << 16;
        });
      };
  }
}

/** The elements of a place, converted. */
export function opened<T extends Float32Array | Uint8Array>(
  { source, offset, dtype, length, shape }: Place,
  convert: Convert<T> | undefined,
): Elements<T> {
  const size = BYTES[dtype];
  return {
    length,
    shape,
    read(from, into) {
      const at = offset + from * size;
      if (convert === undefined)
        return source.read(new Uint8Array(into.buffer, into.byteOffset, into.byteLength), at);
      const bytes = new Uint8Array(into.length * size);
      source.read(bytes, at);
      convert(bytes, into);
    },
    close: () => source.close(),
  };
}

/** Bytes that are there already. */
export const memorySource = (bytes: Uint8Array, path: string): Source => ({
  size: bytes.length,
  read(into, position) {
    if (position + into.length > bytes.length)
      throw new FormatError("BAD_FILE", `${path}: it ends at byte ${bytes.length}`);
    into.set(bytes.subarray(position, position + into.length));
  },
  close: () => {},
});
