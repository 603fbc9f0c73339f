/**
 * What commands read and write: raw little-endian f32 or bytes, or .npy, from a file or `-`. Whole inputs in, whole
 * outputs out: a file that is written is complete or absent.
 */
import { readFile } from "node:fs/promises";
import { dump, parse } from "npyjs";
import { FormatError } from "../core/format-error.js";
import { readSafetensors, tensorToF32 } from "../files/safetensors.js";
import { writeAtomic } from "../files/write-atomic.js";

/** The bytes of a file, or of standard input for "-". */
export async function readBytes(path: string): Promise<Uint8Array> {
  if (path !== "-") return new Uint8Array(await readFile(path));
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(part as Buffer);
  return new Uint8Array(Buffer.concat(parts)); // own memory: a Buffer may be a view of a shared pool
}

/** (n, dim) values from raw f32, .npy or FILE.safetensors:TENSOR (a lone tensor needs no name). @throws FormatError when they are not whole vectors, or none. */
export async function readVectors(path: string, dim: number): Promise<Float32Array> {
  const tensor = /^(.+\.safetensors)(?::(.+))?$/.exec(path);
  if (tensor) return tensorFloats(tensor[1]!, tensor[2], dim);
  const bytes = await readBytes(path);
  const values = isNpy(bytes) ? npyFloats(bytes, path, dim) : rawFloats(bytes, path, dim);
  if (values.length === 0)
    throw new FormatError("BAD_LENGTH", `${path} is empty: expected vectors of ${dim} values`);
  return values;
}

/** (n, bytesPerVector) bytes from a raw file or a u1 .npy. @throws FormatError when they are not whole vectors. */
export async function readPacked(path: string, bytesPerVector: number): Promise<Uint8Array> {
  const file = await readBytes(path);
  const bytes = isNpy(file) ? npyBytes(file, path) : file;
  if (bytes.length === 0 || bytes.length % bytesPerVector !== 0)
    throw new FormatError(
      "BAD_LENGTH",
      `${path} has ${bytes.length} bytes: expected a positive multiple of ${bytesPerVector} (bytes per vector)`,
    );
  return bytes;
}

/** Rows to a raw file, to .npy where the name says so, or to standard output for "-". shape: (rows, columns). */
export async function writeRows(
  path: string,
  data: Uint8Array | Float32Array,
  columns: number,
): Promise<void> {
  const bytes = path.endsWith(".npy")
    ? new Uint8Array(dump(data, [data.length / columns, columns]))
    : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  if (path !== "-") return writeAtomic(path, [bytes]);
  await new Promise<void>((resolve, reject) =>
    process.stdout.write(bytes, (error) => (error ? reject(error) : resolve())),
  );
}

async function tensorFloats(path: string, name: string | undefined, dim: number): Promise<Float32Array> {
  const { tensors } = await readSafetensors(path);
  const names = [...tensors.keys()];
  const chosen = name ?? (names.length === 1 ? names[0]! : undefined);
  const tensor = chosen === undefined ? undefined : tensors.get(chosen);
  if (tensor === undefined)
    throw new FormatError(
      "BAD_FILE",
      `${path}: expected ${path}:TENSOR with one of ${names.slice(0, 8).join(", ")}${names.length > 8 ? ", …" : ""}, got ${name ?? "no name"}`,
    );
  if (tensor.data.length === 0 || tensor.shape.at(-1) !== dim)
    throw new FormatError(
      "BAD_LENGTH",
      `${path}:${chosen}: expected a last axis of ${dim}, got shape (${tensor.shape.join(", ")})`,
    );
  return tensorToF32(tensor);
}

const NPY_MAGIC = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
const isNpy = (bytes: Uint8Array): boolean => NPY_MAGIC.every((byte, i) => bytes[i] === byte);

function rawFloats(bytes: Uint8Array, path: string, dim: number): Float32Array {
  if (bytes.length % (4 * dim) !== 0)
    throw new FormatError(
      "BAD_LENGTH",
      `${path} has ${bytes.length} bytes: expected a multiple of ${4 * dim} (${dim} f32 values per vector)`,
    );
  return new Float32Array(bytes.slice().buffer);
}

function npyFloats(bytes: Uint8Array, path: string, dim: number): Float32Array {
  const { data, shape, fortranOrder } = npyArray(bytes, path);
  if (!(data instanceof Float32Array || data instanceof Float64Array))
    throw new FormatError(
      "BAD_FILE",
      `${path}: expected a .npy of f2, f4 or f8, got ${data.constructor.name}`,
    );
  if (fortranOrder && shape.length > 1)
    throw new FormatError("BAD_FILE", `${path}: expected C order, got Fortran order`);
  const last = shape.at(-1) ?? 1;
  if (shape.length > 1 ? last !== dim : data.length % dim !== 0)
    throw new FormatError(
      "BAD_LENGTH",
      `${path}: expected a last axis of ${dim}, got shape (${shape.join(", ")})`,
    );
  return Float32Array.from(data);
}

function npyBytes(bytes: Uint8Array, path: string): Uint8Array {
  const { data } = npyArray(bytes, path);
  if (data instanceof Uint8Array) return data;
  throw new FormatError("BAD_FILE", `${path}: expected a .npy of u1, got ${data.constructor.name}`);
}

function npyArray(bytes: Uint8Array, path: string): ReturnType<typeof parse> {
  let parsed: ReturnType<typeof parse>;
  try {
    parsed = parse(bytes.slice().buffer);
  } catch (error) {
    throw new FormatError("BAD_FILE", `${path}: not a readable .npy (${(error as Error).message})`);
  }
  const values = parsed.shape.reduce((product, n) => product * n, 1);
  const length = (parsed.data as unknown as { length: number }).length;
  if (length !== values)
    throw new FormatError(
      "BAD_FILE",
      `${path}: shape (${parsed.shape.join(", ")}) does not match ${length} values`,
    );
  return parsed;
}
