/** Where a stock block's codes may lie, rightly or wrongly, and blocks written so. */
import { toF16 } from "../../core/float.js";
import { putF32 } from "../../core/little-endian.js";
import { truncatedHalf } from "../pipeline/evidence.js";
import { packingFaults } from "../pipeline/layouts.js";
import { type BlockModel, type Codes, halves, type Quant, quantizeBlock } from "./blocks.js";

const truePacking = (m: BlockModel) => ({
  id: "",
  note: "",
  layout: m.layout,
  flip: 0,
  mask: 2 ** m.bits - 1,
  swapNorm: false,
});

export function packings(m: BlockModel) {
  const shape = {
    name: m.name,
    bits: m.bits,
    group: m.size,
    groupBytes: m.bytes,
    normAt: [m.scaleAt],
    layout: m.layout,
    normBytes: m.scaleBytes,
  };
  const faults = packingFaults(shape).filter(
    (p) =>
      p.id !== "pack-legacy-layout" &&
      p.groupBytes === m.bytes &&
      (m.bits !== 8 || p.id !== "pack-msb-first"),
  );
  if (m.bits === 5) {
    const low = (f: (p: number) => number): Int32Array => m.layout.map((p, k) => (k % 5 === 4 ? p : f(p)));
    const pairs = (fifth: boolean): Int32Array =>
      m.layout.map((p, k) => {
        const i = Math.floor(k / 5);
        const b = k % 5;
        if (b === 4) return fifth ? m.layout[5 * i + 4]! : p;
        return 8 * (m.layout[0]! >> 3) + 8 * (i >> 1) + 4 * (i & 1) + b;
      });
    const common = { groupBytes: m.bytes, normAt: [m.scaleAt], flip: 0, mask: 31 };
    faults.unshift(
      { ...common, id: "pack-nibble-order", note: "high nibble first", layout: low((p) => p ^ 4) },
      {
        ...common,
        id: "pack-nibble-order",
        note: "elements i and i + 16 exchanged",
        layout: m.layout.map((_, k) => m.layout[(Math.floor(k / 5) ^ 16) * 5 + (k % 5)]!),
      },
      { ...common, id: "pack-interleaved", note: "elements 2i and 2i + 1 share a byte", layout: pairs(true) },
      {
        ...common,
        id: "pack-bitplane-order",
        note: "fifth bits in reversed order",
        layout: m.layout.map((p, k) => (k % 5 === 4 ? 8 * (m.layout[4]! >> 3) + 31 - Math.floor(k / 5) : p)),
      },
      {
        ...common,
        id: "pack-msb-first",
        note: "fifth bits most significant first in each byte",
        layout: m.layout.map((p, k) => (k % 5 === 4 ? p ^ 7 : p)),
      },
      { ...common, id: "pack-plane-missing", note: "the fifth bits are empty", layout: m.layout, mask: 15 },
      { ...common, id: "pack-inverted", note: "fifth bits complemented", layout: m.layout, flip: 16 },
    );
  }
  if (m.bits === 4) {
    const pairs = Int32Array.from(m.layout, (_, k) => 8 * (m.layout[0]! >> 3) + k);
    const split = halves(m.layout[0]! >> 3, 4);
    const other = m.layout[4] === m.layout[0]! + 4 ? split : pairs;
    if (m.size === 32)
      faults.unshift({
        groupBytes: m.bytes,
        normAt: [m.scaleAt],
        flip: 0,
        mask: 15,
        id: "pack-interleaved",
        note: "nibble partners of the other convention",
        layout: other,
      });
  }
  return [
    ...[truePacking(m), ...faults].map((f) => ({ ...f, swapNorm: f.swapNorm ?? false })),
    ...empties(m),
  ];
}

/** Codes of which the last bytes, or all, are never written. */
function empties(m: BlockModel) {
  const used = [...new Set(Array.from(m.layout, (p) => p >> 3))].sort((a, b) => a - b);
  const counts = new Set([used.length / 2, used.length / 4, used.length / 8, 4, 1].map(Math.floor));
  const some = [...counts]
    .filter((n) => n > 0 && n < used.length)
    .map((n) => ({
      ...truePacking(m),
      id: "pack-tail-dropped",
      note: `the last ${n} bytes of every block's codes are zero`,
      empty: used.slice(-n),
    }));
  return [...some, { ...truePacking(m), id: "pack-zero", note: "the bytes of codes are zero", empty: used }];
}

export function writeBlock(
  m: BlockModel,
  c: Codes,
  p: { layout: Int32Array; flip: number; mask: number; swapNorm?: boolean; empty?: readonly number[] },
  truncate: boolean,
  out: Uint8Array,
  at: number,
): void {
  for (let i = 0, k = 0; i < m.size; i++) {
    const code = (c.codes[i]! ^ p.flip) & p.mask;
    for (let b = 0; b < m.bits; b++, k++) {
      const to = p.layout[k]!;
      if ((code >> b) & 1) out[at + (to >> 3)]! |= 1 << (to & 7);
    }
  }
  for (const byte of p.empty ?? []) out[at + byte] = 0;
  const half = (v: number, where: number): void => {
    const bits = truncate ? truncatedHalf(v) : toF16(v);
    out[at + where] = bits & 255;
    out[at + where + 1] = bits >> 8;
    if (p.swapNorm) out.subarray(at + where, at + where + 2).reverse();
  };
  if (m.scaleBytes === 4) {
    putF32(out, at + m.scaleAt, c.d);
    if (p.swapNorm) out.subarray(at + m.scaleAt, at + m.scaleAt + 4).reverse();
  } else {
    half(c.d, m.scaleAt);
    if (m.minAt >= 0) half(c.m, m.minAt);
  }
}

/** Bytes of the whole input under one way to quantise and pack; for mutants and decoded evidence. */
export function packAll(
  m: BlockModel,
  x: Float32Array,
  q: Quant,
  p: { layout: Int32Array; flip: number; mask: number; swapNorm?: boolean } = truePacking(m),
  truncate = false,
): Uint8Array {
  const count = x.length / m.size;
  const out = new Uint8Array(count * m.bytes);
  for (let k = 0; k < count; k++)
    writeBlock(m, quantizeBlock(m, x, k * m.size, q), p, truncate, out, k * m.bytes);
  return out;
}
