/** Stock quantisers of 32 values (and vLLM's values), plainly, with what a fork may get wrong. */
import { f32, halfBits, halfDown, halfValue, toHalf } from "./numbers.js";

export interface StockChange {
  readonly id: string;
  readonly note: string;
  readonly stage: "quant" | "half" | "pack" | "read";
  readonly accept?: readonly string[];
  readonly round?: (t: number) => number;
  readonly top?: number;
  readonly unsigned?: boolean;
  readonly rounded?: boolean;
  readonly half?: (v: number) => number;
  readonly pack?: string;
  readonly read?: (code: number, d: number, m: number) => number;
  readonly bytes?: (b: Uint8Array, stride: number) => Uint8Array;
}

export interface StockSpec {
  readonly format: string;
  readonly bits: number;
  readonly size: number;
  readonly kind: "amax" | "signed" | "affine";
  readonly steps: number;
  readonly offset: number;
  readonly wide: boolean;
  readonly vllm: boolean;
}

export function stockOf(format: string, dim: number): StockSpec {
  const base = { format, size: 32, wide: false, vllm: false };
  switch (format) {
    case "ggml/q8_0":
      return { ...base, bits: 8, kind: "amax", steps: 127, offset: 0 };
    case "ggml/q4_0":
      return { ...base, bits: 4, kind: "signed", steps: 8, offset: 8 };
    case "ggml/q5_0":
      return { ...base, bits: 5, kind: "signed", steps: 16, offset: 16 };
    case "ggml/q4_1":
      return { ...base, bits: 4, kind: "affine", steps: 15, offset: 0 };
    case "ggml/q5_1":
      return { ...base, bits: 5, kind: "affine", steps: 31, offset: 0 };
    case "realizar/q8":
      return { ...base, bits: 8, kind: "amax", steps: 127, offset: 0, wide: true };
    case "realizar/q4":
      return { ...base, bits: 4, kind: "amax", steps: 7, offset: 8, wide: true };
    default: {
      const bits = format === "vllm/3bit_nc" ? 3 : 4;
      return { ...base, bits, size: dim, kind: "affine", steps: 2 ** bits - 1, offset: 0, vllm: true };
    }
  }
}

interface Block {
  readonly codes: number[];
  readonly d: number;
  readonly m: number;
}

const away = (t: number): number => (t < 0 ? -Math.floor(0.5 - t) : Math.floor(t + 0.5));
const even = (t: number): number => {
  const n = Math.floor(t);
  const r = t - n;
  return r > 0.5 || (r === 0.5 && n % 2 !== 0) ? n + 1 : n;
};
const clamp = (v: number, lo: number, hi: number): number => Math.max(lo, Math.min(hi, v));

function quantise(s: StockSpec, x: Float32Array, changes: readonly StockChange[]): Block {
  const get = <K extends keyof StockChange>(k: K): StockChange[K] | undefined =>
    changes.find((c) => c[k] !== undefined)?.[k];
  const round = get("round");
  const steps = get("top") ?? s.steps;
  const most = 2 ** s.bits - 1;
  let big = 0;
  for (const v of x) if (Math.abs(v) > Math.abs(big)) big = v;
  const amax = Math.abs(big);
  if (s.kind === "affine") {
    const min = x.reduce((a, b) => Math.min(a, b));
    const max = x.reduce((a, b) => Math.max(a, b));
    let d = f32(f32(max - min) / steps);
    if (s.vllm) d = Math.max(d, f32(1e-8));
    const by = get("rounded") ? toHalf(d) : d;
    const codes = Array.from(x, (v) => {
      const t = s.vllm ? f32(f32(v - min) / by) : f32(f32(v - min) * (by ? f32(1 / by) : 0));
      return clamp(round ? round(t) : Math.trunc(f32(t + 0.5)), 0, most);
    });
    return { codes, d, m: min };
  }
  if (s.kind === "signed") {
    const d = f32((get("unsigned") ? amax : big) / -steps);
    const by = get("rounded") ? toHalf(d) : d;
    const id = by ? f32(1 / by) : 0;
    const codes = Array.from(x, (v) => {
      const t = f32(v * id);
      return clamp(round ? round(t) + s.offset : Math.trunc(f32(t + s.offset + 0.5)), 0, most);
    });
    return { codes, d, m: 0 };
  }
  if (s.wide && amax < 1e-10) return { codes: Array.from(x, () => s.offset), d: 0, m: 0 };
  const d = f32(amax / steps);
  const by = get("rounded") ? toHalf(d) : d;
  const id = by ? f32(1 / by) : 0;
  const low = s.bits === 4 ? -8 : s.wide ? -127 : -128;
  const high = s.bits === 4 ? 7 : 127;
  const codes = Array.from(x, (v) => {
    const t = s.bits === 4 ? f32(v / by) || 0 : f32(v * id);
    return clamp((round ?? away)(t), low, high) + s.offset;
  });
  return { codes, d, m: 0 };
}

