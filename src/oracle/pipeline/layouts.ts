/**
 * Layouts of codes as maps of bits: entry i·bits + j is where bit j of code i lies in the group. Any reordering of
 * codes, bytes, nibbles or planes is another map, so that one reader serves every packing fault.
 */

/** One little-endian stream from byte `from`. */
export const streamBits = (group: number, bits: number, from: number): Int32Array =>
  Int32Array.from({ length: group * bits }, (_, k) => 8 * from + k);

/** codes ← the group at `at`. flip: xor-ed to every code. */
export function readCodes(
  bytes: Uint8Array,
  at: number,
  layout: Int32Array,
  bits: number,
  flip: number,
  codes: Uint8Array,
): void {
  for (let i = 0, k = 0; i < codes.length; i++) {
    let code = 0;
    for (let j = 0; j < bits; j++, k++) {
      const p = layout[k]!;
      if (p >= 0) code |= ((bytes[at + (p >> 3)]! >> (p & 7)) & 1) << j;
    }
    codes[i] = code ^ flip;
  }
}

export interface Packing {
  readonly id: string;
  readonly note: string;
  readonly layout: Int32Array;
  readonly groupBytes: number;
  readonly normAt: readonly number[];
  readonly flip: number;
  /** Bits of a code that are really stored; the others read as zero. */
  readonly mask: number;
  /** The same for each position, where they differ. */
  readonly masks?: Uint8Array;
  readonly swapNorm?: boolean;
}

/** Bits of the code at a position that are stored. */
export const maskAt = (p: Packing, i: number): number => p.masks?.[i] ?? p.mask;

/** The last bytes of codes that are zero in every group, as a packing that has not got them; undefined where there are none. */
export function emptyEnd(right: Packing, bits: number, packed: Uint8Array): Packing | undefined {
  const { layout, groupBytes } = right;
  const used = [...new Set(Array.from(layout, (p) => p >> 3))].sort((a, b) => b - a);
  const zero = (byte: number): boolean => {
    for (let at = byte; at < packed.length; at += groupBytes) if (packed[at] !== 0) return false;
    return true;
  };
  let lost = 0;
  while (lost < used.length && zero(used[lost]!)) lost++;
  if (lost === 0 || lost > used.length * 0.75 || packed.length < 3 * groupBytes) return undefined;
  const from = used[lost - 1]!;
  const kept = layout.map((p) => (p >> 3 >= from ? -1 : p));
  const masks = new Uint8Array(layout.length / bits);
  kept.forEach((p, k) => {
    if (p >= 0) masks[Math.floor(k / bits)]! |= 1 << (k % bits);
  });
  // The same bit of every code is a plane.
  if (masks.every((m) => m === masks[0])) return undefined;
  const note = `the last ${lost} bytes of every block's codes are zero`;
  return { ...right, id: "pack-tail-dropped", note, layout: kept, masks };
}

/** Whether a packing makes another code of a code, wherever it stands, in another way than by complementing it. */
export function relabels(p: Packing, layout: Int32Array, bits: number): boolean {
  const own = new Map(Array.from(layout, (at, k) => [at, k]));
  return p.layout.every((at, k) => {
    const from = own.get(at);
    return from !== undefined && Math.floor(from / bits) === Math.floor(k / bits);
  });
}

interface Shape {
  readonly name: string;
  readonly bits: number;
  readonly group: number;
  readonly groupBytes: number;
  readonly normAt: readonly number[];
  readonly layout: Int32Array;
  readonly normBytes: number;
}

