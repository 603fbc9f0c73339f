/**
 * What commands read and write: raw little-endian f32 or bytes, .npy or safetensors (files/elements.ts), from a file
 * or `-`. Whole inputs in, whole outputs out: a file that is written is complete or absent.
 */
import { dump } from "npyjs";
import { FormatError } from "../core/format-error.js";
import { openBytes, openVectors } from "../files/elements.js";
import { type Elements, readAll } from "../files/place.js";
import { writeAtomic } from "../files/write-atomic.js";

/** The bytes of a raw file, a u1 .npy, FILE.safetensors:TENSOR, or of standard input for "-". */
export const readBytes = async (path: string): Promise<Uint8Array> =>
  whole(await openBytes(path), Uint8Array);

/** (n, dim) values from raw f32, .npy or FILE.safetensors:TENSOR (a lone tensor needs no name). @throws FormatError when they are not whole vectors, or none. */
export const readVectors = async (path: string, dim?: number): Promise<Float32Array> =>
  whole(await openVectors(path, dim), Float32Array);

/** (n, bytesPerVector) bytes from what readBytes reads. @throws FormatError when they are not whole vectors. */
export async function readPacked(path: string, bytesPerVector: number): Promise<Uint8Array> {
  const bytes = await readBytes(path);
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

function whole<T extends Float32Array | Uint8Array>(
  elements: Elements<T>,
  make: new (length: number) => T,
): T {
  try {
    return readAll(elements, make);
  } finally {
    elements.close();
  }
}
