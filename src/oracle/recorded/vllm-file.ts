/**
 * vLLM's presets: slots of [key | value] from the engine's kernels. Exactly: value bytes, key norms, key codes from
 * the recorded rotated key, all decoded halves, the centroids. Key codes from the key itself: except next to a
 * boundary. A file of k8v4 has values only; its FP8 keys were not recorded, and then nothing is said of them.
 */
import { packedBytes } from "../../core/bits.js";
import type { Format, VectorCodec } from "../../formats/format.js";
import { findFormat } from "../../formats/registry.js";
import { putRotatedKey } from "../../formats/vllm.js";
import { vllmCodebook } from "../../formats/vllm-centroids.js";
import { judgeCodes } from "./near-ties.js";
import { badFile, RecordedFields } from "./record.js";
import type { Tally } from "./tally.js";

export const VLLM_TYPES = ["vllm/k8v4", "vllm/4bit_nc", "vllm/k3v4_nc", "vllm/3bit_nc"];

export function judgeVllmFile(file: RecordedFields, type: string, tally: Tally): void {
  const format = findFormat(type);
  for (const record of file.records("cases")) {
    const dim = record.integer("head_dim");
    if (!format.supports(dim))
      throw badFile(`${record.where}: ${format.name} takes ${format.dims}, not ${dim}`);
    const n = record.integer("tokens") * record.integer("kv_heads");
    const slot = record.integer("slot_bytes");
    const keyBytes = record.integer("key_bytes", 0);
    const packed = record.bytes("packed", n * slot);
    const values = format.open({ dim, side: "value" });
    if (keyBytes + values.bytesPerVector !== slot)
      throw badFile(`${record.where}: a slot of ${slot} bytes is not ${keyBytes} + ${values.bytesPerVector}`);
    if (keyBytes !== (format.rotated ? format.vectorBytes(dim, "key") : 0))
      throw badFile(`${record.where}: ${keyBytes} bytes of key can not be judged`);
    const input = record.floats("value", n * dim);
    const dequant = record.halves("value_dequant_f16", n * dim);
    const judgeKeys = format.rotated ? keyJudge(file, record, format, dim, n, tally) : undefined;
    tally.case(record.text("name"), () => {
      const part = columns(packed, slot, keyBytes, values.bytesPerVector);
      const encoded = new Uint8Array(part.length);
      values.encode(input, encoded);
      tally.bytes("value part", part, encoded, values.bytesPerVector);
      judgeDecoded(tally, "dequantised value", values, part, dequant);
      judgeKeys?.(columns(packed, slot, 0, keyBytes));
    });
  }
}

/** Reads what a case says of its keys; the judgement takes their packed parts, (n, key bytes). */
function keyJudge(
  file: RecordedFields,
  record: RecordedFields,
  format: Format,
  dim: number,
  n: number,
  tally: Tally,
): (part: Uint8Array) => void {
  const keys = format.open({ dim, side: "key" });
  const bits = format.name === "vllm/4bit_nc" ? 4 : 3;
  const book = vllmCodebook(dim, bits);
  const codeBytes = packedBytes(dim, bits);
  const input = record.floats("key", n * dim);
  const rotated = record.floats("rotated_unit_key", n * dim);
  const dequant = record.halves("key_dequant_f16", n * dim);
  const centroids = new RecordedFields(file.value("centroids"), "centroids").list(String(dim));

  return (part) => {
    tally.floats(
      "centroids",
      Float32Array.from(centroids as number[]),
      book.centroids,
      book.centroids.length,
    );
    const encoded = new Uint8Array(part.length);
    keys.encode(input, encoded);
    const own = new Uint8Array(keys.bytesPerVector);
    for (let v = 0; v < n; v++) {
      const y = rotated.slice(v * dim, (v + 1) * dim);
      const expected = part.subarray(v * own.length, (v + 1) * own.length);
      const actual = encoded.subarray(v * own.length, (v + 1) * own.length);
      putRotatedKey(y, 0, bits, own, 0);
      tally.bytes(
        `codes of rotated key ${v}`,
        expected.subarray(0, codeBytes),
        own.subarray(0, codeBytes),
        codeBytes,
      );
      judgeCodes(tally, `vector ${v}, key`, book, y, expected, actual);
      tally.bytes(`norm of key ${v}`, expected.subarray(codeBytes), actual.subarray(codeBytes), 2);
    }
    judgeDecoded(tally, "dequantised key", keys, part, dequant);
  };
}

function judgeDecoded(
  tally: Tally,
  field: string,
  codec: VectorCodec,
  packed: Uint8Array,
  expected: Float32Array,
): void {
  const decoded = new Float32Array(expected.length);
  codec.decodeNative(packed, decoded);
  tally.floats(field, expected, decoded, codec.dim);
}

/** Columns [from, from + width) of rows of `stride` bytes. */
function columns(rows: Uint8Array, stride: number, from: number, width: number): Uint8Array {
  const n = rows.length / stride;
  const out = new Uint8Array(n * width);
  for (let v = 0; v < n; v++) out.set(rows.subarray(v * stride + from, v * stride + from + width), v * width);
  return out;
}