/** Every way in which a group's codes have been seen to be misplaced; the true one is not among them. */
export function packingFaults(wire: Shape): Packing[] {
  const { bits, group, layout, groupBytes, normAt } = wire;
  const top = 2 ** bits - 1;
  const base = { layout, groupBytes, normAt, flip: 0, mask: top };
  const found: Packing[] = [];
  const seen = new Set([layout.join()]);
  const add = (id: string, note: string, map: Int32Array, more: Partial<Packing> = {}): void => {
    const key = `${map.join()}|${Object.keys(more).join()}`;
    if (more.flip === undefined && more.mask === undefined && seen.has(key.slice(0, -1)) && !more.groupBytes)
      return;
    seen.add(key.slice(0, -1));
    found.push({ ...base, id, note, layout: map, ...more });
  };
  const bit = (f: (p: number) => number): Int32Array => layout.map(f);
  const codesAt = (order: (i: number) => number): Int32Array =>
    layout.map((_, k) => layout[order(Math.floor(k / bits)) * bits + (k % bits)]!);
  const from = Math.min(...layout);
  const isPlanes = bits === 3 && layout[2]! - layout[0]! !== 2;

  add("pack-inverted", "every index is stored complemented", layout, { flip: top });
  if (bits !== 3 && bits !== 5 && bits !== 6 && bits !== 7)
    add(
      "pack-nibble-order",
      "high nibble first",
      bit((p) => p ^ 4),
    );
  if (bits === 3 && !isPlanes)
    add(
      "pack-nibble-order",
      "nibbles of every byte exchanged",
      bit((p) => p ^ 4),
    );
  if (bits < 8 && 8 % bits === 0)
    add("pack-msb-first", "first code in the highest bits of its byte", codesInByteReversed(layout, bits));
  add(
    "pack-msb-first",
    "bits of every byte reversed",
    bit((p) => p ^ 7),
  );
  if (isPlanes) {
    const low = codesInByteReversedPlanes(layout, true, false);
    add(
      "pack-msb-first",
      "first code in the highest bits of its byte, both planes",
      codesInByteReversedPlanes(layout, true, true),
    );
    add("pack-msb-first", "low plane, first code in the highest bits", low);
    add(
      "pack-msb-first",
      "high-bit plane, first code in the highest bit",
      codesInByteReversedPlanes(layout, false, true),
    );
    add(
      "pack-nibble-order",
      "nibbles of the low plane exchanged",
      layout.map((p, k) => (k % 3 === 2 ? p : p ^ 4)),
    );
    add(
      "pack-plane-vs-stream",
      "one stream of 3 bits in place of the planes",
      streamBits(group, 3, from >> 3),
    );
    add("pack-plane-vs-stream", "one stream of 3 bits, most significant first", msbStream(group, 3, from));
    add("pack-bitplane-order", "the one-bit plane first", planeOrder(group, from, "one-first"));
    add(
      "pack-bitplane-order",
      "high two bits in the two-bit plane, low bit apart",
      planeOrder(group, from, "rotated"),
    );
    add("pack-bitplane-order", "bits of the two-bit plane exchanged", planeOrder(group, from, "swapped"));
    add("pack-bitplane-order", "one-bit plane first, holding the low bit", planeOrder(group, from, "both"));
    add("pack-bitplane-order", "one plane per bit", planar(group, bits, from, false));
    add("pack-bitplane-order", "one plane per bit, highest first", planar(group, bits, from, true));
    const strided = (i: number, per: number): number =>
      per * (i % (group / per)) + Math.floor((i * per) / group);
    for (const [note, ones] of [
      ["both planes", 8],
      ["the two-bit plane as the other", 4],
      ["the two-bit plane", 1],
    ] as const)
      add(
        "pack-interleaved",
        `elements i, i + ${group / 4}, … share a byte, in ${note}`,
        layout.map((_, k) => {
          const i = Math.floor(k / 3);
          if (k % 3 === 2) return layout[3 * strided(i, ones) + 2]!;
          return layout[3 * strided(i, 4) + (k % 3)]!;
        }),
      );
    add("pack-plane-missing", "the plane of high bits is empty", layout, { mask: 3 });
    add("pack-plane-missing", "the plane of low bits is empty", layout, { mask: 4 });
  } else {
    add("pack-msb-first", "one stream, most significant bit first", msbStream(group, bits, from));
    if (bits === 3) {
      add(
        "pack-plane-vs-stream",
        "planes of 2 + 1 bits in place of one stream",
        planeOrder(group, from, "plain"),
      );
      add(
        "pack-plane-vs-stream",
        "planes of 1 + 2 bits in place of one stream",
        planeOrder(group, from, "one-first"),
      );
    }
    if (bits > 1) {
      add(
        "pack-bitplane-order",
        "bits of every code reversed",
        layout.map((_, k) => layout[k - (k % bits) + bits - 1 - (k % bits)]!),
      );
      add("pack-bitplane-order", "one plane per bit", planar(group, bits, from, false));
      add("pack-bitplane-order", "one plane per bit, highest first", planar(group, bits, from, true));
    }
  }
  if (bits > 1 && !isPlanes) {
    add("codebook-truncated", "the highest bit of every code is lost", layout, { mask: top >> 1 });
    if (bits > 2) add("codebook-truncated", "codes masked to their two lowest bits", layout, { mask: 3 });
    for (let b = 0; b < bits - 1; b++)
      add("pack-plane-missing", `bit ${b} of every code is empty`, layout, { mask: top ^ (1 << b) });
  }
  for (const run of [32, 64, group])
    if (run <= group && group % run === 0 && run > 2) {
      const half = run / 2;
      const within = (i: number): number => i % run;
      // element at slot 2j is j, at slot 2j + 1 is j + half
      add(
        "pack-interleaved",
        `elements i and i + ${half} share a byte`,
        codesAt((i) => i - within(i) + (within(i) < half ? 2 * within(i) : 2 * (within(i) - half) + 1)),
      );
      add(
        "pack-interleaved",
        `slots i and i + ${half} hold elements 2i and 2i + 1`,
        codesAt((i) => i - within(i) + (within(i) % 2 === 0 ? within(i) / 2 : half + (within(i) - 1) / 2)),
      );
      if (bits === 2) {
        const q = run / 4;
        add(
          "pack-interleaved",
          `elements i, i + ${q}, i + ${2 * q}, i + ${3 * q} share a byte`,
          codesAt((i) => i - within(i) + 4 * (within(i) % q) + Math.floor(within(i) / q)),
        );
      }
    }
  add("endian-norm", "the norm's bytes are exchanged", layout, { flip: 0, swapNorm: true });
  // In a group of 32 values, blocks of 32 are no other layout.
  for (const legacy of legacyLayouts(wire))
    if (legacy.groupBytes !== groupBytes || legacy.normAt[0] !== normAt[0] || !sameMap(legacy.layout, layout))
      found.push({ ...base, ...legacy, id: "pack-legacy-layout" });
  return found;
}

