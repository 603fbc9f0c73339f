/** How a decoder may misread codes: maps of code vectors, made from the packing faults. */
import { packingFaults, readCodes, relabels } from "./layouts.js";
import type { Wire } from "./wire.js";

export interface Reading {
  readonly id: string;
  readonly note: string;
  map(codes: Uint8Array): Uint8Array;
  /** The written codes from those that were read, where every position tells or says nothing at all. */
  back?(codes: Uint8Array): Uint8Array;
  /** Per position: its codes tell, or else which codes it can have, as a set of bits; all tell where absent. */
  readonly telling?: Uint8Array;
  readonly possible?: Uint32Array;
  /** It makes another code of a code, wherever it stands: what another order of the table would do too. */
  readonly relabels?: boolean;
}

/** The true one first. */
export function readings(wire: Wire): Reading[] {
  const { bits, group, layout } = wire;
  const out: Reading[] = [{ id: "", note: "", map: (c) => c }];
  const bytes = new Uint8Array(4 * Math.max(wire.groupBytes, group + 64));
  const write = (codes: Uint8Array, map: Int32Array, flip: number, mask: number): void => {
    bytes.fill(0);
    for (let i = 0, k = 0; i < group; i++)
      for (let b = 0; b < bits; b++, k++)
        if ((((codes[i]! ^ flip) & mask) >> b) & 1) bytes[map[k]! >> 3]! |= 1 << (map[k]! & 7);
  };
  const top = 2 ** bits - 1;
  for (const p of packingFaults(wire)) {
    if (p.swapNorm) continue;
    if (p.groupBytes !== wire.groupBytes) continue;
    const misread = (codes: Uint8Array): Uint8Array => {
      const got = new Uint8Array(group);
      write(codes, layout, 0, top);
      readCodes(bytes, 0, p.layout, bits, p.flip, got);
      return p.mask === top ? got : got.map((c) => c & p.mask);
    };
    const miswritten = (codes: Uint8Array): Uint8Array => {
      const got = new Uint8Array(group);
      write(codes, p.layout, p.flip, top);
      readCodes(bytes, 0, layout, bits, 0, got);
      return got;
    };
    out.push({
      id: p.id,
      note: `read: ${p.note}`,
      map: misread,
      ...(p.mask === top ? { back: miswritten } : {}),
      ...(p.flip === 0 && relabels(p, layout, bits) ? { relabels: true } : {}),
    });
    if (p.mask === top && p.flip === 0)
      out.push({
        id: p.id,
        note: `written: ${p.note}`,
        map: miswritten,
        back: misread,
        relabels: relabels(p, layout, bits),
      });
  }
  if (bits > 1) {
    const half = 2 ** (bits - 1) - 1;
    out.push({ id: "codebook-truncated", note: `codes read & ${half}`, map: (c) => c.map((k) => k & half) });
  }
  out.push({ id: "pack-zero", note: "every code is zero", map: (c) => new Uint8Array(c.length) });
  const end = layout.reduce((most, p) => Math.max(most, (p >> 3) + 1), 0);
  for (const lost of new Set([wire.groupBytes >> 1, wire.groupBytes >> 2, 16, 8, 4, 2, 1]))
    out.push({
      id: "pack-tail-dropped",
      note: `the last ${lost} bytes of every block are zero`,
      map(codes) {
        const got = new Uint8Array(group);
        write(codes, layout, 0, 2 ** bits - 1);
        bytes.fill(0, end - lost);
        readCodes(bytes, 0, layout, bits, 0, got);
        return got;
      },
    });
  out.push({
    id: "pack-tail-dropped",
    note: "the second half of the codes is zero",
    map: (c) => c.map((k, i) => (i < c.length / 2 ? k : 0)),
  });
  const probe = Uint8Array.from(
    { length: group },
    (_, i) => (Math.imul(i + 1, 0x9e3779b1) >>> 13) % 2 ** bits,
  );
  return out
    .filter((r) => r.id === "" || r.map(probe.slice()).some((c, i) => c !== probe[i]))
    .map((r) => (r.back || !r.id ? r : partial(r, group, top)));
}

/** A reading that leaves some positions as they are can be undone on these; the others are of fewer codes. */
function partial(r: Reading, group: number, top: number): Reading {
  if (top > 31) return r;
  const telling = new Uint8Array(group).fill(1);
  const possible = new Uint32Array(group);
  for (let seed = 0; seed < 4 * (top + 1); seed++) {
    const codes = Uint8Array.from({ length: group }, (_, i) => (i * seed + (i >> 2) * 5 + seed) & top);
    r.map(codes.slice()).forEach((c, i) => {
      if (c !== codes[i]) telling[i] = 0;
      possible[i]! |= 1 << c;
    });
  }
  const parts = telling.every((t, i) => t || possible[i] !== 2 ** (top + 1) - 1) && telling.includes(1);
  return parts ? { ...r, telling, possible, back: (codes) => codes } : r;
}
