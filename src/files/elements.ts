/**
 * The elements of a file on disk: raw little-endian f32 or bytes, .npy (its data is raw behind a header), or
 * FILE.safetensors:TENSOR. What has no size in advance (a pipe, and standard input as "-") is read whole. For Node.
 */
import { closeSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { FormatError } from "../core/format-error.js";
import { isNpy, locateNpy, NPY_HEADER_MOST } from "./npy.js";
import { BYTES, type Elements, floatsOf, memorySource, opened, type Place, type Source } from "./place.js";
import { readSafetensorsIndex } from "./safetensors.js";
import { locateTensor } from "./safetensors-index.js";

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

async function locate(path: string, raw: "U8" | "F32"): Promise<Place> {
  const [, file, tensor] = /^(.+\.safetensors)(?::(.+))?$/.exec(path) ?? [];
  if (file !== undefined)
    return locateTensor(file, await readSafetensorsIndex(file), tensor, () => fileSource(file));
  const source = path === "-" ? memorySource(await standardInput(), path) : fileSource(path);
  try {
    const head = new Uint8Array(Math.min(source.size, NPY_HEADER_MOST));
    source.read(head, 0);
    if (isNpy(head)) return locateNpy(path, head, source);
    return { path, source, offset: 0, dtype: raw, length: source.size / BYTES[raw], shape: undefined };
  } catch (error) {
    source.close();
    throw error;
  }
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

async function standardInput(): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(part as Buffer);
  return Buffer.concat(parts);
}
