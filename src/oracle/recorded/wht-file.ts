/** The fork's GGML_OP_TURBO_WHT: groups of 32, 64 or 128 of each row, both directions, with or without InnerQ's scale. */
import { rotate, unrotate } from "../../core/wht.js";
import { type LlamaGroup, llamaRotation } from "../../formats/llama-rotation.js";
import { badFile, type RecordedFields } from "./record.js";
import type { Tally } from "./tally.js";

export function judgeWhtFile(file: RecordedFields, tally: Tally): void {
  for (const record of file.records("cases")) {
    const group = record.integer("group_size");
    const direction = record.integer("direction", 0);
    const row = record.integer("ne0");
    const n = record.integer("n");
    if (![32, 64, 128].includes(group)) throw badFile(`${record.where}: groups of ${group} do not exist`);
    if (direction > 1) throw badFile(`${record.where}: direction ${direction} does not exist`);
    if (n !== row * record.integer("ne1")) throw badFile(`${record.where}: n is not ne0 · ne1`);
    const x = record.floats("input", n);
    const output = record.floats("output", n);
    const scale = record.has("scale_inv") ? scaleOf(record, group) : undefined;
    tally.case(record.text("name"), () => {
      for (let start = 0; start < n; start += row)
        for (let at = start; at + group <= start + row; at += group)
          transform(x.subarray(at, at + group), group as LlamaGroup, direction, scale);
      tally.floats("output", output, x, row);
    });
  }
}

/** InnerQ scales before the forward transform and after the inverse. */
function transform(
  x: Float32Array,
  group: LlamaGroup,
  direction: number,
  scale: Float32Array | undefined,
): void {
  const rotation = llamaRotation(group);
  if (direction === 0 && scale) for (let i = 0; i < group; i++) x[i]! *= scale[i]!;
  if (direction === 0) rotate(rotation, x);
  else unrotate(rotation, x);
  if (direction === 1 && scale) for (let i = 0; i < group; i++) x[i]! *= scale[i]!;
}

function scaleOf(record: RecordedFields, group: number): Float32Array {
  const scale = record.floats("scale_inv", record.bytes("scale_inv").length >> 2);
  if (scale.length < group) throw badFile(`${record.where}: "scale_inv" has fewer than ${group} values`);
  return scale;
}
