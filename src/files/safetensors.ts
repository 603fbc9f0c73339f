/** Whole safetensors files, read and written. For Node. */
import { fromF16Array } from "../core/float.js";
import { nodeModule } from "./node.js";
import {
  bad,
  type Read,
  readIndex,
  type SafetensorsEntry,
  type SafetensorsIndex,
} from "./safetensors-index.js";
import { writeAtomic } from "./write-atomic.js";

/** Raw elements in C order: halves and bfloat16s as their 16 bits. */
export type SafetensorsTensor =
  | { readonly dtype: "U8"; readonly shape: readonly number[]; readonly data: Uint8Array }
  | { readonly dtype: "F16" | "BF16"; readonly shape: readonly number[]; readonly data: Uint16Array }
  | { readonly dtype: "F32"; readonly shape: readonly number[]; readonly data: Float32Array }
  | { readonly dtype: "I32"; readonly shape: readonly number[]; readonly data: Int32Array };

export interface Safetensors {
  /** The file's `__metadata__`; empty where it has none. */
  readonly metadata: Readonly<Record<string, string>>;
  /** By name, in the order of their data. */
  readonly tensors: ReadonlyMap<string, SafetensorsTensor>;
}

/** The values of a tensor as f32 (exact for every type but I32 beyond 2^24; bytes as 0 … 255). */
export function tensorToF32(tensor: SafetensorsTensor): Float32Array {
  switch (tensor.dtype) {
    case "F16":
      return fromF16Array(tensor.data);
    case "BF16":
      return new Float32Array(Uint32Array.from(tensor.data, (bits) => bits << 16).buffer);
    case "F32":
      return tensor.data;
    case "I32":
    case "U8":
      return Float32Array.from(tensor.data);
  }
}

function typed(entry: SafetensorsEntry, bytes: ArrayBuffer): SafetensorsTensor {
  const { dtype, shape } = entry;
  if (dtype === "F32") return { dtype, shape, data: new Float32Array(bytes) };
  if (dtype === "I32") return { dtype, shape, data: new Int32Array(bytes) };
  if (dtype === "U8") return { dtype, shape, data: new Uint8Array(bytes) };
  return { dtype, shape, data: new Uint16Array(bytes) };
}

/** What stands where in a file. @throws as readSafetensors. */
export const readSafetensorsIndex = (path: string): Promise<SafetensorsIndex> =>
  withFile(path, (read, size) => readIndex(path, read, size));

/**
 * Reads a whole file. Lengths are checked against the file's size before anything is allocated by them.
 * @throws FormatError BAD_FILE for a file that is damaged or has other types than U8, F16, BF16, F32, I32;
 *   the file system's error where there is none.
 */
export const readSafetensors = (path: string): Promise<Safetensors> =>
  withFile(path, async (read, size) => {
    const { metadata, entries } = await readIndex(path, read, size);
    const tensors = new Map<string, SafetensorsTensor>();
    for (const entry of entries)
      tensors.set(entry.name, typed(entry, (await read(entry.end - entry.begin, entry.begin)).buffer));
    return { metadata, tensors };
  });

async function withFile<T>(path: string, use: (read: Read, size: number) => Promise<T>): Promise<T> {
  const file = await nodeModule("node:fs/promises", "reading a file").open(path, "r");
  try {
    const { size } = await file.stat();
    return await use(async (length, position) => {
      const into = new Uint8Array(length);
      for (let at = 0; at < length; ) {
        const { bytesRead } = await file.read(into, at, length - at, position + at);
        if (bytesRead === 0) throw bad(`${path}: the file ends at byte ${position + at}`);
        at += bytesRead;
      }
      return into;
    }, size);
  } finally {
    await file.close();
  }
}

/**
 * Writes `tensors` in the map's order, atomically. The header is padded with spaces to a multiple of 8 bytes.
 * @throws RangeError when a tensor's shape is not its data's length.
 */
export async function writeSafetensors(path: string, { metadata, tensors }: Safetensors): Promise<void> {
  const header: Record<string, unknown> = Object.keys(metadata).length > 0 ? { __metadata__: metadata } : {};
  const parts: Uint8Array[] = [];
  let at = 0;
  for (const [name, { dtype, shape, data }] of tensors) {
    const values = shape.reduce((n, size) => n * size, 1);
    if (values !== data.length)
      throw new RangeError(
        `"${name}" expected ${values} values for [${shape.join(", ")}], got ${data.length}`,
      );
    header[name] = { dtype, shape, data_offsets: [at, at + data.byteLength] };
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    at += data.byteLength;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const head = new Uint8Array(8 + Math.ceil(json.length / 8) * 8).fill(0x20);
  new DataView(head.buffer).setBigUint64(0, BigInt(head.length - 8), true);
  head.set(json, 8);
  await writeAtomic(path, [head, ...parts]);
}
