/** Decoded values of stock quantisers: faults on the way in, on the way out, or one of each. */
import { fromF16, toF16 } from "../../core/float.js";
import { getF32 } from "../../core/little-endian.js";
import { readCodes } from "../pipeline/layouts.js";
import { type Fault, pairId, ranked } from "../verdict.js";
import { type BlockModel, type Codes, type Quant, quantizeBlock } from "./blocks.js";
import { type BlockEncoder, type BlockPacking, blockEncoders, blockSample, reproduced } from "./encoders.js";
import { packings, writeBlock } from "./packings.js";

interface Reader {
  readonly id: string;
  readonly note: string;
  /** (code, d, m) → value. */
  value(code: number, d: number, m: number): number;
}

function readers(m: BlockModel): Reader[] {
  const top = 2 ** m.bits - 1;
  const offset = m.offset;
  const level = (code: number): number =>
    m.bits === 8 && m.kind === "amax" ? (code << 24) >> 24 : code - offset;
  return [
    { id: "", note: "", value: (c, d, min) => level(c) * d + min },
    {
      id: "norm-ignored",
      note: "the decoder never applies the scale",
      value: (c, _d, min) => level(c) + min,
    },
    { id: "norm-ignored", note: "scale and minimum never applied", value: (c) => level(c) },
    { id: "norm-squared", note: "the scale applied twice", value: (c, d, min) => level(c) * d * d + min },
    { id: "quant-scale", note: "codes read without their offset", value: (c, d, min) => c * d + min },
    {
      id: "quant-scale",
      note: "the offset is one too small",
      value: (c, d, min) => (level(c) + 1) * d + min,
    },
    {
      id: "quant-scale",
      note: "the offset is half a step off",
      value: (c, d, min) => (level(c) + 0.5) * d + min,
    },
    { id: "quant-scale", note: "the minimum is not added", value: (c, d) => level(c) * d },
    {
      id: "quant-scale",
      note: "127 and 128 exchanged",
      value: (c, d, min) => level(c) * d * (Math.abs(m.divisor) / (Math.abs(m.divisor) + 1)) + min,
    },
    { id: "pack-inverted", note: "codes complemented", value: (c, d, min) => level(top - c) * d + min },
  ];
}

export function diagnoseDecodedBlocks(m: BlockModel, x: Float32Array, decoded: Float32Array): Fault[] {
  const sample = blockSample(m, x);
  const { blocks } = sample;
  const layouts = packings(m);
  const read = readers(m);
  const out: Fault[] = [];
  const made = new Map<Quant, (Codes | undefined)[]>();
  const scratch = { bytes: new Uint8Array(m.bytes), codes: new Uint8Array(m.size) };
  for (const e of blockEncoders(m)) {
    let codes = made.get(e.quant);
    if (!codes) made.set(e.quant, (codes = new Array<Codes | undefined>(blocks.length)));
    for (const layout of e.packing.id ? layouts.slice(0, 1) : layouts)
      for (const r of read) {
        const ids = [...e.ids, layout.id, r.id].filter((id) => id);
        if (ids.length === 0 || ids.length > 2) continue;
        const reproduces = (i: number): boolean => {
          const block = (codes[i] ??= quantizeBlock(m, x, blocks[i]! * m.size, e.quant));
          return reads(m, block, e, layout, r, decoded.subarray(blocks[i]! * m.size), scratch);
        };
        const same = reproduced(sample, reproduces);
        if (same === 0) continue;
        const notes = [e.packing.id ? `written: ${e.note}` : e.note, layout.note, r.note];
        out.push({
          id: pairId(ids),
          explains: same / blocks.length,
          evidence: `${same} of ${blocks.length} blocks: ${notes.filter((n) => n).join("; ")}`,
        });
      }
  }
  return ranked(out);
}

/** Whether a block written so and read so gives these values. */
function reads(
  m: BlockModel,
  block: Codes,
  e: BlockEncoder,
  layout: BlockPacking,
  r: Reader,
  y: Float32Array,
  { bytes, codes }: { readonly bytes: Uint8Array; readonly codes: Uint8Array },
): boolean {
  bytes.fill(0);
  writeBlock(m, block, e.packing, e.truncate, bytes, 0);
  readCodes(bytes, 0, layout.layout, m.bits, layout.flip, codes);
  const scale = (where: number): number => {
    const b = bytes.slice(where, where + m.scaleBytes);
    if (layout.swapNorm) b.reverse();
    return m.scaleBytes === 4 ? getF32(b, 0) : fromF16(b[0]! | (b[1]! << 8));
  };
  const d = scale(m.scaleAt);
  const min = m.minAt >= 0 ? scale(m.minAt) : 0;
  for (let i = 0; i < m.size; i++) {
    const raw = r.value(codes[i]! & layout.mask, d, min);
    const v = m.name.startsWith("vllm") ? fromF16(toF16(raw)) : raw;
    const equal =
      Math.abs(v - y[i]!) <= 2e-6 * (Math.abs(v) + Math.abs(min)) + 1e-30 ||
      v === y[i] ||
      (Number.isNaN(v) && Number.isNaN(y[i]!));
    if (!equal) return false;
  }
  return true;
}
