/** Writers and readers of codes and scales, one by one as a programmer would write them: the right one and wrong ones. */
import type { Spec } from "./turbo.js";

export interface Record_ {
  readonly codes: Uint8Array;
  /** Bits of a half, or an f32. */
  readonly scale: number;
}

export interface Packer {
  readonly id: string;
  write(list: readonly Record_[]): Uint8Array;
  read(bytes: Uint8Array, count: number): Record_[];
}

type Get = (bit: number) => number;
type Set_ = (bit: number, value: number) => void;

/** Where bit b of element i lies, counted from the block's first bit. */
interface Plan {
  readonly id: string;
  readonly bytes: number;
  readonly norms: readonly number[];
  readonly at: (i: number, b: number) => number;
  readonly complement?: boolean;
  /** Bits that are stored. */
  readonly keep?: number;
  readonly swapNorm?: boolean;
}

const bitsIn =
  (bytes: Uint8Array, from: number): Get =>
  (bit) =>
    (bytes[from + (bit >> 3)]! >> (bit & 7)) & 1;
const bitsOut =
  (bytes: Uint8Array, from: number): Set_ =>
  (bit, value) => {
    if (value) bytes[from + (bit >> 3)]! |= 1 << (bit & 7);
  };

function plan(s: Spec, p: Plan): Packer {
  const top = 2 ** s.bits - 1;
  const keep = p.keep ?? top;
  const putNorm = (bytes: Uint8Array, at: number, value: number): void => {
    const v = new DataView(bytes.buffer);
    if (s.wide) v.setFloat32(at, value, !p.swapNorm);
    else v.setUint16(at, value, !p.swapNorm);
  };
  const getNorm = (bytes: Uint8Array, at: number): number => {
    const v = new DataView(bytes.buffer);
    return s.wide ? v.getFloat32(at, !p.swapNorm) : v.getUint16(at, !p.swapNorm);
  };
  return {
    id: p.id,
    write(list) {
      const bytes = new Uint8Array(list.length * p.bytes);
      list.forEach((r, g) => {
        const set = bitsOut(bytes, g * p.bytes);
        r.codes.forEach((code, i) => {
          const c = (p.complement ? top - code : code) & keep;
          for (let b = 0; b < s.bits; b++) set(p.at(i, b), (c >> b) & 1);
        });
        for (const n of p.norms) putNorm(bytes, g * p.bytes + n, r.scale);
      });
      return bytes;
    },
    read(bytes, count) {
      return Array.from({ length: count }, (_, g) => {
        const get = bitsIn(bytes, g * p.bytes);
        const codes = Uint8Array.from({ length: s.group }, (_x, i) => {
          let c = 0;
          for (let b = 0; b < s.bits; b++) c |= get(p.at(i, b)) << b;
          return (p.complement ? top - c : c) & keep;
        });
        return { codes, scale: getNorm(bytes, g * p.bytes + p.norms[0]!) };
      });
    },
  };
}