/** Bits of one block: writers, named. */
function write(
  s: StockSpec,
  b: Block,
  out: Uint8Array,
  at: number,
  how: string,
  half: (v: number) => number,
): void {
  const v = new DataView(out.buffer, at);
  const swap = how !== "norm-swapped";
  const codeBytes = Math.ceil((s.size * s.bits) / 8);
  const scaleAt = s.vllm ? codeBytes : 0;
  if (s.wide) v.setFloat32(0, b.d, swap);
  else v.setUint16(scaleAt, half(b.d), swap);
  if (s.kind === "affine") v.setUint16(scaleAt + 2, half(b.m), swap);
  const from = s.vllm ? 0 : s.wide ? 4 : s.kind === "affine" ? 4 : 2;
  const set = (bit: number): void => {
    out[at + (bit >> 3)]! |= 1 << (bit & 7);
  };
  b.codes.forEach((raw, i) => {
    let c = raw & (2 ** s.bits - 1);
    if (how === "inverted") c ^= 2 ** s.bits - 1;
    if (how === "top-lost") c &= 15;
    for (let k = 0; k < s.bits; k++)
      if ((c >> k) & 1) {
        if (s.bits === 8) set(8 * (from + (how === "backwards" ? i ^ 3 : i)) + k);
        else if (s.vllm || s.bits === 3)
          set(how === "nibbles" ? (i * s.bits + k) ^ 4 : 8 * from + i * s.bits + k);
        else if (s.bits === 5 && k === 4) set(8 * from + (how === "fifth-msb" ? i ^ 7 : i));
        else {
          const nibbles = 8 * (s.bits === 5 ? from + 4 : from);
          const paired = s.wide !== (how === "interleaved");
          const place = paired ? 4 * i : 8 * (i % 16) + 4 * (i >> 4);
          set(nibbles + (how === "nibbles" ? place ^ 4 : place) + k);
        }
      }
  });
}

export function stockBytes(
  s: StockSpec,
  x: Float32Array,
  dim: number,
  changes: readonly StockChange[],
): Uint8Array {
  const codeBytes = Math.ceil((s.size * s.bits) / 8);
  const key = { "vllm/k8v4": dim, "vllm/4bit_nc": dim / 2 + 2 }[s.format] ?? (3 * dim) / 8 + 2;
  const stride = s.vllm
    ? codeBytes + 4 + ((Math.ceil(key) + codeBytes + 4) & 1)
    : codeBytes + (s.wide ? 4 : s.kind === "affine" ? 4 : 2);
  const n = x.length / s.size;
  const out = new Uint8Array(n * stride);
  const how = changes.find((c) => c.pack)?.pack ?? "";
  const half = changes.find((c) => c.half)?.half ?? halfBits;
  for (let k = 0; k < n; k++)
    write(s, quantise(s, x.subarray(k * s.size, (k + 1) * s.size), changes), out, k * stride, how, half);
  return changes.find((c) => c.bytes)?.bytes?.(out, stride) ?? out;
}

