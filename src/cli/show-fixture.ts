/** What a fixture file holds, for people: its header, its cases, or one vector of a case. */
import Table from "cli-table3";
import { FormatError } from "../core/format-error.js";

type Fields = Readonly<Record<string, unknown>>;

const isRecord = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
const isRecords = (value: unknown): value is readonly Fields[] =>
  Array.isArray(value) && value.length > 0 && value.every(isRecord);

/** Longest list of texts that is written out. */
const SHORT = 8;

/** Fields that say what a case is, before those that say what it holds. */
const brief = (value: unknown): string => {
  if (value instanceof Uint8Array) return `${value.length} B`;
  if (Array.isArray(value))
    return value.length <= SHORT && value.every((v) => typeof v === "string")
      ? value.join(", ")
      : `${value.length} values`;
  if (isRecord(value))
    return Object.entries(value)
      .map(([k, v]) => `${k}: ${brief(v)}`)
      .join("\n");
  return String(value);
};

function recordsTable(records: readonly Fields[]): string {
  const columns = [...new Set(records.flatMap((r) => Object.keys(r)))];
  const table = new Table({ head: columns, style: { head: [], border: [], compact: true } });
  for (const record of records) table.push(columns.map((c) => (c in record ? brief(record[c]) : "")));
  return table.toString();
}

/** The header, then every list of records as a table. */
export function showFixture(file: unknown): string {
  if (!isRecord(file)) throw new FormatError("BAD_FILE", "the file holds no fields");
  const header = Object.entries(file).filter(([, v]) => !isRecords(v));
  const width = Math.max(...header.map(([k]) => k.length));
  const lines = header.map(([k, v]) => `${k.padEnd(width)}  ${brief(v).replaceAll("\n", ", ")}`);
  const tables = Object.entries(file).flatMap(([k, v]) =>
    isRecords(v) ? [`\n${k}\n${recordsTable(v)}`] : [],
  );
  return [...lines, ...tables].join("\n");
}

/** The case of that name. @throws FormatError BAD_FILE that lists those that are there. */
export function findCase(file: unknown, name: string): Fields {
  const cases = isRecord(file) && isRecords(file.cases) ? file.cases : [];
  const found = cases.find((c) => c.name === name);
  if (!found)
    throw new FormatError("BAD_FILE", `no case "${name}"; there are: ${cases.map((c) => c.name).join(", ")}`);
  return found;
}

const FLOATS = ["input", "output", "decoded", "dequant", "unrotated", "key", "value", "query"];

/** One vector of a case, field by field: f32 as numbers, bytes as hex. */
export function showVector(one: Fields, vector: number): string {
  const vectors = Number(one.vectors ?? Number(one.n) / Number(one.padded_head_dim ?? one.head_dim));
  if (!Number.isInteger(vectors))
    throw new FormatError("BAD_FILE", "vectors of this kind of file cannot be shown one by one");
  if (vector < 0 || vector >= vectors)
    throw new RangeError(`"vector" expected 0..${vectors - 1}, got ${vector}`);
  const lines = Object.entries(one).map(([name, value]) => {
    if (!(value instanceof Uint8Array) || value.length % vectors !== 0) return `${name}: ${brief(value)}`;
    const size = value.length / vectors;
    const bytes = value.slice(vector * size, (vector + 1) * size);
    return `${name}: ${FLOATS.includes(name) ? numbers(bytes) : Buffer.from(bytes).toString("hex")}`;
  });
  return lines.join("\n");
}

const numbers = (bytes: Uint8Array): string =>
  Array.from(new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length >> 2), (v) =>
    Object.is(v, -0) ? "-0" : String(v),
  ).join(" ");
