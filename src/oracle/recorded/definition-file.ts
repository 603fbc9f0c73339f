/**
 * Files of one of our own formats, written by the definition: packed bytes from the inputs and values from the packed
 * bytes, by dimension, side and seed. They hold the bytes of a release; ports to other languages check themselves on them.
 */
import type { CodecOptions, Side } from "../../formats/format.js";
import { findFormat } from "../../formats/registry.js";
import { badFile, type RecordedFields } from "./record.js";
import type { Tally } from "./tally.js";

/** What `schema` says in such a file. */
export const DEFINITION_SCHEMA = "turboquant-kv/definition/1";

export function judgeDefinitionFile(file: RecordedFields, tally: Tally): void {
  const format = findFormat(file.text("type"));
  for (const record of file.records("cases")) {
    const dim = record.integer("dim");
    const side = record.text("side");
    if (side !== "key" && side !== "value") throw badFile(`${record.where}: "side" is neither key nor value`);
    if (!format.supports(dim))
      throw badFile(`${record.where}: vectors of ${dim} values: ${format.name} takes ${format.dims}`);
    const options: CodecOptions = {
      dim,
      side: side as Side,
      seed: record.integer("seed", 0),
      nonFinite: "sanitize",
    };
    const codec = format.open(options);
    const n = record.integer("vectors");
    const input = record.floats("input", n * dim);
    const packed = record.bytes("packed", n * codec.bytesPerVector);
    const decoded = record.floats("decoded", n * dim);
    tally.case(record.text("name"), () => {
      const bytes = new Uint8Array(packed.length);
      codec.encode(input, bytes);
      tally.bytes("packed", packed, bytes, codec.bytesPerVector);
      const values = new Float32Array(decoded.length);
      codec.decode(packed, values);
      tally.floats("decoded", decoded, values, dim);
    });
  }
}
