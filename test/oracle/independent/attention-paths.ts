/**
 * A fork's attention as its author would write it: caches in the engine's basis, queries turned into it, outputs back.
 * What it does wrong is a field of `Slip`.
 */
import { f32, halfBits, halfValue } from "./numbers.js";
import { stockDecoded, stockOf } from "./stock.js";
import { decoded, rotateTrue, type Spec, specOf, unrotateAll } from "./turbo.js";

export interface Slip {
  readonly id: string;
  readonly note: string;
  readonly accept?: readonly string[];
  readonly part: string;
  readonly plainQuery?: boolean;
  readonly backQuery?: boolean;
  readonly plainOutput?: boolean;
  readonly forwardOutput?: boolean;
  readonly scale?: (d: number) => number;
  readonly kvHead?: (h: number, H: number, G: number) => number;
  readonly unmasked?: boolean;
  readonly maskFromZero?: boolean;
  readonly dropFirst?: boolean;
  readonly dropLast?: boolean;
  readonly dropVeryLast?: boolean;
  readonly swap?: "inputs" | "decoded";
  readonly zeroKeys?: boolean;
}

export interface Shape {
  readonly keyFormat: string;
  readonly valueFormat: string;
  readonly dim: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly causal: boolean;
  readonly scale?: number;
}

interface Cache {
  readonly rows: Float32Array;
  readonly width: number;
  readonly spec: Spec | undefined;
}

const STOCK = /^(ggml|realizar)\//;

function cacheOf(format: string, x: Float32Array, dim: number, side: "key" | "value"): Cache {
  if (format === "f16" || format === "ggml/f16")
    return { rows: x.map((v) => halfValue(halfBits(v))), width: dim, spec: undefined };
  if (format === "f32") return { rows: x, width: dim, spec: undefined };
  if (STOCK.test(format) || (side === "value" && format.startsWith("vllm")))
    return { rows: stockDecoded(stockOf(format, dim), x, []), width: dim, spec: undefined };
  const spec = specOf(format, dim);
  const width = Math.ceil(dim / spec.group) * spec.group;
  return { rows: decoded(spec, x, [], "decoder"), width, spec };
}

function rotated(spec: Spec, q: Float32Array): Float32Array {
  const out = q.slice();
  for (let at = 0; at < q.length; at += spec.group) rotateTrue(spec, out.subarray(at, at + spec.group));
  return out;
}

export type Sums = "f64" | "f32" | "f32 backwards" | "online f32" | "half values";

