/** The worker's side of files: elements of a dropped file, read a part at a time, or random numbers made on the spot. */
import { FormatError } from "../src/core/format-error.js";
import { randomStream } from "../src/core/random.js";
import { isNpy, locateNpy, NPY_HEADER_MOST } from "../src/files/npy.js";
import { BYTES, type Elements, floatsOf, opened, type Place, type Source } from "../src/files/place.js";
import { locateTensor, readIndex } from "../src/files/safetensors-index.js";
import type { FoundTensor, VectorSource } from "./protocol.js";

/** Workers have it, in every browser; TypeScript's DOM knows only what a page has. */
declare class FileReaderSync {
  readAsArrayBuffer(blob: Blob): ArrayBuffer;
}

/** Vectors of a source, in C order. @throws FormatError for what is no array of floats, or no whole vectors. */
export async function openFloats(source: VectorSource, dim: number): Promise<Elements<Float32Array>> {
  if (source.kind === "normal") return normalNumbers(source.vectors * dim);
  const place = await locate(source.blob, source.name, source.tensor, "F32");
  const { path, dtype, length } = place;
  if (dtype === "U8") throw new FormatError("BAD_FILE", `${path}: expected floats, got bytes`);
  if (length === 0 || length % dim !== 0)
    throw new FormatError(
      "BAD_LENGTH",
      `${path}: expected whole vectors of ${dim} values, got ${Number.isInteger(length) ? length : length.toFixed(2)} values`,
    );
  return opened(place, floatsOf(dtype));
}

/** Bytes of a file. @throws FormatError for what is no array of bytes. */
export async function openPacked(blob: Blob, name: string): Promise<Elements<Uint8Array>> {
  const place = await locate(blob, name, undefined, "U8");
  if (place.dtype !== "U8")
    throw new FormatError("BAD_FILE", `${name}: expected bytes (u1, U8), got ${place.dtype}`);
  return opened(place, undefined);
}

/** Which arrays of floats a file holds. @throws FormatError for a damaged header, or where there are none. */
export async function findTensors(blob: Blob, name: string): Promise<FoundTensor[]> {
  if (!isSafetensors(name)) {
    const { dtype, shape, length } = await locate(blob, name, undefined, "F32");
    if (dtype === "U8") throw new FormatError("BAD_FILE", `${name}: expected floats, got bytes`);
    return [{ name: null, dtype, shape: shape ?? null, length }];
  }
  const { entries } = await indexOf(blob, name);
  const floats = entries.filter(({ dtype }) => dtype !== "U8" && dtype !== "I32");
  if (floats.length === 0) throw new FormatError("BAD_FILE", `${name}: expected tensors of floats, got none`);
  return floats.map(({ name: tensor, dtype, shape }) => ({
    name: tensor,
    dtype,
    shape,
    length: shape.reduce((product, n) => product * n, 1),
  }));
}

const isSafetensors = (name: string): boolean => name.endsWith(".safetensors");

async function locate(
  blob: Blob,
  name: string,
  tensor: string | undefined,
  raw: "U8" | "F32",
): Promise<Place> {
  const source = blobSource(blob, name);
  if (isSafetensors(name)) return locateTensor(name, await indexOf(blob, name), tensor, () => source);
  const head = new Uint8Array(Math.min(source.size, NPY_HEADER_MOST));
  source.read(head, 0);
  if (isNpy(head)) return locateNpy(name, head, source);
  return { path: name, source, offset: 0, dtype: raw, length: source.size / BYTES[raw], shape: undefined };
}

function indexOf(blob: Blob, name: string): ReturnType<typeof readIndex> {
  const source = blobSource(blob, name);
  const read = async (length: number, position: number): Promise<Uint8Array<ArrayBuffer>> => {
    const into = new Uint8Array(length);
    source.read(into, position);
    return into;
  };
  return readIndex(name, read, blob.size);
}

function blobSource(blob: Blob, name: string): Source {
  const reader = new FileReaderSync();
  return {
    size: blob.size,
    read(into, position) {
      const got = new Uint8Array(reader.readAsArrayBuffer(blob.slice(position, position + into.length)));
      if (got.length < into.length)
        throw new FormatError("BAD_FILE", `${name}: the file ends at byte ${position + got.length}`);
      into.set(got);
    },
    close: () => {},
  };
}

/** Numbers of a block come from a stream of their own, so that any part can be read again. */
const BLOCK = 1 << 14;

function normalNumbers(length: number): Elements<Float32Array> {
  let number = -1;
  const block = new Float32Array(BLOCK);
  return {
    length,
    shape: undefined,
    read(from, into) {
      for (let i = 0; i < into.length; ) {
        const wanted = Math.floor((from + i) / BLOCK);
        if (wanted !== number) {
          const stream = randomStream(wanted, "explore");
          for (let j = 0; j < BLOCK; j++) block[j] = stream.normal();
          number = wanted;
        }
        const at = from + i - wanted * BLOCK;
        const n = Math.min(BLOCK - at, into.length - i);
        into.set(block.subarray(at, at + n), i);
        i += n;
      }
    },
    close: () => {},
  };
}
