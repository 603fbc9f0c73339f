/**
 * safetensors: a u64 header length (little-endian), a JSON header, then the tensors' bytes, C order.
 *
 *   offset   size  field
 *   0        8     n, the header's length in bytes
 *   8        n     JSON { name: { dtype, shape, data_offsets: [begin, end) }, …, "__metadata__"?: { key: text } }
 *   8 + n    …     data; the offsets count from here, follow one another without a gap and cover all of it
 *
 * Source: the format's description in the safetensors repository (Hugging Face). Own code: npm has no kept
 * reader and writer of it, and the whole format is on this page.
 */
import { fromF16Array } from "../core/float.js";
import { FormatError } from "../core/format-error.js";
import { nodeModule } from "./node.js";
import { writeAtomic } from "./write-atomic.js";

/** The limit of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;

const ELEMENT_BYTES = { U8: 1, F16: 2, BF16: 2, F32: 4, I32: 4 } as const;
export type SafetensorsDtype = keyof typeof ELEMENT_BYTES;

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

const bad = (message: string): FormatError => new FormatError("BAD_FILE", message);
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

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

/** Where a tensor's bytes lie; in a header they count from the data, in an index from the file's first byte. */
export interface SafetensorsEntry {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

function parseEntry(path: string, name: string, value: unknown): SafetensorsEntry {
  const where = `${path}: tensor "${name}"`;
  if (!isRecord(value)) throw bad(`${where} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== "string" || !Object.hasOwn(ELEMENT_BYTES, dtype))
    throw bad(
      `${where} has type ${JSON.stringify(dtype)}; read are ${Object.keys(ELEMENT_BYTES).join(", ")}`,
    );
  if (!Array.isArray(shape) || !shape.every(isCount)) throw bad(`${where} has no shape of whole numbers`);
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    throw bad(`${where} has no pair of data offsets`);
  const [begin, end] = offsets as [number, number];
  const bytes = (shape as number[]).reduce((n, size) => n * size, ELEMENT_BYTES[dtype as SafetensorsDtype]);
  if (end - begin !== bytes)
    throw bad(
      `${where} of shape [${shape.join(", ")}] takes ${bytes} bytes, its offsets span ${end - begin}`,
    );
  return { name, dtype: dtype as SafetensorsDtype, shape: shape as number[], begin, end };
}

function parseHeader(
  path: string,
  text: string,
  dataBytes: number,
): { metadata: Record<string, string>; entries: SafetensorsEntry[] } {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch {
    throw bad(`${path}: the header is not JSON`);
  }
  if (!isRecord(header)) throw bad(`${path}: the header is not an object`);
  const metadata = header.__metadata__ ?? {};
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === "string"))
    throw bad(`${path}: "__metadata__" is not a map of texts`);
  const entries = Object.entries(header)
    .filter(([name]) => name !== "__metadata__")
    .map(([name, value]) => parseEntry(path, name, value))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  let at = 0;
  for (const entry of entries) {
    if (entry.begin !== at)
      throw bad(`${path}: tensor "${entry.name}" begins at ${entry.begin}, the one before it ended at ${at}`);
    at = entry.end;
  }
  if (at !== dataBytes) throw bad(`${path}: the tensors take ${at} bytes, the file holds ${dataBytes}`);
  return { metadata: metadata as Record<string, string>, entries };
}

function typed(entry: SafetensorsEntry, bytes: ArrayBuffer): SafetensorsTensor {
  const { dtype, shape } = entry;
  if (dtype === "F32") return { dtype, shape, data: new Float32Array(bytes) };
  if (dtype === "I32") return { dtype, shape, data: new Int32Array(bytes) };
  if (dtype === "U8") return { dtype, shape, data: new Uint8Array(bytes) };
  return { dtype, shape, data: new Uint16Array(bytes) };
}

interface SafetensorsIndex {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their data. */
  readonly entries: readonly SafetensorsEntry[];
}

type Read = (length: number, position: number) => Promise<Uint8Array<ArrayBuffer>>;

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

async function readIndex(path: string, read: Read, size: number): Promise<SafetensorsIndex> {
  if (size < 8) throw bad(`${path}: ${size} bytes are too few for a safetensors file`);
  const headerBytes = Number(new DataView((await read(8, 0)).buffer).getBigUint64(0, true));
  if (headerBytes > size - 8 || headerBytes > MAX_HEADER_BYTES)
    throw bad(`${path}: the header is said to take ${headerBytes} bytes of a file of ${size}`);
  const text = new TextDecoder().decode(await read(headerBytes, 8));
  const { metadata, entries } = parseHeader(path, text, size - 8 - headerBytes);
  const from = 8 + headerBytes;
  return { metadata, entries: entries.map((e) => ({ ...e, begin: from + e.begin, end: from + e.end })) };
}

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
