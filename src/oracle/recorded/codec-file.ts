/**
 * Files of one ggml or llama codec: packed bytes from the inputs, the engine's dequantised values from the packed
 * bytes, and the unrotated values where the engine stays rotated. Inputs are zero-padded per head; a head that was
 * padded is judged twice, as recorded and cropped to its own dimension.
 */
import type { VectorCodec } from "../../formats/format.js";
import { findFormat } from "../../formats/registry.js";
import { LEGACY_HEAD_CAUSE, LEGACY_HEAD_FAULT, legacyHead } from "../pipeline/legacy-head.js";
import { tableCheck } from "../pipeline/table-check.js";
import { wireOf } from "../pipeline/wire.js";
import { badFile, type RecordedFields } from "./record.js";
import type { Tally } from "./tally.js";

const FORMAT_OF: Readonly<Record<string, string>> = {
  turbo2: "llama/turbo2",
  turbo3: "llama/turbo3",
  turbo4: "llama/turbo4",
  turbo2_qk32: "llama/turbo2-qk32",
  turbo3_qk32: "llama/turbo3-qk32",
  turbo3_legacy_qjl: "llama/turbo3-qjl",
  turbo4_legacy_qjl: "llama/turbo4-qjl",
  tq3_1s: "llama/tq3_1s",
  tq4_1s: "llama/tq4_1s",
  q8_0: "ggml/q8_0",
  q4_0: "ggml/q4_0",
  q4_1: "ggml/q4_1",
  q5_0: "ggml/q5_0",
  q5_1: "ggml/q5_1",
  f16: "ggml/f16",
};

/** A bug witness: turbo4 at 69d8e4be4 compiled with TURBO4_USE_4BIT = 0. Its bytes are reproduced, fault and all. */
const WITNESS = "turbo4_legacy_head";

export const isCodecType = (type: string): boolean => type === WITNESS || Object.hasOwn(FORMAT_OF, type);

interface Subject {
  readonly rotated: boolean;
  open(dim: number): VectorCodec;
}

function subjectOf(type: string): Subject {
  if (type === WITNESS) {
    return { rotated: false, open: legacyHead };
  }
  const format = findFormat(FORMAT_OF[type]!);
  return {
    rotated: format.rotated,
    open(dim) {
      if (!format.supports(dim)) throw badFile(`heads of ${dim} values: ${format.name} takes ${format.dims}`);
      return format.open({ dim });
    },
  };
}

export function judgeCodecFile(file: RecordedFields, type: string, tally: Tally): void {
  const subject = subjectOf(type);
  if (file.value("rotated_domain") !== subject.rotated)
    throw badFile(`"rotated_domain" of ${type} is not ${subject.rotated}`);
  const blockSize = file.integer("block_size");
  const typeSize = file.integer("type_size");
  const witness: Float32Array[] = [];
  for (const record of file.records("cases")) {
    const head = record.integer("head_dim");
    const padded = record.integer("padded_head_dim", head);
    const n = record.integer("n");
    const codec = subject.open(padded);
    if (n % padded !== 0 || codec.width !== padded)
      throw badFile(`${record.where}: ${n} values are not whole heads of ${padded}`);
    if ((padded / blockSize) * typeSize !== codec.bytesPerVector)
      throw badFile(`${record.where}: ${typeSize} bytes per ${blockSize} values are not those of ${type}`);
    const input = record.floats("input", n);
    const packed = record.bytes("packed", (n / padded) * codec.bytesPerVector);
    const dequant = record.floats("dequant", n);
    const original = subject.rotated ? record.floats("unrotated", n) : dequant;
    if (type === WITNESS) witness.push(input, dequant);

    tally.case(record.text("name"), () => {
      judgeCodec(tally, codec, input, packed, dequant, original);
      if (head === padded) return;
      const cropped = subject.open(head);
      if (cropped.width !== padded)
        throw badFile(
          `${record.where}: heads of ${head} values are padded to ${cropped.width}, not ${padded}`,
        );
      const inputs = cropHeads(input, head, padded);
      if (input.some((value, i) => i % padded >= head && value !== 0))
        throw badFile(`${record.where}: the padding of the input is not zero`);
      judgeCodec(tally, cropped, inputs, packed, dequant, cropHeads(original, head, padded));
    });
  }
  if (type === WITNESS)
    tally.find(LEGACY_HEAD_FAULT, `broken: ${LEGACY_HEAD_CAUSE}; ${faithfulness(witness)}`);
  else if (subject.rotated) reportTable(type, tally);
}

/** A format whose table is not the best keeps to its bytes, and is reported. */
function reportTable(type: string, tally: Tally): void {
  const wire = wireOf(FORMAT_OF[type]!, 128, 0, "key");
  const check = wire && tableCheck(wire);
  if (check?.status === "fail") tally.find(check.id, String(check.value));
}

/** pairs: inputs and what came back, in turn. */
function faithfulness(pairs: readonly Float32Array[]): string {
  let cosine = 0;
  let error = 0;
  let n = 0;
  for (let k = 0; k < pairs.length; k += 2)
    for (let at = 0; at < pairs[k]!.length; at += 128) {
      let [xx, xy, yy] = [0, 0, 0];
      for (let i = at; i < at + 128; i++) {
        const [x, y] = [pairs[k]![i]!, pairs[k + 1]![i]!];
        xx += x * x;
        xy += x * y;
        yy += y * y;
      }
      if (!(xx > 1e-12 && yy > 0) || !Number.isFinite(xx + yy)) continue;
      cosine += xy / Math.sqrt(xx * yy);
      error += (xx - 2 * xy + yy) / xx;
      n++;
    }
  return `cosine with the inputs ${(cosine / n).toFixed(3)}, relative squared error ${(error / n).toFixed(2)} over ${n} vectors`;
}

function judgeCodec(
  tally: Tally,
  codec: VectorCodec,
  input: Float32Array,
  packed: Uint8Array,
  dequant: Float32Array,
  original: Float32Array,
): void {
  const encoded = new Uint8Array(packed.length);
  codec.encode(input, encoded);
  tally.bytes("packed", packed, encoded, codec.bytesPerVector);
  const native = new Float32Array(dequant.length);
  codec.decodeNative(packed, native);
  tally.floats("dequantised", dequant, native, codec.width);
  const decoded = new Float32Array(original.length);
  codec.decode(packed, decoded);
  tally.floats("unrotated", original, decoded, codec.dim);
}

/** (n, padded) → (n, head). */
function cropHeads(x: Float32Array, head: number, padded: number): Float32Array {
  const out = new Float32Array((x.length / padded) * head);
  for (let v = 0; v < x.length / padded; v++) out.set(x.subarray(v * padded, v * padded + head), v * head);
  return out;
}
