/** Decoded values of stock quantisers: a fault on the way in, or on the way out. */
import { fromF16, toF16 } from "../core/float.js";
import { getF32 } from "../core/little-endian.js";
import { packAll, packings } from "./block-packings.js";
import { type BlockModel, quantFaults } from "./blocks.js";
import { truncatedHalf } from "./evidence.js";
import { readCodes } from "./layouts.js";
import { type Fault, pairId, ranked } from "./verdict.js";

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

export function diagnoseDecodedBlocks(
  m: BlockModel,
  x: Float32Array,
  ref: Uint8Array,
  decoded: Float32Array,
): Fault[] {
  const out: Fault[] = [];
  const layouts = packings(m);
  const identity = layouts[0]!;
  const read = readers(m);
  const count = x.length / m.size;
  const rounded = m.name.startsWith("vllm");
  const codes = new Uint8Array(m.size);
  const score = (bytes: Uint8Array, p: (typeof layouts)[number], r: Reader, truncate: boolean): number => {
    let same = 0;
    for (let k = 0; k < count; k++) {
      const at = k * m.bytes;
      readCodes(bytes, at, p.layout, m.bits, p.flip, codes);
      const scale = (where: number): number => {
        const b = bytes.slice(at + where, at + where + m.scaleBytes);
        if (p.swapNorm) b.reverse();
        const v = m.scaleBytes === 4 ? getF32(b, 0) : fromF16(b[0]! | (b[1]! << 8));
        return truncate ? fromF16(truncatedHalf(v)) : v;
      };
      const d = scale(m.scaleAt);
      const min = m.minAt >= 0 ? scale(m.minAt) : 0;
      let equal = true;
      for (let i = 0; i < m.size && equal; i++) {
        const code = p.mask === 2 ** m.bits - 1 ? codes[i]! : codes[i]! & p.mask;
        const raw = r.value(code, d, min);
        const v = rounded ? fromF16(toF16(raw)) : raw;
        const y = decoded[k * m.size + i]!;
        equal =
          Math.abs(v - y) <= 2e-6 * (Math.abs(v) + Math.abs(min)) + 1e-30 ||
          v === y ||
          (Number.isNaN(v) && Number.isNaN(y));
      }
      if (equal) same++;
      else if (k > 30 && same === 0) return 0;
    }
    return same / count;
  };
  const add = (ids: readonly string[], explains: number, notes: readonly string[]): void => {
    const named = ids.filter((i) => i);
    if (named.length > 0 && explains > 0)
      out.push({
        id: pairId(named),
        explains,
        evidence: `${Math.round(explains * count)} of ${count} blocks: ${notes.filter((n) => n).join("; ")}`,
      });
  };
  for (const p of layouts) for (const r of read) add([p.id, r.id], score(ref, p, r, false), [p.note, r.note]);
  for (const q of quantFaults(m)) {
    const bytes = packAll(m, x, q);
    for (const r of read) add([q.id!, r.id], score(bytes, identity, r, false), [q.note, r.note]);
    for (const p of layouts.slice(1)) add([q.id!, p.id], score(bytes, p, read[0]!, false), [q.note, p.note]);
  }
  const cut = packAll(m, x, { note: "" }, undefined, true);
  if (m.scaleBytes === 2)
    for (const r of read)
      add(["norm-f16-truncated", r.id], score(cut, identity, r, false), ["scale cut toward zero", r.note]);
  // Written wrongly, read rightly.
  for (const p of layouts.slice(1))
    add([p.id], score(packAll(m, x, { note: "" }, p), identity, read[0]!, false), [`written: ${p.note}`]);
  return ranked(out);
}
