/**
 * The elements of a file, a part at a time, so that a file of any size takes bounded memory: raw little-endian f32 or
 * bytes, .npy (its data is raw behind a header), or FILE.safetensors:TENSOR. What has no size in advance (a pipe, and
 * standard input as "-") is read whole. For Node.
 *
 * Own reader of the .npy header because npyjs reads whole arrays only.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { fromF16Array } from "../core/float.js";
import { FormatError } from "../core/format-error.js";
import { readSafetensorsIndex } from "./safetensors.js";

/** A file's elements in C order. */
export interface Elements<T extends Float32Array | Uint8Array> {
  readonly length: number;
  /** undefined for a raw file. */
  readonly shape: readonly number[] | undefined;
  /** Elements from … from + into.length. @throws FormatError when the file has become shorter. */
  read(from: number, into: T): void;
  close(): void;
}

type Dtype = "U8" | "F16" | "BF16" | "F32" | "F64";
const BYTES: Readonly<Record<Dtype, number>> = { U8: 1, F16: 2, BF16: 2, F32: 4, F64: 8 };

/** Where the elements lie; fractional lengths are told by who knows what a vector is. */
interface Place {
  readonly path: string;
  readonly source: Source;
  readonly offset: number;
  readonly dtype: Dtype;
  readonly length: number;
  readonly shape: readonly number[] | undefined;
}

/** Bytes by position. */
interface Source {
  readonly size: number;
  /** Fills `into`. @throws FormatError when there are not as many. */
  read(into: Uint8Array, position: number): void;
  close(): void;
}

const bad = (message: string): FormatError => new FormatError("BAD_FILE", message);

/**
 * (n, dim) floats; without dim, any number of them.
 * @throws FormatError BAD_FILE for what is no array of floats, BAD_LENGTH for no whole vectors or none; the file
 *   system's error.
 */
export async function openVectors(path: string, dim?: number): Promise<Elements<Float32Array>> {
  const place = await locate(path, "F32");
  const { dtype, length, shape } = place;
  if (dtype === "U8") throw bad(`${path}: expected floats, got bytes`);
  const wrong = (what: string): FormatError => new FormatError("BAD_LENGTH", `${path}${what}`);
  if (length === 0) throw wrong(` is empty: expected vectors of ${dim ?? "f32"} values`);
  if (shape === undefined && length % (dim ?? 1) !== 0)
    throw wrong(
      ` has ${4 * length} bytes: expected a multiple of ${4 * (dim ?? 1)} (${dim ?? 1} f32 values per vector)`,
    );
  if (
    shape !== undefined &&
    dim !== undefined &&
    (shape.length > 1 ? shape.at(-1) !== dim : length % dim !== 0)
  )
    throw wrong(`: expected a last axis of ${dim}, got shape (${shape.join(", ")})`);
  return opened(place, floatsOf(dtype));
}