/** By name: "true" and the wrong ones that this format can have. */
export function packers(s: Spec): Record<string, Packer> {
  const { format, bits, group } = s;
  const top = 2 ** bits - 1;
  const out: Record<string, Packer> = {};
  const codeBytes = Math.ceil((group * bits) / 8);
  const isQk32 = format.endsWith("-qk32");
  const planes = format.startsWith("llama/turbo3");
  const head = s.wide || format === "llama/turbo4" ? 4 : format.startsWith("vllm") ? 0 : 2;
  const norms = format.startsWith("vllm") ? [codeBytes] : [0];
  const bytes = codeBytes + (format.startsWith("vllm") ? 2 : head);
  const base = { bytes, norms };
  const h = 8 * head;
  const stream = (i: number, b: number): number => h + i * bits + b;
  const split = (i: number, b: number): number => h + (b < 2 ? 2 * i + b : 2 * group + i);
  if (isQk32) {
    const sub = 2 + 4 * bits;
    const at32 = (i: number, f: (j: number, b: number) => number, b: number): number =>
      8 * ((i >> 5) * sub + 2) + f(i & 31, b);
    const f32th = planes
      ? (j: number, b: number): number => (b < 2 ? 2 * j + b : 64 + j)
      : (j: number, b: number): number => j * bits + b;
    const own = {
      bytes: (group / 32) * sub,
      norms: Array.from({ length: group / 32 }, (_, i) => i * sub),
    };
    const add = (name: string, id: string, f: (j: number, b: number) => number, more = {}): void => {
      out[name] = plan(s, { id, ...own, at: (i, b) => at32(i, f, b), ...more });
    };
    add("true", "", f32th);
    add("inverted", "pack-inverted", f32th, { complement: true });
    add("norm-swapped", "endian-norm", f32th, { swapNorm: true });
    if (planes) add("stream", "pack-plane-vs-stream", (j, b) => 3 * j + b);
    if (!planes) add("msb", "pack-msb-first", (j, b) => 8 * (j >> 2) + 6 - 2 * (j & 3) + b);
    out["one-block"] = plan(s, {
      id: "pack-legacy-layout",
      bytes: 2 + codeBytes,
      norms: [0],
      at: planes ? (i, b) => 16 + (b < 2 ? 2 * i + b : 2 * group + i) : (i, b) => 16 + i * bits + b,
    });
    return out;
  }
  const right = planes ? split : stream;
  const add = (name: string, id: string, at: Plan["at"], more: Partial<Plan> = {}): void => {
    out[name] = plan(s, { id, ...base, at, ...more });
  };
  add("true", "", right);
  add("inverted", "pack-inverted", right, { complement: true });
  add("norm-swapped", "endian-norm", right, { swapNorm: true });
  if (bits === 1) {
    add("msb", "pack-msb-first", (i) => h + (i ^ 7));
    add("nibbles", "pack-nibble-order", (i) => h + (i ^ 4));
    add("halves", "pack-interleaved", (i) => h + (i < group / 2 ? 2 * i : 2 * (i - group / 2) + 1));
  }
  if (bits > 4) {
    add("msb", "pack-msb-first", (i, b) => {
      const k = bits * i + bits - 1 - b;
      return h + (k & ~7) + 7 - (k & 7);
    });
    add("planes", "pack-bitplane-order", (i, b) => h + b * group + i);
    add("top-bit-lost", "codebook-truncated", right, { keep: top >> 1 });
  }
  if (bits === 4) {
    add("nibbles", "pack-nibble-order", (i, b) => h + 8 * (i >> 1) + (i & 1 ? b : 4 + b));
    add(
      "half-apart",
      "pack-interleaved",
      (i, b) => h + (i < group / 2 ? 8 * i + b : 8 * (i - group / 2) + 4 + b),
    );
    add(
      "half-apart-32",
      "pack-interleaved",
      (i, b) => h + 128 * (i >> 5) + 8 * (i & 15) + 4 * ((i >> 4) & 1) + b,
    );
    add("planes", "pack-bitplane-order", (i, b) => h + b * group + i);
    add("top-bit-lost", "codebook-truncated", right, { keep: 7 });
    const scale = s.wide ? 4 : 2;
    const sub = scale + 16;
    add("legacy-32", "pack-legacy-layout", (i, b) => 8 * ((i >> 5) * sub + scale) + 4 * (i & 31) + b, {
      bytes: (group / 32) * sub,
      norms: Array.from({ length: group / 32 }, (_, i) => sub * i),
    });
  }
  if (bits === 2) {
    add("msb", "pack-msb-first", (i, b) => h + 8 * (i >> 2) + 6 - 2 * (i & 3) + b);
    add("nibbles", "pack-nibble-order", (i, b) => h + ((2 * i + b) ^ 4));
    add("planes", "pack-bitplane-order", (i, b) => h + b * group + i);
    add(
      "quarters",
      "pack-interleaved",
      (i, b) => h + 8 * (i % (group / 4)) + 2 * Math.floor(i / (group / 4)) + b,
    );
    add("legacy-32", "pack-legacy-layout", (i, b) => 8 * ((i >> 5) * 10 + 2) + 2 * (i & 31) + b, {
      bytes: (group / 32) * 10,
      norms: Array.from({ length: group / 32 }, (_, i) => 10 * i),
    });
    add("plane-lost", "pack-plane-missing", right, { keep: 1 });
    add("one-bit", "codebook-truncated", right, { keep: 1 });
  }
  if (bits === 3) {
    if (planes) {
      add("stream", "pack-plane-vs-stream", stream);
      add("high-first", "pack-bitplane-order", (i, b) => h + (b === 2 ? i : group + 2 * i + b));
      add("low-bit-apart", "pack-bitplane-order", (i, b) => h + (b === 0 ? 2 * group + i : 2 * i + b - 1));
      add("plane-lost", "pack-plane-missing", right, { keep: 3 });
      add(
        "msb",
        "pack-msb-first",
        (i, b) => h + (b < 2 ? 8 * (i >> 2) + 6 - 2 * (i & 3) + b : 2 * group + ((i & ~7) | (7 - (i & 7)))),
      );
      add(
        "msb-high-plane",
        "pack-msb-first",
        (i, b) => h + (b < 2 ? 2 * i + b : 2 * group + ((i & ~7) | (7 - (i & 7)))),
      );
    } else {
      add("split", "pack-plane-vs-stream", split);
      add("msb", "pack-msb-first", (i, b) => {
        const k = 3 * i + 2 - b;
        return h + (k & ~7) + 7 - (k & 7);
      });
      add("two-bits", "codebook-truncated", right, { keep: 3 });
    }
    const sub = 14;
    add(
      "legacy-32",
      "pack-legacy-layout",
      (i, b) => 8 * ((i >> 5) * sub + 2) + (b < 2 ? 2 * (i & 31) + b : 64 + (i & 31)),
      {
        bytes: (group / 32) * sub,
        norms: Array.from({ length: group / 32 }, (_, i) => sub * i),
      },
    );
  }
  return out;
}