export function attention(
  s: Shape,
  q: Float32Array,
  key: Float32Array,
  value: Float32Array,
  slips: readonly Slip[],
  sums: Sums = "f32",
): Float32Array {
  const { dim, heads, kvHeads } = s;
  const get = <K extends keyof Slip>(k: K): Slip[K] | undefined => slips.find((c) => c[k] !== undefined)?.[k];
  const swap = get("swap");
  const [kIn, vIn] = swap === "inputs" ? [value, key] : [key, value];
  let kc = cacheOf(s.keyFormat, kIn, dim, "key");
  let vc = cacheOf(s.valueFormat, vIn, dim, "value");
  const own = { k: kc.spec, v: vc.spec };
  if (swap === "decoded") [kc, vc] = [vc, kc];
  const tokens = key.length / (kvHeads * dim);
  const queries = q.length / (heads * dim);
  const scale = get("scale")?.(dim) ?? s.scale ?? 1 / Math.sqrt(dim);
  const out = new Float32Array(q.length);
  const r = sums === "f64" ? (v: number): number => v : f32;
  for (let t = 0; t < queries; t++)
    for (let h = 0; h < heads; h++) {
      const at = (t * heads + h) * dim;
      const g = get("kvHead")?.(h, heads, kvHeads) ?? Math.floor(h / (heads / kvHeads));
      let qq: Float32Array = new Float32Array(Math.max(kc.width, own.k ? kc.width : dim));
      qq.set(q.subarray(at, at + dim));
      if (own.k && !get("plainQuery")) qq = get("backQuery") ? unrotateAll(own.k, qq) : rotated(own.k, qq);
      let from = 0;
      let to = s.causal && !get("unmasked") ? tokens - queries + t + 1 : tokens;
      if (get("maskFromZero")) to = t + 1;
      if (get("dropFirst")) from = 1;
      if (get("dropLast")) to--;
      if (get("dropVeryLast")) to = Math.min(to, tokens - 1);
      const order = Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
      if (sums === "f32 backwards") order.reverse();
      const scores = order.map((i) => {
        let sum = 0;
        const row = (i * kvHeads + g) * kc.width;
        if (!get("zeroKeys")) for (let j = 0; j < kc.width; j++) sum = r(sum + r(qq[j]! * kc.rows[row + j]!));
        return r(sum * scale);
      });
      const mix = new Float64Array(vc.width);
      if (sums === "online f32" || sums === "half values") {
        const half = sums === "half values" ? (v: number): number => halfValue(halfBits(v)) : f32;
        let top = Number.NEGATIVE_INFINITY;
        let total = 0;
        order.forEach((i, n) => {
          const next = Math.max(top, scores[n]!);
          const down = f32(Math.exp(top - next));
          const w = f32(Math.exp(scores[n]! - next));
          total = f32(f32(total * down) + w);
          const row = (i * kvHeads + g) * vc.width;
          for (let j = 0; j < vc.width; j++) mix[j] = half(half(mix[j]! * down) + f32(w * vc.rows[row + j]!));
          top = next;
        });
        for (let j = 0; j < vc.width; j++) mix[j] = mix[j]! / total;
      } else {
        const top = Math.max(...scores);
        const e = scores.map((v) => r(Math.exp(r(v - top))));
        let total = 0;
        for (const v of e) total = r(total + v);
        order.forEach((i, n) => {
          const row = (i * kvHeads + g) * vc.width;
          const w = r(e[n]! / total);
          for (let j = 0; j < vc.width; j++) mix[j] = r(mix[j]! + r(w * vc.rows[row + j]!));
        });
      }
      let y: Float32Array = Float32Array.from(mix);
      if (own.v && !get("plainOutput")) y = get("forwardOutput") ? rotated(own.v, y) : unrotateAll(own.v, y);
      out.set(y.subarray(0, dim), at);
    }
  return out;
}

export const SLIPS: readonly Slip[] = [
  { id: "query-not-rotated", note: "plain", part: "q", plainQuery: true },
  { id: "query-not-rotated", note: "inverse", part: "q", backQuery: true },
  { id: "output-not-unrotated", note: "plain", part: "o", plainOutput: true, accept: ["v-not-unrotated"] },
  { id: "output-not-unrotated", note: "forward", part: "o", forwardOutput: true },
  { id: "attention-scale", note: "none", part: "s", scale: () => 1 },
  { id: "attention-scale", note: "1/d", part: "s", scale: (d) => 1 / d },
  {
    id: "attention-scale",
    note: "1/√128 or 1/√64",
    part: "s",
    scale: (d) => 1 / Math.sqrt(d === 128 ? 64 : 128),
  },
  { id: "attention-scale", note: "1/√(d/2)", part: "s", scale: (d) => Math.SQRT2 / Math.sqrt(d) },
  { id: "attention-scale", note: "0.07", part: "s", scale: () => 0.07 },
  { id: "gqa-mapping", note: "mod", part: "h", kvHead: (h, _H, G) => h % G },
  { id: "causal-missing", note: "", part: "m", unmasked: true },
  { id: "causal-missing", note: "from zero", part: "m", maskFromZero: true },
  { id: "attention-off-by-one", note: "first", part: "t", dropFirst: true },
  { id: "attention-off-by-one", note: "last", part: "t", dropLast: true },
  { id: "attention-off-by-one", note: "very last", part: "t", dropVeryLast: true },
  { id: "kv-swapped", note: "inputs", part: "x", swap: "inputs" },
  { id: "kv-swapped", note: "decoded", part: "x", swap: "decoded" },
  { id: "k-zero", note: "", part: "x", zeroKeys: true },
];
