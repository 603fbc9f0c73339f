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
import { FormatError } from "../core/format-error.js";
import { BYTES, type Place, type Source } from "./place.js";

/** The limit of the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;

const ELEMENT_BYTES = { U8: 1, F16: 2, BF16: 2, F32: 4, I32: 4 } as const;
export type SafetensorsDtype = keyof typeof ELEMENT_BYTES;

export const bad = (message: string): FormatError => new FormatError("BAD_FILE", message);
const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

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

/** What stands where in a file. */
export interface SafetensorsIndex {
  readonly metadata: Readonly<Record<string, string>>;
  /** In the order of their data. */
  readonly entries: readonly SafetensorsEntry[];
}

/** Bytes of the file, by position. */
export type Read = (length: number, position: number) => Promise<Uint8Array<ArrayBuffer>>;

/**
 * What stands where in a file of `size` bytes; lengths are checked against it before anything is allocated by them.
 * @throws FormatError BAD_FILE for a header that is damaged or names other types.
 */
export async function readIndex(path: string, read: Read, size: number): Promise<SafetensorsIndex> {
  if (size < 8) throw bad(`${path}: ${size} bytes are too few for a safetensors file`);
  const headerBytes = Number(new DataView((await read(8, 0)).buffer).getBigUint64(0, true));
  if (headerBytes > size - 8 || headerBytes > MAX_HEADER_BYTES)
    throw bad(`${path}: the header is said to take ${headerBytes} bytes of a file of ${size}`);
  const text = new TextDecoder().decode(await read(headerBytes, 8));
  const { metadata, entries } = parseHeader(path, text, size - 8 - headerBytes);
  const from = 8 + headerBytes;
  return { metadata, entries: entries.map((e) => ({ ...e, begin: from + e.begin, end: from + e.end })) };
}

/**
 * A tensor of floats or bytes. name: may be left out where there is one tensor only. open: called once it is found.
 * @throws FormatError BAD_FILE that lists names.
 */
export function locateTensor(
  path: string,
  { entries }: SafetensorsIndex,
  name: string | undefined,
  open: () => Source,
): Place {
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
    source: open(),
    offset: begin,
    dtype,
    length: (end - begin) / BYTES[dtype],
    shape,
  };
}