const sameMap = (a: Int32Array, b: Int32Array): boolean => a.every((p, k) => p === b[k]);

/** Blocks of 32 values that each repeat the norm; the 2 + 1 split or stream of a format of the same width. */
function legacyLayouts({
  name,
  bits,
  group,
  groupBytes,
  normBytes,
  normAt,
}: Shape): Pick<Packing, "note" | "layout" | "groupBytes" | "normAt">[] {
  const out: Pick<Packing, "note" | "layout" | "groupBytes" | "normAt">[] = [];
  if (group % 32 === 0 && !name.includes("qk32"))
    for (const head of name === "llama/turbo4" ? [2, 4] : [normBytes]) {
      const stride = head + 4 * bits;
      const starts = Array.from({ length: group / 32 }, (_, i) => i * stride);
      const build = (f: (j: number, b: number) => number): Int32Array =>
        Int32Array.from({ length: group * bits }, (_, k) => {
          const i = Math.floor(k / bits);
          return 8 * (Math.floor(i / 32) * stride + head) + f(i % 32, k % bits);
        });
      const blocks = { groupBytes: (group / 32) * stride, normAt: starts };
      out.push({
        ...blocks,
        note: "blocks of 32 values, each with the norm",
        layout: build((j, b) => j * bits + b),
      });
      if (bits === 3)
        out.push({
          ...blocks,
          note: "blocks of 32 values (2 + 1 bits), each with the norm",
          layout: build((j, b) => (b < 2 ? 2 * j + b : 64 + j)),
        });
      if (bits === 4)
        out.push({
          ...blocks,
          note: "blocks of 32 values, i and i + 16 in a byte",
          layout: build((j, b) => 8 * (j % 16) + 4 * (j >> 4) + b),
        });
    }
  if (name.includes("qk32"))
    out.push({
      note: "one block for the whole group",
      groupBytes: 2 + (group * bits) / 8,
      normAt: [0],
      layout: bits === 3 ? planeOrder(group, 16, "plain") : streamBits(group, bits, 2),
    });
  const codes = (group * bits) / 8;
  if (name === "llama/turbo4")
    out.push({
      note: "no reserved field behind the norm",
      groupBytes: 2 + codes,
      normAt: [0],
      layout: streamBits(group, bits, 2),
    });
  if (normAt[0] === 0 && normAt.length === 1 && !name.includes("turbo3"))
    out.push({
      note: "norm behind the codes",
      groupBytes,
      normAt: [codes],
      layout: streamBits(group, bits, 0),
    });
  if (normAt[0] === codes)
    out.push({
      note: "norm before the codes",
      groupBytes,
      normAt: [0],
      layout: streamBits(group, bits, normBytes),
    });
  return out;
}

const codesInByteReversed = (layout: Int32Array, bits: number): Int32Array =>
  layout.map((p) => {
    const inByte = p & 7;
    return (p & ~7) | (8 - bits - (inByte - (inByte % bits)) + (inByte % bits));
  });

const codesInByteReversedPlanes = (layout: Int32Array, low: boolean, high: boolean): Int32Array =>
  layout.map((p, k) => (k % 3 === 2 ? (high ? p ^ 7 : p) : low ? p ^ 6 : p));

const msbStream = (group: number, bits: number, from: number): Int32Array =>
  Int32Array.from({ length: group * bits }, (_, k) => {
    const s = Math.floor(k / bits) * bits + (bits - 1 - (k % bits));
    return from + (s & ~7) + (7 - (s & 7));
  });

const planar = (group: number, bits: number, from: number, highFirst: boolean): Int32Array =>
  Int32Array.from({ length: group * bits }, (_, k) => {
    const plane = highFirst ? bits - 1 - (k % bits) : k % bits;
    return from + plane * group + Math.floor(k / bits);
  });

function planeOrder(
  group: number,
  from: number,
  kind: "plain" | "one-first" | "rotated" | "swapped" | "both",
): Int32Array {
  const oneFirst = kind === "one-first" || kind === "both";
  const two = from + (oneFirst ? group : 0);
  const one = from + (oneFirst ? 0 : 2 * group);
  const rotated = kind === "rotated" || kind === "both";
  return Int32Array.from({ length: 3 * group }, (_, k) => {
    const i = Math.floor(k / 3);
    const b = k % 3;
    if (rotated) return b === 0 ? one + i : two + 2 * i + (b - 1);
    if (b === 2) return one + i;
    return two + 2 * i + (kind === "swapped" ? 1 - b : b);
  });
}