/** @throws FormatError BAD_FILE for what is no array of bytes; the file system's error. */
export async function openBytes(path: string): Promise<Elements<Uint8Array>> {
  const place = await locate(path, "U8");
  if (place.dtype !== "U8") throw bad(`${path}: expected bytes (u1, U8), got ${place.dtype}`);
  return opened(place, undefined);
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

async function locate(path: string, raw: "U8" | "F32"): Promise<Place> {
  const [, file, tensor] = /^(.+\.safetensors)(?::(.+))?$/.exec(path) ?? [];
  if (file !== undefined) return locateTensor(file, tensor);
  const source = path === "-" ? memorySource(await standardInput(), path) : fileSource(path);
  try {
    const head = new Uint8Array(Math.min(source.size, NPY_HEADER_MOST));
    source.read(head, 0);
    if (NPY_MAGIC.every((byte, i) => head[i] === byte)) return locateNpy(path, head, source);
    return { path, source, offset: 0, dtype: raw, length: source.size / BYTES[raw], shape: undefined };
  } catch (error) {
    source.close();
    throw error;
  }
}

async function locateTensor(path: string, name: string | undefined): Promise<Place> {
  const { entries } = await readSafetensorsIndex(path);
  const names = entries.map((e) => e.name);
  const chosen = name ?? (names.length === 1 ? names[0] : undefined);
  const entry = entries.find((e) => e.name === chosen);
  if (entry === undefined)
    throw bad(
      `${path}: expected ${path}:TENSOR with one of ${names.slice(0, 8).join(", ")}${names.length > 8 ? ", …" : ""}, got ${name ?? "no name"}`,
    );
  const { dtype, shape, begin, end } = entry;
  if (dtype === "I32") throw bad(`${path}:${entry.name}: expected floats or bytes, got I32`);
  return {
    path: `${path}:${entry.name}`,
    source: fileSource(path),
    offset: begin,
    dtype,
    length: (end - begin) / BYTES[dtype],
    shape,
  };
}

/** "\x93NUMPY" · version u8, u8 · header length u16 (version 1) or u32 · a Python dict as text. */
const NPY_MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const NPY_HEADER_MOST = 65536;
const NPY_DTYPES: Readonly<Record<string, Dtype>> = {
  "|u1": "U8",
  "<u1": "U8",
  "<f2": "F16",
  "<f4": "F32",
  "<f8": "F64",
};

function locateNpy(path: string, head: Uint8Array, source: Source): Place {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const wide = head[6] !== 1;
  const start = wide ? 12 : 10;
  const broken = (what: string): FormatError => bad(`${path}: not a readable .npy (${what})`);
  if (head.length < start) throw broken("it ends in its header");
  const offset = start + (wide ? view.getUint32(8, true) : view.getUint16(8, true));
  if (offset > head.length) throw broken(`a header of ${offset} bytes`);
  const text = new TextDecoder("latin1").decode(head.subarray(start, offset));
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(text)?.[1];
  const fortran = /'fortran_order'\s*:\s*(True|False)/.exec(text)?.[1];
  const axes = /'shape'\s*:\s*\(([\d\s,]*)\)/.exec(text)?.[1];
  if (descr === undefined || fortran === undefined || axes === undefined)
    throw broken("its header names no descr, fortran_order and shape");
  const dtype = NPY_DTYPES[descr];
  if (dtype === undefined) throw bad(`${path}: expected a .npy of u1, f2, f4 or f8, got ${descr}`);
  const shape = axes
    .split(",")
    .filter((axis) => axis.trim() !== "")
    .map(Number);
  if (fortran === "True" && shape.length > 1) throw bad(`${path}: expected C order, got Fortran order`);
  const length = shape.reduce((product, n) => product * n, 1);
  const bytes = source.size - offset;
  if (bytes !== length * BYTES[dtype])
    throw bad(`${path}: shape (${shape.join(", ")}) does not match ${bytes} bytes of ${descr}`);
  return { path, source, offset, dtype, length, shape };
}

type Convert<T> = (bytes: Uint8Array<ArrayBuffer>, into: T) => void;

function floatsOf(dtype: Exclude<Dtype, "U8">): Convert<Float32Array> | undefined {
  switch (dtype) {
    case "F32":
      return undefined; // read in place
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

function opened<T extends Float32Array | Uint8Array>(
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

function fileSource(path: string): Source {
  const fd = openSync(path, "r");
  const stat = fstatSync(fd);
  if (!stat.isFile()) {
    try {
      return memorySource(readFileSync(fd), path);
    } finally {
      closeSync(fd);
    }
  }
  return {
    size: stat.size,
    read(into, position) {
      for (let at = 0; at < into.length; ) {
        const got = readSync(fd, into, at, into.length - at, position + at);
        if (got === 0) throw bad(`${path}: the file ends at byte ${position + at}`);
        at += got;
      }
    },
    close: () => closeSync(fd),
  };
}

const memorySource = (bytes: Uint8Array, path: string): Source => ({
  size: bytes.length,
  read(into, position) {
    if (position + into.length > bytes.length) throw bad(`${path}: it ends at byte ${bytes.length}`);
    into.set(bytes.subarray(position, position + into.length));
  },
  close: () => {},
});

async function standardInput(): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
