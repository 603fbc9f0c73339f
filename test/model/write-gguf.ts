/** A GGUF v3 file, written by the format's description: for models that are not to be had small. */
import { writeFileSync } from "node:fs";

/** Metadata values: texts, whole numbers (u32), true and false, lists of texts and of f32; { f32 } for one float. */
type Value = string | number | boolean | { f32: number } | readonly string[] | readonly number[];

const [UINT32, FLOAT32, BOOL, STRING, ARRAY] = [4, 6, 7, 8, 9];
const ALIGNMENT = 32;

function bytesOf(method: "writeUInt32LE" | "writeFloatLE", value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes[method](value);
  return bytes;
}
const u32 = (value: number): Buffer => bytesOf("writeUInt32LE", value);
const f32 = (value: number): Buffer => bytesOf("writeFloatLE", value);
function u64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
const text = (value: string): Buffer => Buffer.concat([u64(Buffer.byteLength(value)), Buffer.from(value)]);

function encoded(value: Value): Buffer {
  if (typeof value === "string") return Buffer.concat([u32(STRING!), text(value)]);
  if (typeof value === "number") return Buffer.concat([u32(UINT32!), u32(value)]);
  if (typeof value === "boolean") return Buffer.concat([u32(BOOL!), Buffer.of(value ? 1 : 0)]);
  if ("f32" in value) return Buffer.concat([u32(FLOAT32!), f32(value.f32)]);
  const texts = typeof value[0] === "string";
  const items = value.map((item) => (typeof item === "string" ? text(item) : f32(item)));
  return Buffer.concat([u32(ARRAY!), u32(texts ? STRING! : FLOAT32!), u64(value.length), ...items]);
}

/** tensors: f32, shape (rows, columns), or (columns,) for a vector. */
export function writeGguf(
  path: string,
  metadata: Readonly<Record<string, Value>>,
  tensors: readonly {
    readonly name: string;
    readonly shape: readonly number[];
    readonly data: Float32Array;
  }[],
): void {
  const parts = [Buffer.from("GGUF"), u32(3), u64(tensors.length), u64(Object.keys(metadata).length)];
  for (const [key, value] of Object.entries(metadata)) parts.push(text(key), encoded(value));
  const padded = (n: number) => Math.ceil(n / ALIGNMENT) * ALIGNMENT;
  let offset = 0;
  for (const { name, shape, data } of tensors) {
    const sizes = [...shape].reverse().map(u64); // fastest first
    parts.push(text(name), u32(shape.length), ...sizes, u32(0), u64(offset));
    offset += padded(data.byteLength);
  }
  const head = Buffer.concat(parts);
  const body: Buffer[] = [head, Buffer.alloc(padded(head.length) - head.length)];
  for (const { data } of tensors)
    body.push(
      Buffer.from(data.buffer, data.byteOffset, data.byteLength),
      Buffer.alloc(padded(data.byteLength) - data.byteLength),
    );
  writeFileSync(path, Buffer.concat(body));
}