/** Encoder's faults, then the decoder's reading. */
export function stockDecoded(s: StockSpec, x: Float32Array, changes: readonly StockChange[]): Float32Array {
  const out = new Float32Array(x.length);
  const half = changes.find((c) => c.half)?.half ?? halfBits;
  const read =
    changes.find((c) => c.read)?.read ?? ((c: number, d: number, m: number) => f32(f32(c * d) + m));
  const how = changes.find((c) => c.pack)?.pack ?? "";
  for (let k = 0; k * s.size < x.length; k++) {
    const b = quantise(s, x.subarray(k * s.size, (k + 1) * s.size), changes);
    const d = s.wide ? b.d : halfValue(half(b.d));
    const m = s.kind === "affine" ? halfValue(half(b.m)) : 0;
    const top = 2 ** s.bits - 1;
    b.codes.forEach((code, i) => {
      let c = code;
      if (how === "inverted") c = s.bits === 8 ? -1 - code : top - code;
      if (how === "nibbles") c = b.codes[s.wide ? i ^ 1 : i ^ 16]!;
      if (how === "interleaved") c = b.codes[s.wide ? (i >> 1) + 16 * (i & 1) : (i % 16) * 2 + (i >> 4)]!;
      const v = read(c - s.offset, d, m);
      out[k * s.size + i] = s.vllm ? toHalf(v) : v;
    });
  }
  return out;
}

const q = (id: string, note: string, more: Partial<StockChange>): StockChange => ({
  id,
  note,
  stage: "quant",
  ...more,
});

export function stockChanges(s: StockSpec): StockChange[] {
  const out: StockChange[] = [
    q("quant-truncate", "toward zero", { round: Math.trunc }),
    q("quant-half-even", "rint", { round: even }),
    ...[s.steps + 1, s.steps - 1, 2 * s.steps].map((top) => q("quant-scale", `${top}`, { top })),
    { id: "decode-zero", note: "", stage: "read", read: () => 0 },
    { id: "norm-ignored", note: "", stage: "read", read: (c, _d, m) => c + m },
    { id: "pack-inverted", note: "", stage: "pack", pack: "inverted" },
    { id: "pack-zero", note: "all", stage: "pack", bytes: (b) => new Uint8Array(b.length) },
    {
      id: "pack-tail-dropped",
      note: "last block",
      stage: "pack",
      bytes: (b, stride) => b.slice().fill(0, b.length - stride),
    },
    {
      id: "pack-tail-dropped",
      note: "cut",
      stage: "pack",
      bytes: (b, stride) => b.slice(0, b.length - stride),
    },
  ];
  if (!s.wide) {
    out.push(
      q("quant-rounded-scale", "", { rounded: true }),
      { id: "norm-f16-truncated", note: "", stage: "half", half: halfDown },
      { id: "endian-norm", note: "", stage: "pack", pack: "norm-swapped" },
    );
  } else out.push({ id: "endian-norm", note: "", stage: "pack", pack: "norm-swapped" });
  if (s.kind === "signed") out.push(q("quant-unsigned-max", "", { unsigned: true }));
  if ((s.bits === 4 || s.bits === 5) && !s.vllm)
    out.push(
      { id: "pack-nibble-order", note: "", stage: "pack", pack: "nibbles" },
      { id: "pack-interleaved", note: "", stage: "pack", pack: "interleaved" },
    );
  if (s.vllm && s.bits === 4) out.push({ id: "pack-nibble-order", note: "", stage: "pack", pack: "nibbles" });
  if (s.bits === 5)
    out.push(
      { id: "pack-plane-missing", note: "", stage: "pack", pack: "top-lost" },
      { id: "pack-msb-first", note: "", stage: "pack", pack: "fifth-msb" },
    );
  return out;
}
